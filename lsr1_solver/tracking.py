"""People matched from frame to frame by the position and shape of their pose.

The order of people in a detector's file says nothing of who they are. Each frame's people are assigned to the
tracks at the least total cost, the mean distance of keypoints from where the track would have carried them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Costs are in parts of the person's size (the diagonal of the box round the keypoints).
_GATE = 0.4
_GATE_GROWTH = 0.25
_WIDEST_GATE = 1.2
# Two tracks that fit as well as each other: the person stays with the older, and with the one just seen.
_NEWCOMER = 0.1
_ABSENT = 0.1
# How near to a track's keypoints a part of a person lies that the detector took for somebody else.
_PART = 0.1
# Frames over which a track is bridged while nobody is there, and what remains of its velocity a frame later.
LONGEST_GAP = 45
_SLOWING = 0.93


@dataclass(eq=False)
class _Track:
    points: np.ndarray  # [K, D] where each keypoint was last seen, carried along since
    confidence: np.ndarray  # [K] halved for every frame in which the keypoint isn't seen
    size: float
    velocity: np.ndarray  # [D] a frame
    frame: int
    seen: int = 1

    def predicted(self, frame: int) -> np.ndarray:
        # The sum of 1, q, q^2, ...: a step is a whole step, a long absence ends near where it began.
        steps = (1 - _SLOWING ** (frame - self.frame)) / (1 - _SLOWING)
        return self.points + self.velocity * steps

    def take(self, points: np.ndarray, confidence: np.ndarray, size: float, frame: int) -> None:
        step = frame - self.frame
        common = confidence * self.confidence
        if common.sum() > 0:
            moved = (common[:, None] * (points - self.points)).sum(axis=0) / common.sum()
            self.velocity = 0.5 * self.velocity + 0.5 * moved / step
        known = confidence > 0
        self.points = np.where(known[:, None], points, self.predicted(frame))
        self.confidence = np.where(known, confidence, 0.5 * self.confidence)
        # A crouch is no smaller person: the size falls slowly.
        self.size = max(size, 0.9 * self.size)
        self.frame = frame
        self.seen += 1


def link_people(points: np.ndarray, confidence: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Which track each of N detections belongs to. -> [N] integers from 0.

    ``points`` [N, K, D] (pixels or metres); ``confidence`` [N, K], 0 where missing; ``frames`` [N] the number
    of each detection's frame, ascending. A track bridges up to LONGEST_GAP frames without a detection;
    somebody who appears farther away than a person can have moved starts a new one. Two detections of a frame
    share a track only where they are parts of one person: no keypoint in common, and each where the track
    expects it.
    """
    labels = np.full(len(points), -1)
    sizes = person_sizes(points, confidence)
    tracks: list[_Track] = []
    active: list[int] = []
    numbers, starts = np.unique(frames, return_index=True)
    for number, first, last in zip(numbers, starts, [*starts[1:], len(points)], strict=True):
        frame = int(number)
        active = [t for t in active if frame - tracks[t].frame <= LONGEST_GAP]
        here = slice(first, last)
        cost, gate = _costs([tracks[t] for t in active], points[here], confidence[here], sizes[here], frame)
        for row, column in enumerate(assign(np.minimum(cost, gate[:, None]))):
            if column < 0 or cost[row, column] >= gate[row]:
                continue
            track = tracks[active[row]]
            others = np.flatnonzero((cost[row] < _PART) & (labels[here] < 0))
            parts = _parts(track, confidence, first + column, first + others)
            labels[parts] = active[row]
            weight = confidence[parts].max(axis=0)
            # The parts' keypoints are disjoint and missing ones are 0: a sum puts them together.
            track.take(points[parts].sum(axis=0), weight, float(sizes[parts].max()), frame)
        for i in range(first, last):
            if labels[i] < 0:
                labels[i] = len(tracks)
                active.append(len(tracks))
                still = np.zeros(points.shape[2])
                tracks.append(_Track(points[i], confidence[i], float(sizes[i]), still, frame))
    return labels


def _parts(track: _Track, confidence: np.ndarray, found: int, others: np.ndarray) -> list[int]:
    """``found`` and those of ``others`` that add keypoints of the track which it hasn't."""
    parts = [found]
    for i in others.tolist():
        doubled = (confidence[i] * confidence[parts].max(axis=0)).any()
        if i != found and not doubled and (confidence[i] * track.confidence).any():
            parts.append(i)
    return parts


