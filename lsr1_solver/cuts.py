"""Where a clip is cut: the person's pose and place change faster than a body can.

Each keypoint is carried on from where it was last seen and compared with where it is. A body's mass keeps
most of its points near that course, however fast it moves; a cut moves nearly all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .smpl_landmarks import mirrored

# How far from its course a point may come, in heights: noise and mistakes of the detector; then what the
# acceleration of the trunk's and the thighs' points explains (heights per second squared), and no more than a
# sprinter who turns round (heights per second). Of motion capture at 24 to 120 frames a second all but one
# frame in 1,000 stay below half of the sum, after gaps of up to 1.5 seconds below 0.6; what is above 1 are
# jumps of the recordings.
NOISE, ACCELERATION, SPEED = 0.055, 15.0, 2.0
# The share of the points that may have moved as ever in a cut: a few always lie on their course by chance. As
# many as the spare points may be the detector's mistakes.
SHARE, SPARE = 0.5, 2
# A frame with fewer points says nothing of the whole body.
FEWEST = 5
# Seconds over which a point's velocity is taken, and no shot is shorter.
VELOCITY_TIME, SHORTEST_SHOT = 0.25, 0.12
# A hand-held camera shakes all points: a cut is so many times larger than what is usual in a second.
UNUSUAL, USUAL_TIME = 5.0, 1.0
# Seconds of the median that steadies the person's height.
HEIGHT_TIME = 0.3


def jump_cuts(
    xy: np.ndarray,
    confidence: np.ndarray,
    person_height: np.ndarray,
    frame_rate: float,
    names: Sequence[str | None] = (),
) -> np.ndarray:
    """Whether a cut lies between each frame and the last before it that shows the person. -> [T] bool.

    ``xy`` [T, K, 2] pixels; ``confidence`` [T, K], 0 where missing; ``person_height`` [T] pixels, roughly,
    not finite where unknown; ``frame_rate`` hertz. With ``names`` [K] sides that the detector exchanges make
    no cut. Nor does a glitch of a few frames, after which the person goes on as before: see `stray_frames`.
    """
    return cuts_and_strays(xy, confidence, person_height, frame_rate, names)[0]


def stray_frames(
    xy: np.ndarray,
    confidence: np.ndarray,
    person_height: np.ndarray,
    frame_rate: float,
    names: Sequence[str | None] = (),
) -> np.ndarray:
    """Frames whose keypoints are not where the person was just before and is just after. -> [T] bool.

    The arguments are those of `jump_cuts`. A detector that takes something else for the person makes such
    frames; they say nothing of the person.
    """
    return cuts_and_strays(xy, confidence, person_height, frame_rate, names)[1]


def steady_height(person_height: np.ndarray, frame_rate: float) -> np.ndarray:
    """The running median of heights [T] over HEIGHT_TIME; where none is known, that of the clip."""
    return _running_median(person_height, HEIGHT_TIME * frame_rate)


def _running_median(values: np.ndarray, frames: float) -> np.ndarray:
    """The median over so many frames about each. [T] -> [T]; what isn't positive counts as that of all."""
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        return np.ones(len(values))
    half = max(1, round(frames / 2))
    values = np.where(known, values, np.median(values[known]))
    return np.median(sliding_window_view(np.pad(values, half, mode="edge"), 2 * half + 1), axis=-1)


