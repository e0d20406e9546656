"""Fewer keys: the ones that the motion between the others does without, measured on Blender's own curves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import radians

import bpy
import numpy as np

from .keyframes import Channel, hold_until, key_values
from .rotation_modes import mode_quaternions

# A pelvis may be off by as much as a bone of this length is when it turns by the error: metres.
_LEVER = 0.5
# Bezier curves need fewer keys than straight lines: they begin with those that lines this much coarser need.
_COARSER = {"BEZIER": 4.0, "LINEAR": 1.0}

# Values [N, C] -> how far each is from values [N, C]: radians of turn, or metres.
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def write_fewer(
    curves: bpy.types.bpy_prop_collection,
    channel: Channel,
    times: np.ndarray,
    rows: np.ndarray,
    shots: np.ndarray,
    error: float,
    interpolation: str,
) -> int:
    """Key a channel at so few of ``rows`` that the curves stay within ``error`` degrees of all of them.

    ``times`` [B] scene frames of the channel's values, ``rows`` those that may be keyed, ``shots`` scene
    frames at which new shots begin: a shot's first and last row are always keyed, and what is held.
    Rotations are compared by the angle between them, places by the way that ``error`` moves the end of a
    short bone. The curves are evaluated by Blender at every row, and keyed where they are too far off, until
    none is; where rows follow each other that are all too far off, all are keyed. Returns the number of keys.
    """
    values, frames = channel.values[rows], times[rows]
    distance = _apart(channel.mode)
    limit = radians(error) * (1.0 if channel.mode else _LEVER)
    firsts = np.searchsorted(frames, shots - 1e-3)
    held = () if channel.held is None else np.flatnonzero(channel.held[rows])
    ends = np.unique(np.clip([0, *firsts, *(firsts - 1), *held, len(rows) - 1], 0, len(rows) - 1))
    keyed = _straight_pieces(values, frames, ends, distance, _COARSER[interpolation] * limit)
    while True:
        _clear(curves, channel)
        key_values(curves, channel.path, frames[keyed], values[keyed], channel.group, interpolation)
        hold_until(curves, channel, shots)
        off = distance(_evaluated(curves, channel, frames), values)
        off[keyed] = 0
        if not (off > limit).any():
            return len(keyed)
        spans = np.split(off, keyed[1:])
        starts = np.concatenate([[0], keyed[1:]])
        worst = [int(s + span.argmax()) for s, span in zip(starts, spans, strict=True) if span.max() > limit]
        keyed = np.union1d(keyed, worst)


def _clear(curves: bpy.types.bpy_prop_collection, channel: Channel) -> None:
    for index in range(channel.values.shape[1]):
        curve = curves.find(channel.path, index=index)
        if curve is not None:
            curves.remove(curve)


def _evaluated(curves: bpy.types.bpy_prop_collection, channel: Channel, frames: np.ndarray) -> np.ndarray:
    """What Blender makes of the keys at scene frames [N]. -> [N, C]."""
    times = frames.tolist()
    own = [curves.find(channel.path, index=index) for index in range(channel.values.shape[1])]
    return np.array([[curve.evaluate(time) for time in times] for curve in own]).T


def _straight_pieces(
    values: np.ndarray, frames: np.ndarray, ends: np.ndarray, distance: Distance, limit: float
) -> np.ndarray:
    """The rows between which straight lines stay within ``limit``, with ``ends`` among them: Douglas and
    Peucker (1973) in time.
    """
    keyed = set(ends.tolist())
    open_pieces = list(pairwise(sorted(keyed)))
    while open_pieces:
        a, b = open_pieces.pop()
        if b - a < 2:
            continue
        share = ((frames[a + 1 : b] - frames[a]) / (frames[b] - frames[a]))[:, None]
        off = distance((1 - share) * values[a] + share * values[b], values[a + 1 : b])
        if off.max() > limit:
            middle = a + 1 + int(off.argmax())
            keyed.add(middle)
            open_pieces += [(a, middle), (middle, b)]
    return np.array(sorted(keyed))


def _apart(mode: str) -> Distance:
    """How values of a rotation mode are compared; "" for places."""
    if not mode:
        return lambda a, b: np.linalg.norm(a - b, axis=1)

    def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return _angle(mode_quaternions(a, mode), mode_quaternions(b, mode))

    return angle


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between rotations as unit quaternions [N, 4], radians."""
    cosine = np.abs(np.sum(a * b, axis=1))
    return 2 * np.arctan2(np.sqrt(np.maximum(0.0, 1 - cosine**2)), cosine)
