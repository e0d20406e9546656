"""4D-Humans' and PHALP's tracks: a dictionary by the frames' paths of lists by person, in a joblib file.

https://github.com/shubham-goel/4D-Humans: ``smpl`` holds rotation matrices, ``camera`` the body's place
before a lens of 5000 pixels for a picture of 256. Such a lens sees bodies some 50 m away; here they are set
as far off as before the camera that the product assumes where it knows none, in the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..camera import default_camera
from ..errors import FitError
from ..keypoint_files.numbering import number_frames
from ..rotation import matrix_to_axis_angle
from .people import People
from .records import Recording, Space, numbers

# PHALP's configuration: EXTRA.FOCAL_LENGTH over MODEL.IMAGE_SIZE.
_FOCAL_LENGTHS = 5000.0 / 256.0
_SIDE = 1000
# How far a matrix may be from a rotation: files hold 32-bit numbers.
_SAME = 1e-3


def claims(document: Mapping[object, object]) -> bool:
    """Whether this is a dictionary of frames with ``smpl``."""
    return bool(document) and all(isinstance(v, Mapping) and "smpl" in v for v in document.values())


def read(document: Mapping[object, object], place: str) -> Recording:
    """The people of the tracks; those whom the tracker only guesses at (``tracked_time`` > 0) are left out.

    Raises FitError for a wrong structure.
    """
    names = [str(name) for name in document]
    frames = list(document.values())
    numbering = number_frames(names, place)
    people = People()
    for index, number in zip(numbering.order, numbering.numbers, strict=True):
        values = frames[index]
        assert isinstance(values, Mapping)
        _add_people(people, values, int(number), f"{place}, {names[index]}")
    return Recording("PHALP", None, Space("-Y", people.tracks(place)), None)


def _add_people(people: People, values: Mapping[object, object], number: int, place: str) -> None:
    smpl, ids = values.get("smpl"), values.get("tid")
    if not isinstance(smpl, list) or not isinstance(ids, list) or len(smpl) != len(ids):
        raise FitError(f"{place} should have lists smpl and tid of the same length.")
    cameras, waited = values.get("camera", []), values.get("tracked_time", [])
    for i, (person, identity) in enumerate(zip(smpl, ids, strict=True)):
        if isinstance(waited, list) and i < len(waited) and numbers(waited[i], place, (1,)).item() > 0:
            continue
        here = f"{place}, smpl[{i}]"
        if not isinstance(person, Mapping):
            raise FitError(f"{here} is no dictionary with global_orient, body_pose and betas.")
        root = numbers(person.get("global_orient"), f"{here}: global_orient", (1, 3, 3))
        joints = numbers(person.get("body_pose"), f"{here}: body_pose", (23, 3, 3))
        betas = numbers(person.get("betas"), f"{here}: betas", (None,))
        matrices = np.concatenate([root, joints])
        if np.abs(matrices @ np.swapaxes(matrices, -1, -2) - np.eye(3)).max() > _SAME:
            raise FitError(f"{here} holds matrices that are no rotations.")
        trans = np.zeros(3)
        if isinstance(cameras, list) and i < len(cameras):
            trans = _before_usual_lens(numbers(cameras[i], f"{place}, camera[{i}]", (3,)))
        track = int(numbers(identity, f"{place}, tid[{i}]", (1,)).item())
        people.add(track, number, matrix_to_axis_angle(matrices), trans, betas)


def _before_usual_lens(trans: np.ndarray) -> np.ndarray:
    """A place [3] before PHALP's lens, seen in the same pixels through the default camera's."""
    focal = float(np.ravel(default_camera((_SIDE, _SIDE)).focal_length)[0]) / _SIDE
    return trans * np.array([1.0, 1.0, focal / _FOCAL_LENGTHS])
