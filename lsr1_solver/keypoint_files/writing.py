"""Keypoints written to files that other programs and ``read_keypoints`` read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FitError
from ..keypoints import Keypoints2D
from . import own


def write_keypoints(path: Path, people: Sequence[Keypoints2D], *, frame_rate: float | None = None) -> None:
    """Write people who have the same frames: one ``.json`` for the clip, or a folder in OpenPose's layout.

    The file is the product's own JSON and keeps all; a folder (any other ending) gets OpenPose's
    ``NAME_000000000012_keypoints.json``, one a frame, with the points in their own format's order, and is
    made where it is missing. Raises FitError where nobody is given and where nothing can be written there.
    """
    if not people:
        raise FitError(f"{path}: there is nobody to write")
    try:
        if path.suffix.lower() == ".json":
            own.write(path, people, frame_rate=frame_rate)
        else:
            _write_openpose(path, people)
    except OSError as error:
        raise FitError(f"{path} cannot be written: {error.strerror}") from error


def _write_openpose(folder: Path, people: Sequence[Keypoints2D]) -> None:
    folder.mkdir(exist_ok=True)
    for b, number in enumerate(people[0].numbers):
        found = []
        for index, person in enumerate(people):
            if person.present[b]:
                triplets = np.concatenate([person.xy[b], person.confidence[b, :, None]], axis=1)
                flat = np.round(triplets, 4).ravel().tolist()
                found.append({"person_id": [index], "pose_keypoints_2d": flat})
        file = folder / f"{folder.name}_{number:012d}_keypoints.json"
        file.write_text(json.dumps({"version": 1.3, "people": found}) + "\n", encoding="utf-8")
