"""Where a fit begins: upright at eight yaws, at a given pose, or where the initializer says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .body_model import JOINT_COUNT, BodyPose
from .initializer import Initializer
from .initializer_input import arrange_input
from .kinematics import BETAS_START, PELVIS, ROTATION_SIZE, keypoints_at
from .knees import about_decided
from .problem import FitProblem
from .rotation import axis_angle_to_matrix
from .view import PersonView, Start, person_view

YAWS = 8
# The trunk's direction in the picture is that of the body's long axis; limbs may point anywhere.
_TRUNK = ("hip", "shoulder", "neck", "pelvis", "spine", "collar")
NEAREST_START, FARTHEST_START, USUAL_DISTANCE = 0.3, 200.0, 3.0  # metres
AHEAD = np.array([0.0, 0.0, -1.0])
# How far an upright start may be from the truth, one standard deviation: root rotation in radians, pelvis
# across the view in metres, its depth as a share of the distance.
ROOT_SIGMA = 1.0
PELVIS_SIGMA = (0.15, 0.15, 0.1)


def yaw_starts(view: PersonView, frames: np.ndarray) -> Start:
    """Eight starts a frame: the mean pose at yaws of 45 degrees, rolled and moved onto the keypoints.

    ``frames`` [F] -> a start of 8 F fits, those of one frame neighbours.
    """
    yaw = np.zeros((YAWS, 3))
    yaw[:, 1] = 2 * np.pi / YAWS * np.arange(YAWS)
    upright = view.turn[frames][:, None] @ axis_angle_to_matrix(yaw)
    frames = np.repeat(frames, YAWS)
    upright = upright.reshape(-1, 3, 3)
    betas = np.zeros((len(frames), view.chain.shape_count))
    root = _roll(view, _about_pelvis(view, _mean_pose(view, upright), betas), frames) @ upright
    centre = _mean_pose(view, root)
    pelvis, valid = _place(view, frames, _about_pelvis(view, centre, betas))
    distance = np.where(valid, -pelvis[:, 2], np.nan).reshape(-1, YAWS)
    distance = np.where(np.isnan(distance).all(axis=1, keepdims=True), USUAL_DISTANCE, distance)
    common = np.repeat(np.nanmedian(distance, axis=1), YAWS)
    pelvis = np.where(valid[:, None], pelvis, common[:, None] * AHEAD)
    return Start(frames, centre, pelvis, betas, common, prior_covariance(view))


def start_at(view: PersonView, pose: BodyPose) -> Start:
    """At a pose of all B frames in camera axes.

    The prior is the initializer's where there is one, about the pose's own hip and knee where that has no
    opinion of a leg's depth; else, and in frames without keypoints, it is the pose prior about the pose's own
    root and place.
    """
    rotations, pelvis, betas = view.turned(pose)
    frames = np.arange(len(pose))
    initializer = view.problem.initializer
    if initializer is None:
        distance = np.maximum(-pelvis[:, 2], NEAREST_START)
        centre = _mean_pose(view, rotations[:, 0])
        about = Start(frames, centre, pelvis, np.zeros_like(betas), distance, prior_covariance(view))
        return about.at(rotations, pelvis, betas)
    reading, held = initializer_start(view, initializer, frames), np.isfinite(view.problem.firmness)
    about = about_decided(view.problem.body, reading, rotations, pelvis, held[:, :JOINT_COUNT])
    unseen = ~np.any(view.confidence > 0, axis=1)
    for array, own in ((about.centre, rotations), (about.pelvis, pelvis), (about.betas, betas)):
        array[unseen] = own[unseen]
    about.distance[unseen] = np.maximum(-pelvis[unseen, 2], NEAREST_START)
    return about.at(rotations, pelvis, betas)


def initializer_start(view: PersonView, initializer: Initializer, frames: np.ndarray) -> Start:
    """One start a frame: the pose that the network reads off the keypoints, its error as the prior.

    ``frames`` [F] -> a start of F fits.
    """
    target, confidence = arrange_input(view.chain.landmarks, view.target[frames], view.confidence[frames])
    rotations, betas = initializer.predict(target, confidence)
    betas = betas[:, : view.chain.shape_count]
    points = _about_pelvis(view, rotations, betas)
    pelvis = place_ahead(points, view.target[frames], view.confidence[frames])
    size = view.chain.size
    covariance, root = (matrix[:size, :size] for matrix in (initializer.covariance, initializer.root))
    return Start(frames, rotations, pelvis, betas, -pelvis[:, 2], covariance, root=root)


def prior_covariance(view: PersonView) -> np.ndarray:
    """The covariance [P, P] of the pose prior about a start that knows no more than a direction."""
    covariance = np.eye(view.chain.size)
    covariance[:3, :3] *= ROOT_SIGMA**2
    covariance[3:ROTATION_SIZE, 3:ROTATION_SIZE] = view.problem.prior.covariance
    covariance[PELVIS, PELVIS] = np.diag(np.square(PELVIS_SIGMA))
    return covariance


def pose_energy(problem: FitProblem, pose: BodyPose) -> np.ndarray:
    """By what solutions compare: keypoints, limits, pins and the pose prior, whatever the direction. -> [B].

    It leaves out what the initializer thinks, which would make everything else look bad.
    """
    view = person_view(replace(problem, initializer=None, fixed=frozenset(), held=None))
    objective, z = view.objective(start_at(view, pose))
    return objective.energy_and_gradient(z)[0]


def _mean_pose(view: PersonView, root: np.ndarray) -> np.ndarray:
    """The prior's mean pose with the given roots. [N, 3, 3] -> [N, 24, 3, 3]."""
    mean = np.broadcast_to(view.problem.prior.mean_rotations, (len(root), JOINT_COUNT - 1, 3, 3))
    return np.concatenate([root[:, None], mean], axis=1)


