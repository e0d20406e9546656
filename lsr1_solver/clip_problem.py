"""From a clip's keypoints to its objective, in coordinates about a smooth path, and back to a motion.

The joints turn about the mean pose, so that their coordinates mean the same in every frame; the root and the
pelvis move about a smooth path, since a whole turn has no place in a rotation vector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from .clip_chain import PosedClip, clip_chain
from .clip_initializer import load_clip_initializer
from .clip_motion import (
    COMMON_RATE,
    FEET,
    ClipMotion,
    clip_axes,
    frame_rate_of,
    low_pass,
    motion_of,
    smooth_rotations,
)
from .clip_objective import ClipObjective
from .clip_terms import Anchors, Kept, Lens, Spatial, Temporal
from .cosine_transform import cosine_transform, inverse_cosine_transform
from .kinematics import BETAS_START, PELVIS, ROTATION_SIZE, keypoint_chain
from .motion_prior import MotionPrior, load_motion_prior
from .rotation import continuous_axis_angle, rotation_vectors
from .starts import NEAREST_START
from .view import PersonView

# Of neighbouring frames' keypoints much of the noise is the same: each says less than a still's.
DATA_WEIGHT, DELTA = 0.3, 1.0
PRIOR_WEIGHT, VELOCITY_WEIGHT, ACCELERATION_WEIGHT, SHAPE_WEIGHT = 0.05, 0.05, 0.5, 10.0
# How much the first smoothing believes the reading, against the temporal term.
START_TRUST = 0.9
# A joint that moves no keypoint by more than this share of its own motion is no unknown.
LEAST_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class ClipProblem:
    """A clip's objective and what its coordinates stand for.

    ``mean`` [24, 3, 3] rotations about which the joints turn, ``root`` [T, 3, 3] those of the root;
    ``origin`` [75, T]; ``free`` [n] the rows of x that are unknown, ``inward`` [n, n] the basis' inverse.
    ``start`` [1, n T + S] is the reading, smoothed. ``still`` names the points of `Anchors`.
    """

    view: PersonView
    objective: ClipObjective
    start: np.ndarray
    mean: np.ndarray
    root: np.ndarray
    origin: np.ndarray
    free: np.ndarray
    inward: np.ndarray
    still: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Frames a second."""
        return frame_rate_of(self.view)

    def coordinates(self, motion: ClipMotion) -> np.ndarray:
        """The z of a motion."""
        x = parameters(motion, self.mean, self.root)
        y = self.inward @ (x - self.origin)[self.free]
        b = np.linalg.solve(self.objective.shape_spread, motion.betas - self.objective.betas)
        return self.objective.join(y, b).astype(np.float32)

    def motion(self, posed: PosedClip, like: ClipMotion) -> ClipMotion:
        """The motion of a clip that is posed; contacts and dropped keypoints are those of ``like``."""
        keypoints = len(self.objective.lens.target)
        feet = posed.points[keypoints : keypoints + len(FEET)]
        loss, _ = self.objective.lens.energy_and_force(posed.points[:keypoints])
        return replace(
            like,
            rotations=np.transpose(posed.local, (3, 0, 2, 1)).astype(np.float64, order="C"),
            pelvis=posed.world[0, 3].T.astype(np.float64),
            betas=posed.betas.astype(np.float64),
            loss=loss.astype(np.float64),
            feet=np.moveaxis(feet, -1, 0).astype(np.float64),
        )

    @property
    def duration(self) -> float:
        """Of a frame, in units of 1 / COMMON_RATE."""
        return COMMON_RATE / self.rate


