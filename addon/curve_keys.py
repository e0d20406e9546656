"""Keys changed in the middle of a curve, and the curve on either side left as it is.

A key that moves bends the curve beyond its neighbours, too, where their handles are automatic: those are made
free first. Where a stretch between two keys is cut, the pieces keep its shape (de Casteljau's subdivision).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import bpy
import numpy as np

from .keyframes import add_keys

SAME_FRAME = 1e-3
# Keys that are nearer to each other are one to Blender.
_SAME_KEY = 0.0101
# Blender's numbers for kinds of handles and of interpolation.
_FREE, _AUTOMATIC = 0, (1, 4)
_BEZIER = 2
_BISECTIONS = 60


def key_times(curve: bpy.types.FCurve) -> np.ndarray:
    """The scene frames of a curve's keys, ascending."""
    places = np.empty(2 * len(curve.keyframe_points), dtype=np.float32)
    curve.keyframe_points.foreach_get("co", places)
    return places[::2].astype(float)


def near_frames(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of frames [B] are among others [N]."""
    if not len(others):
        return np.zeros(len(frames), dtype=bool)
    # They mostly are in order already, which this kind of sorting makes use of.
    others = np.concatenate([[-np.inf], np.sort(others, kind="stable"), [np.inf]])
    after = np.searchsorted(others, frames)
    return np.minimum(frames - others[after - 1], others[after] - frames) < _SAME_KEY


def change_keys(curve: bpy.types.FCurve, times: np.ndarray, values: np.ndarray, still: np.ndarray) -> None:
    """Key a curve's numbers [N] at scene frames [N], ascending; it must have a key already.

    Between the keys next to those frames the curve keeps its values at the frames ``still`` [M]; wherever
    neither end of a stretch changes, the stretch stays as it is.
    """
    before = _Handles.read(curve)
    keys = before.times
    low = keys[keys < times[0] - SAME_FRAME].max(initial=-np.inf)
    high = keys[keys > times[-1] + SAME_FRAME].min(initial=np.inf)
    # Before the first key and after the last a curve is straight: one guard is enough.
    low = times[0] - 1.5 if np.isinf(low) else low
    high = times[-1] + 1.5 if np.isinf(high) else high
    ends = np.array([times[0] - 1, times[-1] + 1])
    around = np.union1d(still, ends[~near_frames(ends, still)])
    around = around[np.diff(around, prepend=-np.inf) > _SAME_KEY]
    guards = around[(around > low) & (around < high) & ~near_frames(around, np.concatenate([keys, times]))]
    kept = np.array([curve.evaluate(time) for time in guards.tolist()])
    cuts = np.union1d(guards, times)
    handles = before.cut(cuts, [curve.evaluate(time) for time in cuts.tolist()])
    add_keys(curve, np.concatenate([guards, times]), np.concatenate([kept, values]))
    handles.restore(curve, times, guards)


@dataclass(frozen=True, eq=False)
class _Handles:
    """A curve's keys ``points`` [K, 3, 2]: left handle, key, right handle; ``kinds`` [K, 2] of the handles,
    ``interpolation`` [K].
    """

    points: np.ndarray
    kinds: np.ndarray
    interpolation: np.ndarray

    @classmethod
    def read(cls, curve: bpy.types.FCurve) -> _Handles:
        """As they are."""
        keys = curve.keyframe_points
        points = np.empty((3, len(keys), 2), dtype=np.float32)
        for row, name in zip(points, ("handle_left", "co", "handle_right"), strict=True):
            flat = np.empty(2 * len(keys), dtype=np.float32)
            keys.foreach_get(name, flat)
            row[:] = flat.reshape(-1, 2)
        numbers = np.empty((3, len(keys)), dtype=np.int32)
        for row, name in zip(
            numbers, ("handle_left_type", "handle_right_type", "interpolation"), strict=True
        ):
            keys.foreach_get(name, row)
        return cls(np.swapaxes(points, 0, 1).astype(float), numbers[:2].T, numbers[2])

    @property
    def times(self) -> np.ndarray:
        """The keys' scene frames [K]."""
        return self.points[:, 1, 0]

    def cut(self, times: np.ndarray, values: list[float]) -> _Handles:
        """With keys at ``times`` [N], too, and the same curve; ``values`` [N] what it is there."""
        missing = np.flatnonzero(~near_frames(times, self.times)).tolist()
        if not missing:
            return self
        own, points = self.times.tolist(), list(self.points.copy())
        kinds, interpolation = list(self.kinds), list(self.interpolation)
        for time, value in ((float(times[index]), values[index]) for index in missing):
            after = bisect_left(own, time)
            inside = 0 < after < len(points)
            way = interpolation[after - 1] if inside else _BEZIER
            if inside and way == _BEZIER:
                middle = _split(points[after - 1], points[after], time)
            else:
                middle = _straight(points, after, np.array([time, value]))
            own.insert(after, time)
            points.insert(after, middle)
            kinds.insert(after, np.full(2, _FREE))
            interpolation.insert(after, way)
        return _Handles(np.array(points), np.array(kinds), np.array(interpolation))

    def restore(self, curve: bpy.types.FCurve, changed: np.ndarray, guards: np.ndarray) -> None:
        """Give the curve's keys these handles; those at the frames ``changed`` find their own."""
        fresh, guard = near_frames(self.times, changed), near_frames(self.times, guards)
        moved = np.pad(fresh | guard, 1)
        beside = moved[:-2] | moved[2:]
        # Between two keys that change there is no stretch to keep.
        alone = np.pad(fresh, 1)[:-2] & np.pad(fresh, 1)[2:]
        automatic = np.isin(self.kinds, _AUTOMATIC).any(axis=1) | np.pad(guard, 1)[:-2] | np.pad(guard, 1)[2:]
        freed = ~fresh & (guard | (beside & ~alone & automatic))
        keys = curve.keyframe_points
        assert len(keys) == len(self.points)
        keys.foreach_set("interpolation", self.interpolation.astype(np.int32))
        # How fresh keys lie depends on those beside them.
        for index in np.flatnonzero(freed).tolist():
            key, (left, _, right) = keys[index], self.points[index].tolist()
            key.handle_left_type = key.handle_right_type = "FREE"
            key.handle_left, key.handle_right = left, right
        curve.update()
        # Automatic handles farther off are worked out anew by that, which rounds otherwise.
        for name, column in (("handle_left", 0), ("handle_right", 2)):
            now = np.empty(2 * len(keys), dtype=np.float32)
            keys.foreach_get(name, now)
            own = np.where(fresh[:, None], now.reshape(-1, 2), self.points[:, column]).astype(np.float32)
            if not np.array_equal(own.ravel(), now):
                keys.foreach_set(name, own.ravel())


def _split(before: np.ndarray, after: np.ndarray, time: float) -> np.ndarray:
    """The key [3, 2] that cuts a Bezier stretch at a frame; its ends' handles are shortened in place."""
    a, b, c, d = _corrected(before[1], before[2], after[0], after[1])
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        share = 0.5 * (low + high)
        x = _bezier(a[0], b[0], c[0], d[0], share)
        low, high = (share, high) if x < time else (low, share)
    share = 0.5 * (low + high)
    ab, bc, cd = (p + share * (q - p) for p, q in ((a, b), (b, c), (c, d)))
    abc, bcd = ab + share * (bc - ab), bc + share * (cd - bc)
    before[2], after[0] = ab, cd
    return np.stack([abc, abc + share * (bcd - abc), bcd])


def _bezier(a: float, b: float, c: float, d: float, t: float) -> float:
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def _corrected(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Handles that reach over each other count only as far as they meet, as Blender reads them."""
    length, out = d[0] - a[0], abs(b[0] - a[0]) + abs(d[0] - c[0])
    share = length / out if out > length else 1.0
    return a, a + share * (b - a), d + share * (c - d), d


def _straight(points: list[np.ndarray], after: int, place: np.ndarray) -> np.ndarray:
    """The key [3, 2] at a ``place`` [2] of a straight stretch; the handle beside it is laid along."""
    beside = points[0] if after == 0 else points[after - 1]
    third = (place - beside[1]) / 3
    beside[0 if after == 0 else 2] = beside[1] + third
    return place + np.sign(third[0]) * third * np.array([[-1.0], [0.0], [1.0]])
