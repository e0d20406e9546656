"""ROMP's and BEV's results: a pickled dictionary in an ``.npz``, of one picture or of a video.

https://github.com/Arthur151/ROMP: ``results`` holds ``smpl_thetas`` (people, 72), ``smpl_betas``,
``cam_trans`` and, where people were followed, ``track_ids``; for a video it is a dictionary of such by the
pictures' names. Camera axes: y down, z away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import FitError
from ..keypoint_files.numbering import number_frames
from .people import People
from .records import Recording, Space, finite, numbers, rotations_of

KEYS = frozenset({"results"})


def read(frames: Sequence[tuple[str, object]], place: str) -> Recording:
    """Files of ROMP in their order, each its name and its ``results``. FitError for a wrong structure."""
    pictures: list[tuple[str, Mapping[object, object]]] = []
    for name, results in frames:
        if not isinstance(results, Mapping):
            raise FitError(f"{place}, {name}: results holds no dictionary; ROMP's files do.")
        if "smpl_thetas" in results:
            pictures.append((name, results))
            continue
        for picture, people in results.items():
            if not isinstance(people, Mapping):
                raise FitError(f"{place}, {picture} holds no dictionary with smpl_thetas.")
            pictures.append((str(picture), people))
    if not pictures:
        raise FitError(f"{place}: results holds no frames.")
    numbering = number_frames([name for name, _ in pictures], place)
    people = People()
    for index, number in zip(numbering.order, numbering.numbers, strict=True):
        name, found = pictures[index]
        _add_people(people, found, int(number), f"{place}, {name}")
    return Recording("ROMP", None, Space("-Y", people.tracks(place)), None)


def _add_people(people: People, found: Mapping[object, object], number: int, place: str) -> None:
    thetas = found.get("smpl_thetas")
    poses = np.atleast_2d(finite([] if thetas is None else thetas, f"{place}: smpl_thetas"))
    if not poses.size:
        return  # nobody was seen
    rotations = rotations_of(poses, f"{place}: smpl_thetas")
    count = len(rotations)
    trans = numbers(found.get("cam_trans", np.zeros((count, 3))), f"{place}: cam_trans", (count, 3))
    betas = np.zeros((count, 0))
    if "smpl_betas" in found:
        betas = finite(found["smpl_betas"], f"{place}: smpl_betas")
        betas = numbers(betas, f"{place}: smpl_betas", (count, max(betas.size // count, 1)))
    ids = numbers(found.get("track_ids", np.arange(count)), f"{place}: track_ids", (count,)).astype(int)
    for i, identity in enumerate(ids.tolist()):
        people.add(identity, number, rotations[i], trans[i], betas[i][:10])
