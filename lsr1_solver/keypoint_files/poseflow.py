"""PoseFlow's and AlphaPose's dictionaries: the path of a picture -> its people."""

from __future__ import annotations

import json
import logging
import re

from ..errors import FitError
from . import openpose
from .coco import FORMATS_BY_COUNT
from .records import Clip, Frame, Json, Person, a_list, an_object, track_id, triplets

_log = logging.getLogger(__name__)

_PICTURE = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp)$", re.IGNORECASE)
_FIRST_KEY = re.compile(r'\s*\{\s*"[^"\n]+\.(jpe?g|png|bmp|tiff?|webp)"\s*:', re.IGNORECASE)


def claims(document: Json) -> bool:
    """Whether every name of the parsed file is a picture's."""
    return isinstance(document, dict) and bool(document) and all(_PICTURE.search(key) for key in document)


def read(document: Json, place: str) -> Clip:
    """Frames by the pictures' names. Raises FitError for a wrong structure."""
    frames = []
    for name, value in an_object(document, place).items():
        here = f"{place}, {name}"
        if isinstance(value, dict):  # AlphaPose's imitation of OpenPose
            if not openpose.claims(value):
                raise FitError(
                    f"{here} has neither people nor bodies; it has {', '.join(value) or 'nothing'}."
                )
            frames.append(Frame(name, openpose.people_of(value, here)))
            continue
        entries = enumerate(a_list(value, here))
        people = [_person(entry, f"{here}[{i}]") for i, entry in entries]
        frames.append(Frame(name, tuple(person for person in people if person)))
    return Clip("PoseFlow", tuple(frames), FORMATS_BY_COUNT)


def _person(entry: Json, place: str) -> Person | None:
    entry = an_object(entry, place)
    if "keypoints" not in entry:
        raise FitError(f"{place} has no keypoints; it has {', '.join(entry) or 'nothing'}.")
    points = triplets(entry["keypoints"], f"{place}.keypoints")
    identity = track_id(entry.get("idx", entry.get("new_pid")))
    return Person(points, f"{place}.keypoints", identity) if len(points) else None


def whole_pictures(text: str, place: str) -> dict[str, Json]:
    """The pictures before the place where a dictionary by picture breaks off; empty where it is none.

    A detector that is stopped leaves such a file; the frames before the end are sound.
    """
    if not _FIRST_KEY.match(text):
        return {}
    decoder, found = json.JSONDecoder(), {}
    position = text.index("{") + 1
    try:
        while True:
            position = _after(text, position, " \t\r\n,")
            name, position = decoder.raw_decode(text, position)
            value, position = decoder.raw_decode(text, _after(text, position, " \t\r\n:"))
            found[name] = value
    except (json.JSONDecodeError, RecursionError):
        line = text.count("\n", 0, position) + 1
    if found:
        _log.warning("%s breaks off after line %d; read up to picture %s.", place, line, list(found)[-1])
    return found


def _after(text: str, position: int, skipped: str) -> int:
    while position < len(text) and text[position] in skipped:
        position += 1
    return position