def cuts_and_strays(
    xy: np.ndarray,
    confidence: np.ndarray,
    person_height: np.ndarray,
    frame_rate: float,
    names: Sequence[str | None] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """What `jump_cuts` and `stray_frames` say of one clip, [T] each."""
    height = steady_height(person_height, frame_rate)
    mirror = mirror_places(names, confidence.shape[1])
    seen = confidence > 0
    xy = xy[..., 0] + 1j * xy[..., 1]
    stray = np.zeros(len(xy), dtype=bool)
    cuts = _jumps(xy, seen, height, frame_rate, mirror) > 1
    if not cuts.any():
        return cuts, stray
    jumps = _jumps(xy, seen, height, frame_rate, mirror, exact_above=0.0)
    limit = np.maximum(1.0, UNUSUAL * _running_median(jumps, USUAL_TIME * frame_rate))
    cuts = jumps > limit
    around = max(2, round(2 * VELOCITY_TIME * frame_rate))
    first = -1
    for t in np.flatnonzero(cuts).tolist():
        if first >= 0 and t - first <= max(1, round(SHORTEST_SHOT * frame_rate)):
            # Without the frames between the two jumps: does the person go on?
            window = slice(max(0, first - around), t + around)
            without = seen[window].copy()
            without[first - window.start : t - window.start] = False
            closed = _jumps(xy[window], without, height[window], frame_rate, mirror)
            if closed[t - window.start] <= limit[t]:
                cuts[[first, t]] = False
                stray[first:t] = True
                first = -1
                continue
        first = t
    return cuts, stray


def mirror_places(names: Sequence[str | None], count: int) -> np.ndarray:
    """[K] where each point's counterpart of the other side stands; its own place where there is none."""
    place = {name: i for i, name in enumerate(names) if name}
    return np.array([place.get(mirrored(names[i] or ""), i) if names else i for i in range(count)], dtype=int)


def _jumps(
    xy: np.ndarray,
    seen: np.ndarray,
    height: np.ndarray,
    frame_rate: float,
    mirror: np.ndarray,
    exact_above: float = 1.0,
) -> np.ndarray:
    """How far each frame's points lie off their courses, against what a body can. -> [T], 0 where unknown.

    ``xy`` [T, K] as complex numbers. Up to ``exact_above`` the figures may be too large.
    """
    frames = np.arange(len(xy))
    before = last_seen(seen)
    compared = seen & (before >= 0)
    gap = frames[:, None] - before
    # The usual gap: points that have been away for longer say little.
    usual = _ranked(np.where(compared, gap, len(xy) + 1), np.maximum(compared.sum(axis=1), 1) // 2)
    used = compared & (gap <= usual[:, None])
    count = used.sum(axis=1)
    rank = np.maximum(np.floor(SHARE * count).astype(int) - SPARE, 0)

    def jump(rows: np.ndarray, velocity: np.ndarray | float) -> np.ndarray:
        there, time = before[rows], gap[rows] / frame_rate
        expected = _at(xy, there) + gap[rows] * velocity
        off = np.abs(xy[rows] - expected)
        across = np.abs(xy[rows] - expected[:, mirror])
        off = np.minimum(off, np.where(compared[rows][:, mirror], across, np.inf))
        allowed = NOISE + np.minimum(ACCELERATION / 2 * time**2, SPEED * time)
        scale = (height[rows, None] + height[np.maximum(there, 0)]) / 2
        return _ranked(np.where(used[rows], off / (scale * allowed), np.inf), rank[rows])

    jumps = np.where(count >= FEWEST, jump(frames, 0.0), 0.0)
    # A body keeps its velocity, or comes to a stop, or starts; recordings drop a frame or repeat one, which
    # makes a step longer by a frame. That course counts which explains most.
    rows = np.flatnonzero(jumps > exact_above)
    arriving, leaving = _velocities(xy, seen, before, rows, max(1.0, VELOCITY_TIME * frame_rate))
    longer = 1 + 1 / np.maximum(gap[rows], 1)
    for velocity in (arriving, leaving, (arriving + leaving) / 2, longer * arriving, longer * leaving):
        jumps[rows] = np.minimum(jumps[rows], jump(rows, velocity))
    return jumps


def _velocities(
    xy: np.ndarray, seen: np.ndarray, before: np.ndarray, rows: np.ndarray, longest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels a frame [R, K] of the points where they were last seen before ``rows`` [R], and in these."""
    there = before[rows]
    earlier = np.where(there >= 0, np.take_along_axis(before, np.maximum(there, 0), axis=0), -1)
    arriving = _velocity(
        _at(xy, there), _at(xy, earlier), np.where(earlier >= 0, there - earlier, 0), longest
    )
    after = len(xy) - 1 - last_seen(seen[::-1])[::-1][rows]
    after[after == len(xy)] = -1
    leaving = _velocity(_at(xy, after), xy[rows], np.where(after >= 0, after - rows[:, None], 0), longest)
    return arriving, leaving


def last_seen(seen: np.ndarray) -> np.ndarray:
    """The frame before each in which a point was last seen, -1 where it never was. [T, K] bool -> [T, K]."""
    at = np.where(seen, np.arange(len(seen))[:, None], -1)
    before = np.full_like(at, -1)
    before[1:] = np.maximum.accumulate(at, axis=0)[:-1]
    return before


def _at(xy: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The points at frames of their own. [T, K], [R, K] -> [R, K]."""
    return np.take_along_axis(xy, np.maximum(frames, 0), axis=0)


def _velocity(to: np.ndarray, start: np.ndarray, frames: np.ndarray, longest: float) -> np.ndarray:
    """Pixels a frame [R, K]; 0 where ``frames`` [R, K] are none, or too many to say anything."""
    known = (frames > 0) & (frames <= longest)
    return np.where(known, (to - start) / np.maximum(frames, 1), 0.0)


def _ranked(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The value of each row that ``rank`` [T] others lie below. [T, K] -> [T]."""
    return np.take_along_axis(np.sort(values, axis=1), rank[:, None], axis=1)[:, 0]