def _about_pelvis(view: PersonView, rotations: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Keypoints of a pose and shape with the pelvis at the origin. -> [N, K, 3]."""
    x = np.zeros((len(rotations), view.chain.size))
    x[:, BETAS_START:] = betas
    return keypoints_at(view.chain, rotations, x)


def _place(view: PersonView, frames: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return closed_form_place(points, view.target[frames], view.confidence[frames])


def _roll(view: PersonView, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The turn about the line of sight that lays the trunk's points over the keypoints (2D Procrustes)."""
    trunk = np.array([any(part in name for part in _TRUNK) for name in view.chain.landmarks])
    weight = view.confidence[frames] * trunk
    total = np.maximum(weight.sum(axis=1), 1e-12)[:, None, None]
    a, b = points[..., :2], view.target[frames]
    a = a - np.sum(weight[..., None] * a, axis=1, keepdims=True) / total
    b = b - np.sum(weight[..., None] * b, axis=1, keepdims=True) / total
    sine = np.sum(weight * (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]), axis=1)
    cosine = np.sum(weight * (a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]), axis=1)
    angle = np.arctan2(sine, np.where((sine == 0) & (cosine == 0), 1.0, cosine))
    return axis_angle_to_matrix(angle[:, None] * np.array([0.0, 0.0, 1.0]))


def place_ahead(points: np.ndarray, target: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """`closed_form_place`; straight ahead at a usual distance where that finds no sensible one. -> [N, 3]."""
    place, valid = closed_form_place(points, target, confidence)
    return np.where(valid[:, None], place, USUAL_DISTANCE * AHEAD)


def closed_form_place(
    points: np.ndarray, target: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where to put points so that they project onto a target, by linear least squares.

    ``points`` [N, K, 3] about the pelvis and ``target`` [N, K, 2] on the image plane; ``u = x / -z`` is
    linear in the place: ``t_x + u t_z = -p_x - u p_z``. Returns the place [N, 3] and whether it is in front
    of the camera at a sensible distance [N].
    """
    N, K = confidence.shape
    A = np.zeros((N, K, 2, 3))
    A[..., 0, 0] = A[..., 1, 1] = 1.0
    A[..., 2] = target
    b = np.reshape(-points[..., :2] - target * points[..., 2:], (N, 2 * K, 1))
    weighted = np.reshape(A * confidence[..., None, None], (N, 2 * K, 3)).swapaxes(1, 2)
    normal = weighted @ np.reshape(A, (N, 2 * K, 3)) + 1e-9 * np.eye(3)
    place = np.linalg.solve(normal, weighted @ b)[..., 0]
    valid = (-place[:, 2] > NEAREST_START) & (-place[:, 2] < FARTHEST_START)
    return place, valid
