"""Runs of frames in which a detector has exchanged the left and the right of a limb.

A limb goes on where it was heading. Where the left one would have to jump to the right one's place and the
right one to the left's, and both go on smoothly if they are exchanged, the detector has exchanged them. The
cheapest sequence of exchanges is found for legs, arms and head apart (Viterbi 1967).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .cuts import last_seen, mirror_places, steady_height
from .hypotheses import ARMS, LEGS

# What is exchanged together, in the groups that are read apart: nothing, the whole, the outer part.
FACE = ("eye", "ear", "mouth")
GROUPS = (((), LEGS, LEGS[1:]), ((), ARMS, ARMS[1:]), ((), FACE))
# Points at the limbs' ends.
ENDS = ("foot", "toe", "heel", "hand", "thumb", "index", "middle", "ring", "pinky")
# What an exchange must explain away, in squared deviations, where it begins and where it ends.
CHANGE = 14.0
# Where another group changes, too: the whole person is exchanged more often than a part.
ALONG = 5.0
# Most exchanges are short: each second must explain that much more. One may be long, for a price of its own.
SECOND, LONG, LONG_SECOND = 4.0, 10.0, 0.3
# A change that would explain this much, and is not believed for want of another, makes so many seconds
# unsure. Of clean motion capture less than one frame in 10,000 has one.
HINT, HINT_TIME = 11.0, 1.5
# Least error of a detector (heights), and how far a limb may have left its course while it was unseen
# (heights a second). It does leave it farther; but with wide limits a limb that comes back passes for the
# other one.
LEAST_NOISE, WANDERING = 0.012, 0.08
# Squared deviations beyond which a point is an outlier, and says nothing more.
MOST = 12.0
# Points last seen more seconds ago are not compared.
LONGEST_GAP = 0.5
# If the lesser part of a shot is more than this share, it may as well be the right one.
COMPARABLE = 0.3


@dataclass(frozen=True, eq=False)
class SideSwaps:
    """Where a clip's sides are exchanged.

    ``order`` [T, K] the keypoint to read at each place: its counterpart's where the sides are exchanged, else
    its own. ``unsure`` [T] frames in which the repair may be wrong.
    """

    order: np.ndarray
    unsure: np.ndarray

    @property
    def swapped(self) -> np.ndarray:
        """[T, K] whether a keypoint is read from the other side's."""
        return self.order != np.arange(self.order.shape[1])


def side_swaps(
    xy: np.ndarray,
    confidence: np.ndarray,
    names: Sequence[str | None],
    person_height: np.ndarray,
    frame_rate: float,
    cuts: np.ndarray | None = None,
) -> SideSwaps:
    """The runs in which left and right are exchanged.

    ``xy`` [T, K, 2] pixels; ``confidence`` [T, K], 0 where missing; ``names`` [K] of landmarks or keypoints,
    whose sides are called "left" and "right"; ``person_height`` [T] pixels, roughly; ``frame_rate`` hertz;
    ``cuts`` [T] as `jump_cuts` gives them: nothing is compared across one. One change in a shot says only
    that one part is exchanged against the other: the longer part is believed.
    """
    frames, count = confidence.shape
    order = np.tile(np.arange(count), (frames, 1))
    unsure = np.zeros(frames, dtype=bool)
    mirror = mirror_places(names, count)
    first = np.zeros(frames, dtype=bool) if cuts is None else cuts.astype(bool)
    masks_of_groups, weights = _masks_and_weights(tuple(names))
    cost = _pair_costs(
        xy[..., 0] + 1j * xy[..., 1],
        confidence > 0,
        mirror,
        steady_height(person_height, frame_rate),
        frame_rate,
        first,
    )
    price = np.full(frames, CHANGE)
    for masks in masks_of_groups:
        masks = masks & (mirror != np.arange(count))
        states, weak = _states(cost, masks, weights, price, first, frame_rate)
        order = np.where(masks[states], mirror, order)
        unsure |= weak
        price[1:][states[1:] != states[:-1]] = ALONG
    return SideSwaps(order, unsure)


def _names_part(name: str | None, parts: tuple[str, ...]) -> bool:
    return name is not None and any(part in name for part in parts)


