"""MMPose's JSON: ``instance_info`` of frames or of people, or a list of either; points and scores apart."""

from __future__ import annotations

import numpy as np

from ..errors import FitError
from .coco import FORMATS_BY_COUNT
from .records import Clip, Frame, Json, Person, a_list, an_object, numbers, track_id

FAMILY = "MMPose JSON"


def claims(document: Json) -> bool:
    """Whether the parsed file is of this family."""
    if isinstance(document, dict):
        return "instance_info" in document or "instances" in document
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and ("instances" in first or "keypoint_scores" in first)


def read(document: Json, place: str) -> Clip:
    """Frames by ``frame_id`` (from 0 or from 1: the file's own numbers). FitError for a wrong structure."""
    names: tuple[str, ...] = ()
    entries, here = document, place
    if isinstance(document, dict) and "instance_info" in document:
        names = _names(document.get("meta_info"))
        entries, here = document["instance_info"], f"{place}, instance_info"
    elif isinstance(document, dict):
        alone: list[Json] = [document]
        entries = alone
    entries = a_list(entries, here)
    if entries and not any(isinstance(e, dict) and "instances" in e for e in entries):
        frames = (Frame(None, _people(entries, here)),)
        return Clip(FAMILY, frames, FORMATS_BY_COUNT, names)
    frames = []
    for i, entry in enumerate(entries):
        spot = f"{here}[{i}]"
        entry = an_object(entry, spot)
        if "instances" not in entry:
            raise FitError(f"{spot} has no instances; it has {', '.join(entry) or 'nothing'}.")
        label = entry.get("frame_id")
        label = label if isinstance(label, int) else i
        frames.append(Frame(label, _people(entry["instances"], f"{spot}.instances")))
    return Clip(FAMILY, tuple(frames), FORMATS_BY_COUNT, names)


def _people(value: Json, place: str) -> tuple[Person, ...]:
    return tuple(_person(entry, f"{place}[{i}]") for i, entry in enumerate(a_list(value, place)))


def _person(entry: Json, place: str) -> Person:
    entry = an_object(entry, place)
    if "keypoints" not in entry:
        raise FitError(f"{place} has no keypoints; it has {', '.join(entry) or 'nothing'}.")
    here = f"{place}.keypoints"
    rows = [numbers(row, f"{here}[{i}]") for i, row in enumerate(a_list(entry["keypoints"], here))]
    for i, row in enumerate(rows):
        if row.size not in (2, 3):
            raise FitError(f"{here}[{i}] has {row.size} numbers; x, y (or x, y, score) is right.")
    points = np.array([(*row, np.nan)[:3] for row in rows]).reshape(-1, 3)
    scores = entry.get("keypoint_scores")
    if scores is None:
        points[np.isnan(points[:, 2]), 2] = 1.0
    else:
        values = numbers(scores, f"{place}.keypoint_scores")
        if len(values) != len(points):
            raise FitError(f"{place} has {len(points)} keypoints and {len(values)} keypoint_scores.")
        points[:, 2] = values
    return Person(points, here, track_id(entry.get("track_id")))


def _names(meta: Json) -> tuple[str, ...]:
    """The keypoints' names by MMPose's ``keypoint_id2name``, empty where the file has none."""
    table = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(table, dict) and all(key.isdigit() for key in table):
        return tuple(str(table[key]) for key in sorted(table, key=int))
    return ()
