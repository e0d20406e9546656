"""4D-Humans' and PHALP's tracks: a dictionary by the frames' paths of lists by person, in a joblib file.

``2d_joints`` are 45 points of the fitted body, fractions of the picture padded to a square: x in pixels is
``j max(W, H) - (max(W, H) - W) / 2``. The first 25 are SMPL's joints and vertices in OpenPose's order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import FitError
from ..keypoint_formats import PHALP_45
from .joblib_file import load_joblib
from .records import Clip, Frame, Person

FAMILY = "PHALP tracks"


def read(data: bytes, place: str) -> Clip:
    """Frames by their paths; people whom the tracker only guesses at (``tracked_time`` > 0) are left out.

    Raises FitError for an unsafe or broken file and for a wrong structure.
    """
    document = load_joblib(data, place)
    if not isinstance(document, dict) or not all(isinstance(v, dict) for v in document.values()):
        raise FitError(
            f"{place} is a pickle, but not PHALP's: a dictionary by frame with 2d_joints is right."
        )
    frames, sizes = [], set()
    for name, values in document.items():
        here = f"{place}, {name}"
        joints, ids = _column(values, "2d_joints", here), _column(values, "tid", here)
        extents, waited = _column(values, "size", here), values.get("tracked_time", [])
        if not len(joints) == len(ids) == len(extents):
            raise FitError(f"{here} has {len(joints)} 2d_joints, {len(ids)} tid and {len(extents)} size.")
        people = []
        for i, (points, extent) in enumerate(zip(joints, extents, strict=True)):
            if i < len(waited) and _numbers(waited[i], f"{here}, tracked_time[{i}]", 1)[0] > 0:
                continue
            height, width = _numbers(extent, f"{here}, size[{i}]", 2)
            sizes.add((int(width), int(height)))
            spot = f"{here}, 2d_joints[{i}]"
            identity = int(_numbers(ids[i], f"{here}, tid[{i}]", 1)[0])
            people.append(Person(_pixels(points, width, height, spot), spot, identity))
        frames.append(Frame(str(name), tuple(people)))
    size = sizes.pop() if len(sizes) == 1 else None
    return Clip(FAMILY, tuple(frames), {len(PHALP_45): PHALP_45}, image_size=size)


def _column(values: dict[str, object], key: str, place: str) -> Sequence[object]:
    """The list by person under ``key``, empty when nobody is there."""
    column = values.get(key)
    if not isinstance(column, list):
        raise FitError(f"{place} has no list {key}; it has {', '.join(map(str, values)) or 'nothing'}.")
    return column


def _numbers(value: object, place: str, count: int | None = None) -> np.ndarray:
    try:
        flat = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise FitError(f"{place} holds something else than numbers.") from None
    if count is not None and (flat.size != count or not np.isfinite(flat).all()):
        raise FitError(f"{place} holds {flat.size} numbers; {count} finite ones are right.")
    return flat


def _pixels(points: object, width: float, height: float, place: str) -> np.ndarray:
    flat = _numbers(points, place)
    if flat.size % 2:
        raise FitError(f"{place} has {flat.size} numbers; x, y for each point is right.")
    side = max(width, height)
    xy = flat.reshape(-1, 2) * side - (side - np.array([width, height])) / 2
    return np.column_stack([xy, np.ones(len(xy))])