@lru_cache(maxsize=16)
def _masks_and_weights(names: tuple[str | None, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Which points each part of a group has, [S, K] for each of GROUPS; and how much each point counts, [K]:
    detectors err in neighbouring points together.
    """
    masks = tuple(
        np.array([[_names_part(name, part) for name in names] for part in parts], dtype=bool)
        for parts in GROUPS
    )
    end, arm, face = (np.array([_names_part(name, part) for name in names]) for part in (ENDS, ARMS, FACE))
    weight = np.ones(len(names))
    for points, worth in ((end & arm, 2), (end & ~arm, 2), (face, 3)):
        weight[points] = worth / max(worth, points.sum())
    return masks, weight


def _pair_costs(
    xy: np.ndarray,
    seen: np.ndarray,
    mirror: np.ndarray,
    height: np.ndarray,
    frame_rate: float,
    first: np.ndarray,
) -> np.ndarray:
    """What it costs each point to go on from its own place and from the other side's. -> [2, T, K].

    A point's course has the mean of the velocities before and after. ``xy`` [T, K] as complex numbers.
    """
    frames = np.arange(len(xy))[:, None]
    shot = np.cumsum(first)
    longest = LONGEST_GAP * frame_rate
    before = last_seen(seen)
    arriving = _velocity(xy, seen, shot, frame_rate)
    leaving = -_velocity(xy[::-1], seen[::-1], shot[::-1], frame_rate)[::-1]
    cost = np.zeros((2, *seen.shape))
    off, time = [], []
    for place in (np.arange(seen.shape[1]), mirror):
        at = before[:, place]
        gap = frames - at
        known = seen & (at >= 0) & (gap <= longest) & (shot[np.maximum(at, 0)] == shot[:, None])
        start, speed = np.maximum(at, 0), arriving[:, place]
        expected = np.take_along_axis(xy[:, place], start, axis=0)
        expected += gap * (np.take_along_axis(speed, start, axis=0) + leaving) / 2
        off.append(np.where(known, np.abs(xy - expected) / height[:, None], np.nan))
        time.append(gap / frame_rate)
    noise = _noise(off[0])
    for i in range(2):
        wandering = WANDERING * (time[i] - 1 / frame_rate)
        square = off[i] ** 2 / (noise**2 + wandering**2)
        cost[i] = MOST * square / (MOST + square)
    # Without both to compare there is nothing to say.
    return np.where(np.isfinite(cost).all(axis=0), cost, 0.0)


def _noise(off: np.ndarray) -> np.ndarray:
    """[K] the usual distance from a point's course, as one standard deviation."""
    finite = np.isfinite(off)
    count = finite.sum(axis=0)
    ordered = np.sort(np.where(finite, off, np.inf).T, axis=1)
    # The medians: the mean of the two in the middle, which are one where their number is odd.
    point = np.arange(len(count))
    middle = (ordered[point, np.maximum(count - 1, 0) // 2] + ordered[point, count // 2]) / 2
    usual = np.where(count > 0, middle, 0.0)
    return np.maximum(usual / 1.18, LEAST_NOISE)


def _velocity(xy: np.ndarray, seen: np.ndarray, shot: np.ndarray, frame_rate: float) -> np.ndarray:
    """Pixels a frame [T, K] since the point was last seen, 0 where that is another shot or long ago."""
    before = last_seen(seen)
    gap = np.arange(len(xy))[:, None] - before
    known = seen & (before >= 0) & (gap <= LONGEST_GAP / 2 * frame_rate)
    known &= shot[np.maximum(before, 0)] == shot[:, None]
    start = np.take_along_axis(xy, np.maximum(before, 0), axis=0)
    return np.where(known, (xy - start) / gap, 0.0)


def _states(
    cost: np.ndarray,
    masks: np.ndarray,
    weight: np.ndarray,
    price: np.ndarray,
    first: np.ndarray,
    frame_rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest exchange of each frame [T], an index into ``masks`` [S, K], and whether it is doubtful.

    ``price`` [T] is what a change costs.
    """
    frames, kinds = len(first), len(masks)
    changed = masks[:, None] != masks[None]  # [S, S, K]
    own, other = (c * weight for c in cost)
    step = own.sum(axis=1)[:, None, None] + np.tensordot(other - own, changed * 1.0, axes=(1, 2))
    gain = np.diagonal(step, axis1=1, axis2=2) - step.min(axis=2)
    if not np.any(gain > np.minimum(price, HINT)[:, None]):
        return np.zeros(frames, dtype=int), np.zeros(frames, dtype=bool)
    step += price[:, None, None] * ~np.eye(kinds, dtype=bool)
    # A shot begins as it will.
    step[first] = 0.0
    # The short exchanges, and then the long ones.
    kind = np.r_[:kinds, 1:kinds]
    long = np.arange(len(kind)) >= kinds
    step = step[:, kind[:, None], kind] + LONG * (long & ~long[:, None])
    prior = np.where(long, LONG_SECOND, SECOND * (kind > 0)) / frame_rate
    states = kind[_cheapest(step, prior, LONG * long + prior)]
    hint = gain[np.arange(frames), states] > HINT
    return states, _doubtful(states, first, hint, round(HINT_TIME * frame_rate))


def _cheapest(step: np.ndarray, prior: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The states [T] with the least sum of ``step`` [T, S, S] (from, to), ``prior`` [S] and ``start`` [S]."""
    frames = len(step)
    came = np.zeros(step.shape[:2], dtype=int)
    total = start
    for t in range(1, frames):
        ways = total[:, None] + step[t]
        came[t] = ways.argmin(axis=0)
        total = ways.min(axis=0) + prior
    states = np.zeros(frames, dtype=int)
    states[-1] = total.argmin()
    for t in range(frames - 1, 0, -1):
        states[t - 1] = came[t, states[t]]
    return states


def _doubtful(states: np.ndarray, first: np.ndarray, hint: np.ndarray, reach: int) -> np.ndarray:
    """[T] the frames of which it is not sure whether they are exchanged.

    They are the exchanged ones of a shot which has about as many others; and where one change was not enough
    to act upon (``hint`` [T]), the shorter part to one side of it, as far as ``reach`` frames away.
    """
    shot = np.cumsum(first)
    share = np.bincount(shot, states > 0) / np.bincount(shot)
    unsure = (states > 0) & (share > COMPARABLE)[shot]
    same = np.ones(len(states), dtype=bool)
    same[1:] = (states[1:] == states[:-1]) & ~first[1:]
    edges = np.r_[np.flatnonzero(~same), len(states)]
    for t in np.flatnonzero(hint & same).tolist():
        after = np.searchsorted(edges, t, side="right")
        begin, end = int(edges[after - 1]) if after else 0, int(edges[after])
        before = t - begin < end - t
        unsure[max(begin, t - reach) if before else t : t if before else min(end, t + reach)] = True
    return unsure
