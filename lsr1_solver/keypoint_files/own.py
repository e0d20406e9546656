"""The product's own JSON: a clip's people with everything that is known of them, in one file.

    {"lsr1_keypoints": 1, "format": "BLAZEPOSE_33", "image_size": [1080, 1920], "frame_rate": 60.0,
     "frames": [{"frame": 0, "people": [{"person": 0,
        "keypoints": [[x, y, confidence], ...], "keypoints_3d": [[x, y, z, confidence], ...]}]}]}

x and y are pixels; 3D keypoints are metres in camera axes (x right, y up, z towards the camera).
``keypoints_3d``, ``image_size`` and ``frame_rate`` may be absent; a point that is not seen has confidence 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FitError
from ..keypoint_formats import keypoint_format
from ..keypoints import Keypoints2D
from .records import Clip, Frame, Json, Person, a_list, an_object, numbers, positive_size, track_id

FAMILY = "LSR1 JSON"
_KEY, _VERSION = "lsr1_keypoints", 1
# What is kept of pixels, of metres and of confidences: a hundredth, a tenth of a millimetre, a thousandth.
_PIXEL_DIGITS, _METRE_DIGITS, _CONFIDENCE_DIGITS = 2, 4, 3


def claims(document: Json) -> bool:
    """Whether the parsed file is of this family."""
    return isinstance(document, dict) and _KEY in document


def read(document: Json, place: str) -> Clip:
    """The clip. Raises FitError for a newer version and for a wrong structure."""
    document = an_object(document, place)
    if document[_KEY] != _VERSION:
        raise FitError(f"{place} is of version {document[_KEY]}, this program reads {_VERSION}: update it.")
    layout = keypoint_format(str(document.get("format")))
    size = document.get("image_size")
    frames = []
    for i, value in enumerate(a_list(document.get("frames"), f"{place}, frames")):
        spot = f"{place}, frames[{i}]"
        entry = an_object(value, spot)
        number = entry.get("frame", i)
        if not isinstance(number, int):
            raise FitError(f"{spot}.frame is {number!r}; a whole number is right.")
        people = a_list(entry.get("people"), f"{spot}.people")
        frames.append(Frame(number, tuple(_person(p, f"{spot}.people[{k}]") for k, p in enumerate(people))))
    return Clip(
        FAMILY,
        tuple(frames),
        {len(layout): layout},
        image_size=positive_size(*size) if isinstance(size, list) and len(size) == 2 else None,
    )


def _person(value: Json, place: str) -> Person:
    entry = an_object(value, place)
    points = _rows(entry.get("keypoints"), 3, f"{place}.keypoints")
    metres = entry.get("keypoints_3d")
    return Person(
        points,
        place,
        track_id(entry.get("person")),
        None if metres is None else _rows(metres, 4, f"{place}.keypoints_3d"),
    )


def _rows(value: Json, width: int, place: str) -> np.ndarray:
    rows = [numbers(row, f"{place}[{i}]") for i, row in enumerate(a_list(value, place))]
    wrong = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if wrong is not None:
        raise FitError(f"{place}[{wrong}] has {len(rows[wrong])} numbers; right are {width}.")
    return np.array(rows).reshape(-1, width)


def write(path: Path, people: Sequence[Keypoints2D], *, frame_rate: float | None = None) -> None:
    """Write people who have the same frames, as ``read_keypoints`` gives them. OSError from writing."""
    first = people[0]
    document: dict[str, Json] = {_KEY: _VERSION, "format": first.format.name}
    if first.image_size is not None:
        document["image_size"] = list(first.image_size)
    if frame_rate is not None:
        document["frame_rate"] = frame_rate
    document["frames"] = [
        {
            "frame": int(number),
            "people": [_entry(p, i, b) for i, p in enumerate(people) if p.present[b]],
        }
        for b, number in enumerate(first.numbers)
    ]
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


def _entry(person: Keypoints2D, index: int, b: int) -> dict[str, Json]:
    entry: dict[str, Json] = {
        "person": index,
        "keypoints": _rounded(person.xy[b], _PIXEL_DIGITS, person.confidence[b]),
    }
    if person.xyz is not None and person.xyz_confidence is not None:
        entry["keypoints_3d"] = _rounded(person.xyz[b], _METRE_DIGITS, person.xyz_confidence[b])
    return entry


def _rounded(points: np.ndarray, digits: int, confidence: np.ndarray) -> Json:
    # A point that is seen keeps a confidence above 0.
    least = np.where(confidence > 0, 10.0**-_CONFIDENCE_DIGITS, 0.0)
    weights = np.maximum(np.round(confidence, _CONFIDENCE_DIGITS), least)
    return np.concatenate([np.round(points, digits), weights[:, None]], axis=1).tolist()
