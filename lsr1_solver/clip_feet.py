"""Feet that stand, and joints that are pinned: found in a fitted clip, and brought to their places."""

from __future__ import annotations

import numpy as np

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


def with_points_in_place(problem: ClipProblem, z: np.ndarray, contacts: np.ndarray) -> np.ndarray:
    """The clip with standing points brought to their mean place, and pinned joints to theirs.

    ``contacts`` [T, 4]. Every frame by itself, with the least change in the coordinates in which the
    reading's error is the identity: ``d = K^T (K K^T + s^2 I)^-1 r``, K the points' Jacobian, r what they
    lack and s what is allowed: SLIP, or the pins' sigma. What is kept nearly lacks nothing, within its own
    sigma. Before and after, the correction fades; as the motion is smooth, so is what is added to it.
    """
    objective, keypoints = problem.objective, len(problem.objective.lens.target)
    points = slice(keypoints, None)
    eye = np.broadcast_to(np.eye(3, dtype=np.float32), (len(contacts), len(problem.still), 3, 3))
    standing, allowed = _standing(problem, contacts)
    posed = objective.pose(z)
    at = np.moveaxis(posed.points[points], -1, 0)
    shift, hold = _faded(_places(problem, at, contacts) - at, standing, max(1, round(FADE * problem.rate)))
    wanted = at + shift
    rows = posed.pose_jacobian(eye, points)
    if objective.kept is not None:
        rows = np.where(objective.kept.held.T[:, None], 0, rows)
    share = np.repeat(hold / allowed, 3, axis=1)
    K = np.concatenate([share[..., None] * (rows @ objective.basis), _nearly_kept(problem)], axis=1)
    gram = K @ np.swapaxes(K, 1, 2) + np.eye(K.shape[1], dtype=K.dtype)
    step = np.swapaxes(K, 1, 2) @ np.linalg.inv(gram)
    for again in (False, True):
        if again:  # for what turns bend
            at = np.moveaxis(objective.pose(z).points[points], -1, 0)
        lack = share * (wanted - at).reshape(len(at), -1)
        y, b = objective.split(z)
        missing = step[:, :, : lack.shape[1]] @ lack[..., None]
        z = objective.join(y + missing[..., 0].T.astype(y.dtype), b)
    return z


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
        for begin, end in _runs(contacts[:, point]):
            places[begin:end, point] = _standing_place(points[begin:end, point], problem.rate)
    if problem.objective.anchors is not None:
        places[:, len(FEET) :] = np.moveaxis(problem.objective.anchors.place[len(FEET) :], -1, 0)
    return places


def _standing_place(points: np.ndarray, rate: float) -> np.ndarray:
    """Where a point stands over one contact, [F, 3] -> [F, 3] or [3]: at its mean.

    What wanders farther than WANDER from there is no error of the fit: then slowly, as the mean over a
    second does.
    """
    mean = points.mean(axis=0)
    if np.linalg.norm(points - mean, axis=1).max() <= WANDER:
        return mean
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


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The first frame and the one after the last of each run of ``mask`` [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