def clip_problem(view: PersonView, reading: ClipMotion, motion: MotionPrior | None = None) -> ClipProblem:
    """The clip as one problem in single precision, about the smoothed reading."""
    error = load_clip_initializer().covariance
    problem, motion = view.problem, motion or load_motion_prior()
    rate = frame_rate_of(view)
    root = smooth_rotations(reading.rotations[:, 0], rate)
    mean = np.concatenate([np.eye(3)[None], problem.prior.mean_rotations])
    x = parameters(reading, mean, root)
    origin = low_pass(x, rate)
    free = _free_rows(view)
    origin[free[free < ROTATION_SIZE]] = 0
    basis, velocity, acceleration = _coordinates(view, reading, error, motion, free)
    inward = np.linalg.inv(basis[free])
    weights, duration = problem.weights, COMMON_RATE / rate
    temporal = Temporal(
        weights.temporal * VELOCITY_WEIGHT * duration * rate**2 / velocity,
        weights.temporal * ACCELERATION_WEIGHT * duration * rate**4 / acceleration,
        inward @ _path(root, origin)[free],
    )
    prior = inward @ (x - origin)[free]
    shapes = slice(BETAS_START, BETAS_START + len(reading.betas))
    still = still_points(view)
    chain = keypoint_chain(problem.body, (*view.chain.landmarks, *still), shape_count=problem.shape_count)
    objective = ClipObjective(
        clip_chain(chain, mean, root),
        origin,
        basis,
        reading.betas,
        np.linalg.cholesky(error[shapes, shapes]),
        _lens(view, reading, DATA_WEIGHT * duration),
        temporal,
        prior,
        weights.prior * PRIOR_WEIGHT * duration * problem.fitted_frames,
        np.full(len(root), weights.limits * DATA_WEIGHT * duration),
        weights.prior * SHAPE_WEIGHT,
        anchors=_pinned(view, duration),
        kept=_kept(view, mean, root, free, inward),
        spatial=_spatial(view, DATA_WEIGHT * duration),
    ).single()
    y = _smoothed(prior + temporal.path, temporal, START_TRUST * duration) - temporal.path
    start = objective.join(y, np.zeros(len(reading.betas))).astype(np.float32)
    return ClipProblem(view, objective, start, mean, root, origin, free, inward, still)


def _kept(
    view: PersonView, mean: np.ndarray, root: np.ndarray, free: np.ndarray, inward: np.ndarray
) -> Kept | None:
    """What the problem holds of the pose, exactly or about its values."""
    if view.kept is None:
        return None
    firm = np.repeat(view.problem.firmness[:, : JOINT_COUNT + 1].T, 3, axis=0)
    exact = firm == 0
    weight = np.where(exact, 0, 1 / np.where(exact, 1, firm) ** 2)
    return Kept(parameters(motion_of(view, view.kept), mean, root), exact, weight, free, inward)


def _pinned(view: PersonView, duration: float) -> Anchors | None:
    """What the problem's pins say, in the clip's axes; the points are FEET and then the pinned joints."""
    pins = view.problem.pins
    if pins is None:
        return None
    target = np.where(pins.known[..., None], pins.target, 0.0)
    to_world = view.problem.camera_to_world
    if to_world is not None:
        target = target @ np.swapaxes(to_world[:, :3, :3], -1, -2) + to_world[:, None, :3, 3]
    sigma = np.where(pins.known, pins.sigma, np.inf)[:, pins.joints]
    place = np.zeros((len(FEET) + len(pins.joints), 3, len(target)))
    place[len(FEET) :] = np.transpose(target[:, pins.joints], (1, 2, 0))
    weight = np.pad((duration / sigma**2).T, ((len(FEET), 0), (0, 0)))
    return Anchors(place.astype(np.float32), weight.astype(np.float32))


def still_points(view: PersonView) -> tuple[str, ...]:
    """The feet's points and the pinned joints."""
    pins = view.problem.pins
    return FEET if pins is None else (*FEET, *(SMPL_JOINT_NAMES[j] for j in pins.joints))