def _costs(
    tracks: list[_Track], points: np.ndarray, confidence: np.ndarray, sizes: np.ndarray, frame: int
) -> tuple[np.ndarray, np.ndarray]:
    """Costs [T, P] of giving each of P people to each of T tracks, and the cost [T] that is too much."""
    if not tracks:
        return np.zeros((0, len(points))), np.zeros(0)
    predicted = np.stack([t.predicted(frame) for t in tracks])
    weights = np.stack([t.confidence for t in tracks])
    common = weights[:, None] * confidence
    distance = np.linalg.norm(predicted[:, None] - points, axis=-1)
    total = common.sum(axis=2)
    apart = np.linalg.norm(_centres(predicted, weights)[:, None] - _centres(points, confidence), axis=-1)
    mean = np.where(total > 0, (common * distance).sum(axis=2) / np.maximum(total, 1e-12), apart)
    size = np.maximum(np.array([t.size for t in tracks])[:, None], sizes)
    waited = np.array([frame - t.frame - 1 for t in tracks])
    doubt = np.array([_NEWCOMER / t.seen for t in tracks]) + _ABSENT * (waited > 0)
    return mean / size + doubt[:, None], np.minimum(_GATE * (1 + _GATE_GROWTH * waited), _WIDEST_GATE)


def _centres(points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """[N, D] the mean of the keypoints seen."""
    total = np.maximum(confidence.sum(axis=1, keepdims=True), 1e-12)
    return (confidence[..., None] * points).sum(axis=1) / total


def person_sizes(points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """[N] the diagonal of the box round each person's surer keypoints ([N, K, D], [N, K]); never 0."""
    sure = confidence > 0.3 * confidence.max(axis=1, keepdims=True, initial=0.0)
    low = np.where(sure[..., None], points, np.inf).min(axis=1)
    high = np.where(sure[..., None], points, -np.inf).max(axis=1)
    box = np.where(np.isfinite(low) & np.isfinite(high), high, 0.0) - np.where(np.isfinite(low), low, 0.0)
    return np.maximum(np.linalg.norm(box, axis=1), 1e-6)


def assign(cost: np.ndarray) -> list[int]:
    """The column for each row of ``cost`` [R, C] that gives the least sum; -1 for rows that get none.

    Every row gets a column where C >= R. The method is the shortest augmenting path with potentials (Kuhn
    1955, Munkres 1957; O(R^2 C)).
    """
    rows, columns = cost.shape
    if rows > columns:
        chosen = [-1] * rows
        for column, row in enumerate(assign(cost.T)):
            if row >= 0:
                chosen[row] = column
        return chosen
    best = cost.argmin(axis=1) if columns else np.zeros(0, dtype=int)
    if len(set(best.tolist())) == rows:
        return best.tolist()  # each row has its own cheapest column: no sum is smaller
    owner = np.full(columns + 1, -1)  # the row of each column; the last is where a new row enters
    u, v = np.zeros(rows), np.zeros(columns + 1)
    for row in range(rows):
        _augment(cost, owner, u, v, row)
    chosen = [-1] * rows
    for column, row in enumerate(owner[:-1].tolist()):
        if row >= 0:
            chosen[row] = column
    return chosen


def _augment(cost: np.ndarray, owner: np.ndarray, u: np.ndarray, v: np.ndarray, row: int) -> None:
    """Give ``row`` a column along the shortest alternating path; ``owner``, ``u`` and ``v`` are updated."""
    columns = cost.shape[1]
    owner[columns] = row
    shortest, came_from = np.full(columns, np.inf), np.full(columns, columns)
    done = np.zeros(columns + 1, dtype=bool)
    column = columns
    while owner[column] >= 0:
        done[column] = True
        here = owner[column]
        reduced = cost[here] - u[here] - v[:columns]
        better = ~done[:columns] & (reduced < shortest)
        shortest[better], came_from[better] = reduced[better], column
        following = int(np.where(done[:columns], np.inf, shortest).argmin())
        step = shortest[following]
        u[owner[done]] += step
        v[done] -= step
        shortest[~done[:columns]] -= step
        column = following
    while column != columns:
        owner[column] = owner[came_from[column]]
        column = int(came_from[column])
    owner[columns] = -1
