"""Feet that stand, and joints that are pinned: found in a fitted clip, and brought to their places."""

from __future__ import annotations

import numpy as np

from .clip_chain import PosedClip
from .clip_descent import Descent
from .clip_motion import FEET, ClipMotion, clip_axes
from .clip_problem import ClipProblem
from .contacts import find_contacts

# How far a standing point stays from its place where the whole body would have to move one standard deviation
# to bring it there, metres; and the seconds over which a correction fades: at once would jerk the knee.
SLIP, FADE = 0.02, 0.25
# Metres that a standing point may seem to stray by the errors of a fit.
WANDER = 0.25


def contacts_of(problem: ClipProblem, motion: ClipMotion) -> np.ndarray:
    """Which of the feet's points stand still, [T, 4]: as the problem says, or found in the motion."""
    given = problem.view.problem.contacts
    if given is not None:
        return given
    up = np.array([0.0, 1.0, 0.0])
    if problem.view.problem.camera_to_world is None:
        # Where people's heads are, in the mean, is up, as far as a camera that nobody levelled can tell.
        up = motion.rotations[:, 0, :, 1].mean(axis=0)
    return find_contacts(motion.feet, up, problem.rate, eye=clip_axes(problem.view)[1])


def with_points_in_place(problem: ClipProblem, way: Descent, contacts: np.ndarray) -> PosedClip:
    """The clip at a way's end, with standing points brought to their mean place, and pinned joints to theirs.

    ``contacts`` [T, 4]. Every frame by itself, with the least change in the coordinates in which the
    reading's error is the identity: ``d = K^T (K K^T + s^2 I)^-1 r``, K the points' Jacobian, r what they
    lack and s what is allowed: SLIP, or the pins' sigma. What is kept nearly lacks nothing, within its own
    sigma. Before and after, the correction fades; as the motion is smooth, so is what is added to it.
    """
    objective, keypoints = problem.objective, len(problem.objective.lens.target)
    points = slice(keypoints, None)
    eye = np.broadcast_to(np.eye(3, dtype=np.float32), (len(contacts), len(problem.still), 3, 3))
    standing, allowed = _standing(problem, contacts)
    z, posed = way.z, way.posed
    at = np.moveaxis(posed.points[points], -1, 0)
    shift, hold = _faded(_places(problem, at, contacts) - at, standing, max(1, round(FADE * problem.rate)))
    wanted = at + shift
    rows, moving = posed.pose_jacobian(eye, points)
    if objective.kept is not None:
        rows = np.where(objective.kept.held[moving].T[:, None], 0, rows)
    share = np.repeat(hold / allowed, 3, axis=1)
    rows *= share[..., None]
    K, firm = rows @ objective.basis[moving], _nearly_kept(problem)
    if firm.shape[1]:
        K = np.concatenate([K, firm], axis=1)
    across = np.swapaxes(K, 1, 2)
    inverse = _inverses(K @ across + np.eye(K.shape[1], dtype=K.dtype))
    lack = np.zeros((len(K), K.shape[1], 1), dtype=K.dtype)
    for _ in range(2):  # once more for what turns bend
        at = np.moveaxis(posed.points[points], -1, 0)
        lack[:, : share.shape[1], 0] = share * (wanted - at).reshape(len(at), -1)
        y, b = objective.split(z)
        z = objective.join(y + (across @ (inverse @ lack))[..., 0].T, b)
        posed = objective.pose(z)
    return posed


def _inverses(matrices: np.ndarray) -> np.ndarray:
    """The inverses of positive definite matrices [T, n, n], by Gauss and Jordan for all at once.

    For a thousand small ones that takes a third of the time of LAPACK, which takes them one by one.
    """
    A = np.ascontiguousarray(np.moveaxis(matrices, 0, -1))
    for k in range(len(A)):
        pivot, column = 1 / A[k, k], A[:, k].copy()
        row = pivot * A[k]
        A -= column[:, None] * row
        A[k], A[:, k] = row, -pivot * column
        A[k, k] = pivot
    return np.moveaxis(A, -1, 0)