def parameters(motion: ClipMotion, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """``x`` [75, T] of a motion: rotation vectors about the mean pose and the root's path, the pelvis."""
    # By joints: one product each, not one each joint and frame.
    by_joint = np.ascontiguousarray(np.swapaxes(motion.rotations, 0, 1))
    turned = (by_joint.reshape(JOINT_COUNT, -1, 3) @ np.swapaxes(mean, -1, -2)).reshape(by_joint.shape)
    turned[0] = by_joint[0] @ np.swapaxes(root, -1, -2)
    omega = continuous_axis_angle(np.swapaxes(rotation_vectors(turned), 0, 1))
    return np.ascontiguousarray(np.concatenate([omega.reshape(len(root), -1), motion.pelvis], axis=1).T)


def _path(root: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """How the path itself moves, as ``x`` [75, T]: the root's turns summed up, the pelvis' places."""
    path = np.zeros_like(origin)
    path[:3, 1:] = np.cumsum(rotation_vectors(root[1:] @ np.swapaxes(root[:-1], -1, -2)), axis=0).T
    path[PELVIS] = origin[PELVIS]
    return path


def _free_rows(view: PersonView) -> np.ndarray:
    """The rows of ``x`` that move a keypoint which the clip shows."""
    shown = np.any(view.confidence > 0, axis=0)
    share = np.abs(view.chain.below_weight[shown]).max(axis=0, initial=0)
    joints = np.flatnonzero(share >= LEAST_SHARE)
    rows = (3 * joints[:, None] + np.arange(3)).ravel()
    return np.concatenate([rows, np.arange(PELVIS.start, PELVIS.stop)])


def _coordinates(
    view: PersonView, reading: ClipMotion, error: np.ndarray, motion: MotionPrior, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The basis [75, n], and the variances [n] of velocity and acceleration in its coordinates.

    ``error`` is the initializer's covariance, whose root and pelvis are in the virtual cameras' axes: the
    mean of these stands for all.
    """
    back, eye = clip_axes(view)
    known = view.problem.fitted_frames
    U, _, Vt = np.linalg.svd(back[known].mean(axis=0))
    turn = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    distance = np.linalg.norm(reading.pelvis - eye, axis=1)[known].mean()
    into = np.eye(ROTATION_SIZE + 3)
    into[:3, :3] = turn
    into[PELVIS, PELVIS] = turn @ np.diag([1, 1, distance])
    covariance = (into @ error[: len(into), : len(into)] @ into.T)[np.ix_(free, free)]
    L = np.linalg.cholesky(covariance)
    inward = np.linalg.inv(L)
    variance, Q = np.linalg.eigh(inward @ motion.velocity[np.ix_(free, free)] @ inward.T)
    basis = np.zeros((len(into), len(free)))
    basis[free] = L @ Q
    inward = Q.T @ inward
    bent = np.sum((inward @ motion.acceleration[np.ix_(free, free)]) * inward, axis=1)
    return basis, variance, bent


def _lens(view: PersonView, reading: ClipMotion, weight: float) -> Lens:
    """The keypoints in the picture's own plane."""
    back, eye = clip_axes(view)
    to_camera = np.swapaxes(view.turn, -1, -2) @ np.swapaxes(back, -1, -2)
    depth = -np.sum(to_camera[:, 2] * (reading.pelvis - eye), axis=1)
    rays = np.concatenate([view.target, -np.ones_like(view.target[..., :1])], axis=-1) @ view.turn
    seen = view.confidence > 0
    target = np.where(seen[..., None], rays[..., :2] / np.where(seen, -rays[..., 2], 1)[..., None], 0)
    moving = view.problem.camera_to_world is not None
    return Lens(
        np.moveaxis(to_camera, 0, -1) if moving else None,
        eye.T if moving else None,
        np.moveaxis(target, 0, -1),
        weight * view.confidence.T,
        0.01 * view.height / np.maximum(depth, NEAREST_START),
        DELTA,
    )


def _spatial(view: PersonView, weight: float) -> Spatial | None:
    """The problem's 3D keypoints, of whose error neighbouring frames have as much in common as in 2D."""
    points, precision = view.points_3d(np.arange(len(view.turn)))
    if points is None or precision is None:
        return None
    back, _ = clip_axes(view)
    return Spatial(np.moveaxis(points @ np.swapaxes(back, -1, -2), 0, -1), weight * precision.T)


def _smoothed(y: np.ndarray, temporal: Temporal, trust: float) -> np.ndarray:
    """The minimum of ``trust |y' - y|^2`` and the temporal term, by the cosine transform."""
    stiffness = 2 - 2 * np.cos(np.pi * np.arange(y.shape[1]) / y.shape[1])
    tied = temporal.velocity[:, None] * stiffness + temporal.acceleration[:, None] * stiffness**2
    return inverse_cosine_transform(cosine_transform(y) * trust / (trust + tied))
