"""From a clip's keypoints to its objective, in coordinates about a smooth path, and back to a motion.

The joints turn about the mean pose, so that their coordinates mean the same in every frame; the root and the
pelvis move about a smooth path, since a whole turn has no place in a rotation vector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from .clip_chain import clip_chain
from .clip_initializer import load_clip_initializer
from .clip_motion import COMMON_RATE, FEET, ClipMotion, clip_axes, low_pass, motion_of, smooth_rotations
from .clip_objective import Anchors, ClipObjective, Kept, Lens, Temporal
from .contacts import find_contacts
from .cosine_transform import cosine_transform, inverse_cosine_transform
from .kinematics import BETAS_START, PELVIS, ROTATION_SIZE, keypoint_chain
from .motion_prior import MotionPrior, load_motion_prior
from .rotation import continuous_axis_angle, matrix_to_axis_angle
from .starts import NEAREST_START
from .view import PersonView

# Of neighbouring frames' keypoints much of the noise is the same: each says less than a still's.
DATA_WEIGHT, DELTA = 0.3, 1.0
PRIOR_WEIGHT, VELOCITY_WEIGHT, ACCELERATION_WEIGHT, SHAPE_WEIGHT = 0.05, 0.05, 0.5, 10.0
# How much the first smoothing believes the reading, against the temporal term.
START_TRUST = 0.9
# A joint that moves no keypoint by more than this share of its own motion is no unknown.
LEAST_SHARE = 0.05
# How far a standing point stays from its place where the whole body would have to move one standard deviation
# to bring it there, metres; and the seconds over which a correction fades: at once would jerk the knee.
SLIP, FADE = 0.02, 0.25
# Metres that a standing point may seem to stray by the errors of a fit.
WANDER = 0.25


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
        return self.view.problem.frame_rate or COMMON_RATE

    def coordinates(self, motion: ClipMotion) -> np.ndarray:
        """The z of a motion, whose shape is taken to be the reading's."""
        x = parameters(motion, self.mean, self.root)
        y = self.inward @ (x - self.origin)[self.free]
        return self.objective.join(y, np.zeros(len(self.objective.betas))).astype(np.float32)

    def motion(self, z: np.ndarray, like: ClipMotion) -> ClipMotion:
        """The motion at z; contacts and dropped keypoints are those of ``like``."""
        posed, (x, betas) = self.objective.pose(z), self.objective.parameters(z)
        x, rotations = x.astype(np.float64), np.transpose(posed.local, (3, 0, 2, 1)).astype(np.float64)
        points = np.moveaxis(posed.points, -1, 0).astype(np.float64)
        keypoints = len(self.objective.lens.target)
        feet = points[:, keypoints : keypoints + len(FEET)]
        loss = self.objective.lens.energy_and_force(posed.points[:keypoints])[0].astype(np.float64)
        return replace(
            like,
            rotations=rotations,
            pelvis=x[PELVIS].T,
            betas=betas.astype(np.float64),
            loss=loss,
            feet=feet,
        )

    def contacts(self, motion: ClipMotion) -> np.ndarray:
        """Which of the feet's points stand still, [T, 4]: as the problem says, or found in the motion."""
        given = self.view.problem.contacts
        if given is not None:
            return given
        up = np.array([0.0, 1.0, 0.0])
        if self.view.problem.camera_to_world is None:
            # Where people's heads are, in the mean, is up, as far as a camera that nobody levelled can tell.
            up = motion.rotations[:, 0, :, 1].mean(axis=0)
        return find_contacts(motion.feet, up, self.rate, eye=clip_axes(self.view)[1])

    def with_points_in_place(self, z: np.ndarray, contacts: np.ndarray) -> np.ndarray:
        """The clip with standing points brought to their mean place, and pinned joints to theirs.

        ``contacts`` [T, 4]. Every frame by itself, with the least change in the coordinates in which the
        reading's error is the identity: ``d = K^T (K K^T + s^2 I)^-1 r``, K the points' Jacobian, r what they
        lack and s what is allowed: SLIP, or the pins' sigma. Before and after, the correction fades; as the
        motion is smooth, so is what is added to it.
        """
        objective, keypoints = self.objective, len(self.objective.lens.target)
        points = slice(keypoints, None)
        eye = np.broadcast_to(np.eye(3, dtype=np.float32), (len(contacts), len(self.still), 3, 3))
        standing, allowed = self._standing(contacts)
        wanted = hold = None
        for _ in range(2):  # the second time for what turns bend
            posed = objective.pose(z)
            at = np.moveaxis(posed.points[points], -1, 0)
            if wanted is None or hold is None:
                ways = self._places(at, contacts) - at
                shift, hold = _faded(ways, standing, max(1, round(FADE * self.rate)))
                wanted = at + shift
            rows = posed.row_jacobian(eye, points)[0]
            if objective.kept is not None:
                rows = np.where(objective.kept.held.T[:, None], 0, rows)
            share = np.repeat(hold / allowed, 3, axis=1)
            K = share[..., None] * (rows @ objective.basis)
            lack = share * (wanted - at).reshape(len(at), -1)
            gram = K @ np.swapaxes(K, 1, 2) + np.eye(K.shape[1], dtype=K.dtype)
            change = np.swapaxes(K, 1, 2) @ np.linalg.solve(gram, lack[..., None])
            y, b = objective.split(z)
            z = objective.join(y + change[..., 0].T.astype(y.dtype), b)
        return z

    def _standing(self, contacts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the still points are held, [T, P], and how far off they may be, [T, P] metres."""
        slip = SLIP / max(self.view.problem.weights.feet, 1e-6) ** 0.5
        feet = contacts & (self.view.problem.weights.feet > 0)
        pins = self.view.problem.pins
        if pins is None:
            return feet, np.full(feet.shape, slip, dtype=np.float32)
        known = pins.known[:, pins.joints]
        sigma = np.where(known, pins.sigma[:, pins.joints], SLIP)
        allowed = np.concatenate([np.full(feet.shape, slip), sigma], axis=1)
        return np.concatenate([feet, known], axis=1), allowed.astype(np.float32)

    def _places(self, points: np.ndarray, contacts: np.ndarray) -> np.ndarray:
        """Where held points shall be: the mean over each contact, the pins' places. [T, P, 3]."""
        places = points.copy()
        for point in range(contacts.shape[1]):
            for begin, end in _runs(contacts[:, point]):
                places[begin:end, point] = self._standing_place(points[begin:end, point])
        if self.objective.anchors is not None:
            places[:, len(FEET) :] = np.moveaxis(self.objective.anchors.place[len(FEET) :], -1, 0)
        return places

    def _standing_place(self, points: np.ndarray) -> np.ndarray:
        """Where a point stands over one contact, [F, 3] -> [F, 3] or [3]: at its mean.

        What wanders farther than WANDER from there is no error of the fit: then slowly, as the mean over a
        second does.
        """
        mean = points.mean(axis=0)
        if np.linalg.norm(points - mean, axis=1).max() <= WANDER:
            return mean
        half = max(1, round(self.rate / 2))
        summed = np.cumsum(np.concatenate([np.zeros((1, 3)), points]), axis=0)
        frames = np.arange(len(points))
        first, last = np.maximum(frames - half, 0), np.minimum(frames + half + 1, len(points))
        return (summed[last] - summed[first]) / (last - first)[:, None]

    @property
    def duration(self) -> float:
        """Of a frame, in units of 1 / COMMON_RATE."""
        return COMMON_RATE / self.rate


def clip_problem(view: PersonView, reading: ClipMotion, motion: MotionPrior | None = None) -> ClipProblem:
    """The clip as one problem in single precision, about the smoothed reading."""
    error = load_clip_initializer().covariance
    problem, motion = view.problem, motion or load_motion_prior()
    rate = problem.frame_rate or COMMON_RATE
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


def _faded(ways: np.ndarray, standing: np.ndarray, fade: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each point shall move, [T, P, 3] metres, and how firmly that counts, [T, P].

    ``ways`` [T, P, 3] where a point is ``standing`` [T, P]; before and after it the way at the edge, fading
    over ``fade`` frames.
    """
    shift, hold = np.zeros_like(ways), standing.astype(ways.dtype)
    falling = (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1))).astype(ways.dtype)
    for point in range(standing.shape[1]):
        for begin, end in _runs(standing[:, point]):
            shift[begin:end, point] += ways[begin:end, point]
            before, after = np.arange(begin - 1, begin - fade - 1, -1), np.arange(end, end + fade)
            for frames, edge in ((before, begin), (after, end - 1)):
                inside = (frames >= 0) & (frames < len(ways))
                inside[inside] = ~standing[frames[inside], point]
                frames, share = frames[inside], falling[inside]
                shift[frames, point] += share[:, None] * ways[edge, point]
                hold[frames, point] = np.maximum(hold[frames, point], share)
    return shift, hold


def still_points(view: PersonView) -> tuple[str, ...]:
    """The feet's points and the pinned joints."""
    pins = view.problem.pins
    return FEET if pins is None else (*FEET, *(SMPL_JOINT_NAMES[j] for j in pins.joints))


def parameters(motion: ClipMotion, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """``x`` [75, T] of a motion: rotation vectors about the mean pose and the root's path, the pelvis."""
    turned = motion.rotations @ np.swapaxes(mean, -1, -2)
    turned[:, 0] = motion.rotations[:, 0] @ np.swapaxes(root, -1, -2)
    omega = continuous_axis_angle(matrix_to_axis_angle(turned))
    return np.concatenate([omega.reshape(len(root), -1), motion.pelvis], axis=1).T


def _path(root: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """How the path itself moves, as ``x`` [75, T]: the root's turns summed up, the pelvis' places."""
    path = np.zeros_like(origin)
    path[:3, 1:] = np.cumsum(matrix_to_axis_angle(root[1:] @ np.swapaxes(root[:-1], -1, -2)), axis=0).T
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
    bent = np.einsum("ij,jk,ik->i", inward, motion.acceleration[np.ix_(free, free)], inward)
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


def _smoothed(y: np.ndarray, temporal: Temporal, trust: float) -> np.ndarray:
    """The minimum of ``trust |y' - y|^2`` and the temporal term, by the cosine transform."""
    stiffness = 2 - 2 * np.cos(np.pi * np.arange(y.shape[1]) / y.shape[1])
    tied = temporal.velocity[:, None] * stiffness + temporal.acceleration[:, None] * stiffness**2
    return inverse_cosine_transform(cosine_transform(y) * trust / (trust + tied))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The first frame and the one after the last of each run of ``mask`` [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
