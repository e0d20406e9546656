"""WHAM's results: a dictionary by person in a joblib file.

https://github.com/yohanshin/WHAM: ``pose_world`` and ``trans_world`` are y up; ``pose`` and ``trans`` are in
camera axes, y down and z away. Numbers of frames are in ``frame_ids``, or ``frame_id``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import FitError
from .records import Recording, Space, Track, Up, betas_of, numbers, rotations_of

_SPACES: tuple[tuple[str, str, Up], ...] = (("pose_world", "trans_world", "Y"), ("pose", "trans", "-Y"))


def claims(document: Mapping[object, object]) -> bool:
    """Whether this is a dictionary of people with WHAM's poses."""
    return bool(document) and all(
        isinstance(v, Mapping) and ("pose_world" in v or "pose" in v) for v in document.values()
    )


def read(document: Mapping[object, object], place: str) -> Recording:
    """The people, in the world and before the camera. FitError where something has a wrong shape."""
    world, camera = (
        _space(document, pose, trans, up, place)
        if all(isinstance(v, Mapping) and pose in v and trans in v for v in document.values())
        else None
        for pose, trans, up in _SPACES
    )
    if world is None and camera is None:
        raise FitError(f"{place}: every person should have pose and trans, or pose_world and trans_world.")
    return Recording("WHAM", world, camera, None)


def _space(document: Mapping[object, object], pose: str, trans: str, up: Up, place: str) -> Space:
    tracks = []
    for identity, person in document.items():
        assert isinstance(person, Mapping)
        here = f"{place}, person {identity}"
        places = numbers(person[trans], f"{here}: {trans}", (None, 3))
        count = len(places)
        rotations = rotations_of(person[pose], f"{here}: {pose}", count)
        betas = betas_of(person.get("betas"), f"{here}: betas", count)
        ids = person.get("frame_ids", person.get("frame_id", np.arange(count)))
        order = numbers(ids, f"{here}: frame_ids", (count,)).astype(np.int64)
        if np.any(np.diff(order) <= 0):
            raise FitError(f"{here}: frame_ids should grow from frame to frame.")
        tracks.append(Track(f"person {identity}", rotations, places, betas, order))
    return Space(up, tuple(tracks))
