"""Starts without learning: upright bodies at eight yaws, placed in closed form."""

from __future__ import annotations

import numpy as np

from .body_model import JOINT_COUNT
from .kinematics import pose_chain
from .rotation import axis_angle_to_matrix
from .view import PersonView, Start

YAWS = 8
# The trunk's direction in the picture is that of the body's long axis; limbs may point anywhere.
_TRUNK = ("hip", "shoulder", "neck", "pelvis", "spine", "collar")
NEAREST_START, FARTHEST_START = 0.3, 200.0  # metres


def yaw_starts(view: PersonView, frames: np.ndarray) -> Start:
    """Eight starts a frame: the mean pose at yaws of 45 degrees, rolled and moved onto the keypoints.

    ``frames`` [F] -> a start of 8 F fits, those of one frame neighbours.
    """
    yaw = np.zeros((YAWS, 3))
    yaw[:, 1] = 2 * np.pi / YAWS * np.arange(YAWS)
    upright = view.turn[frames][:, None] @ axis_angle_to_matrix(yaw)
    frames = np.repeat(frames, YAWS)
    upright = upright.reshape(-1, 3, 3)
    points = _points_about_pelvis(view, upright)
    root = _roll(view, points, frames) @ upright
    pelvis, valid = closed_form_place(
        _points_about_pelvis(view, root), view.target[frames], view.confidence[frames]
    )
    distance = np.where(valid, -pelvis[:, 2], np.nan).reshape(-1, YAWS)
    distance = np.where(np.isnan(distance).all(axis=1, keepdims=True), 3.0, distance)
    common = np.repeat(np.nanmedian(distance, axis=1), YAWS)
    pelvis = np.where(valid[:, None], pelvis, common[:, None] * [0.0, 0.0, -1.0])
    return Start(frames, root, pelvis, common)


def _points_about_pelvis(view: PersonView, root: np.ndarray) -> np.ndarray:
    """Keypoints of the mean pose and shape with the pelvis at the origin. -> [N, K, 3]."""
    mean = np.broadcast_to(view.problem.prior.mean_rotations, (len(root), JOINT_COUNT - 1, 3, 3))
    centre = np.concatenate([root[:, None], mean], axis=1)
    return pose_chain(view.chain, centre, np.zeros((len(root), view.chain.size))).points


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
    b = -points[..., :2] - target * points[..., 2:]
    weighted = A * confidence[..., None, None]
    normal = np.einsum("nkri,nkrj->nij", weighted, A) + 1e-9 * np.eye(3)
    place = np.linalg.solve(normal, np.einsum("nkri,nkr->ni", weighted, b)[..., None])[..., 0]
    valid = (-place[:, 2] > NEAREST_START) & (-place[:, 2] < FARTHEST_START)
    return place, valid