def _nearly_kept(problem: ClipProblem) -> np.ndarray:
    """What turns the parameters that are kept nearly, in units of their sigmas. [T, m, n]."""
    kept, basis = problem.objective.kept, problem.objective.basis
    firm = np.zeros(0, dtype=int) if kept is None else np.flatnonzero(kept.weight.any(axis=1))
    if kept is None or not len(firm):
        return np.zeros((len(problem.objective), 0, basis.shape[1]), dtype=basis.dtype)
    return np.sqrt(kept.weight[firm]).T[..., None] * basis[firm]


def _standing(problem: ClipProblem, contacts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the still points are held, [T, P], and how far off they may be, [T, P] metres."""
    slip = SLIP / max(problem.view.problem.weights.feet, 1e-6) ** 0.5
    feet = contacts & (problem.view.problem.weights.feet > 0)
    pins = problem.view.problem.pins
    if pins is None:
        return feet, np.full(feet.shape, slip, dtype=np.float32)
    known = pins.known[:, pins.joints]
    sigma = np.where(known, pins.sigma[:, pins.joints], SLIP)
    allowed = np.concatenate([np.full(feet.shape, slip), sigma], axis=1)
    return np.concatenate([feet, known], axis=1), allowed.astype(np.float32)


def _places(problem: ClipProblem, points: np.ndarray, contacts: np.ndarray) -> np.ndarray:
    """Where held points shall be: the mean over each contact, the pins' places. [T, P, 3]."""
    places = points.copy()
    for point in range(contacts.shape[1]):
        edges = _runs(contacts[:, point])
        if not len(edges):
            continue
        at, lengths = points[contacts[:, point], point], np.diff(edges, axis=1)
        first = np.cumsum(lengths) - lengths[:, 0]
        mean = np.repeat(np.add.reduceat(at, first) / lengths, lengths[:, 0], axis=0).astype(at.dtype)
        places[contacts[:, point], point] = mean
        strayed = np.maximum.reduceat(np.linalg.norm(at - mean, axis=1), first) > WANDER
        for begin, end in edges[strayed].tolist():
            places[begin:end, point] = _wandering_place(points[begin:end, point], problem.rate)
    if problem.objective.anchors is not None:
        places[:, len(FEET) :] = np.moveaxis(problem.objective.anchors.place[len(FEET) :], -1, 0)
    return places


def _wandering_place(points: np.ndarray, rate: float) -> np.ndarray:
    """Where a point stands that wanders over a contact, [F, 3] -> [F, 3]: slowly, as the mean over a second.

    What strays farther than WANDER from its mean is no error of the fit.
    """
    half = max(1, round(rate / 2))
    summed = np.cumsum(np.concatenate([np.zeros((1, 3)), points]), axis=0)
    frames = np.arange(len(points))
    first, last = np.maximum(frames - half, 0), np.minimum(frames + half + 1, len(points))
    return (summed[last] - summed[first]) / (last - first)[:, None]


def _faded(ways: np.ndarray, standing: np.ndarray, fade: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each point shall move, [T, P, 3] metres, and how firmly that counts, [T, P].

    ``ways`` [T, P, 3] where a point is ``standing`` [T, P]; before and after it the way at the edge, fading
    over ``fade`` frames.
    """
    beside = np.pad(standing, ((1, 1), (0, 0)))
    begins, ends = (standing & ~beside[:-2], standing & ~beside[2:])
    edges = [(mask, np.where(mask[..., None], ways, 0)) for mask in (begins, ends)]
    shift, hold = np.zeros_like(ways), np.zeros(standing.shape, dtype=ways.dtype)
    for away in range(1, fade + 1):
        share = ways.dtype.type(0.5 + 0.5 * np.cos(np.pi * away / (fade + 1)))
        earlier, later = slice(None, -away), slice(away, None)
        for (mask, way), frames, edge in zip(edges, (earlier, later), (later, earlier), strict=True):
            shift[frames] += share * way[edge]
            hold[frames] = np.maximum(hold[frames], share * mask[edge])
    return np.where(standing[..., None], ways, shift), np.where(standing, 1, hold)


def _runs(mask: np.ndarray) -> np.ndarray:
    """The first frame and the one after the last of each run of ``mask`` [T]. -> [R, 2]."""
    return np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int))).reshape(-1, 2)
