"""COCO's annotations and results and their relatives: Halpe, CrowdPose, PoseTrack, COCO-WholeBody, AlphaPose.

A picture is a frame, in the natural order of file names (or of picture ids where there are no names).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ..errors import FitError
from ..keypoint_formats import (
    COCO_17,
    COCO_18,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    HALPE_26,
    HALPE_136,
    MPII_16,
    KeypointFormat,
)
from .records import Clip, Frame, Json, Person, a_list, an_object, positive_size, track_id, triplets

FORMATS_BY_COUNT: Mapping[int, KeypointFormat] = MappingProxyType(
    {len(f): f for f in (COCO_17, COCO_18, CROWDPOSE_14, MPII_16, HALPE_26, COCO_WHOLEBODY_133, HALPE_136)}
)
# COCO-WholeBody's parts in the order of its 133 points, with the number of points of each.
_WHOLE_BODY = (
    ("keypoints", 17), ("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21),
)  # fmt: skip
_OCCLUDED = 0.5


def claims_annotations(document: Json) -> bool:
    """Whether the parsed file is a data set: pictures, annotations, categories."""
    return isinstance(document, dict) and "annotations" in document


def claims_results(document: Json) -> bool:
    """Whether the parsed file is a flat list, an entry a person a picture: COCO results or AlphaPose."""
    return (
        isinstance(document, list)
        and bool(document)
        and isinstance(document[0], dict)
        and "image_id" in document[0]
    )


def read_annotations(document: Json, place: str) -> Clip:
    """A data set's annotations. Flags become confidences: 2 -> 1, 1 (occluded) -> 0.5, 0 -> missing.

    Where a file never writes 2 (PoseTrack), 1 means 1. Crowds and annotations without keypoints are left out.
    Raises FitError for a wrong structure.
    """
    data = an_object(document, place)
    labels: dict[int | str, int | str] = {}
    people: dict[int | str, list[Person]] = {}
    sizes = set()
    for i, entry in enumerate(a_list(data.get("images", []), f"{place}, images")):
        image = an_object(entry, f"{place}, images[{i}]")
        key = _image_key(image.get("id"), f"{place}, images[{i}].id")
        name = image.get("file_name")
        labels[key] = name if isinstance(name, str) and name else key
        people[key] = []
        sizes.add(positive_size(image.get("width"), image.get("height")))
    for i, entry in enumerate(a_list(data["annotations"], f"{place}, annotations")):
        here = f"{place}, annotations[{i}]"
        annotation = an_object(entry, here)
        key = _image_key(annotation.get("image_id"), f"{here}.image_id")
        labels.setdefault(key, key)
        if person := _person(annotation, here):
            people.setdefault(key, []).append(person)
    frames = tuple(Frame(labels[key], tuple(people.get(key, ()))) for key in labels)
    size = next(iter(sizes)) if len(sizes) == 1 else None
    names, photos = _category_names(data), len(sizes) > 1
    return _flags_to_confidence(
        Clip("COCO annotations", frames, FORMATS_BY_COUNT, names, size, pictures=photos)
    )


def read_results(document: Json, place: str) -> Clip:
    """A flat list of people, as COCO's evaluation and AlphaPose write it. FitError for a wrong structure."""
    people: dict[int | str, list[Person]] = {}
    for i, entry in enumerate(a_list(document, place)):
        here = f"{place}, entry {i}"
        result = an_object(entry, here)
        key = _image_key(result.get("image_id"), f"{here}, image_id")
        if "keypoints" not in result and "bbox" in result:
            raise FitError(
                f"{here} is a box without keypoints, the output of a person detector; right is the file that "
                "the pose detector made of it."
            )
        person = _person(result, here)
        people.setdefault(key, []).extend([person] if person else [])
    frames = tuple(Frame(key, tuple(found)) for key, found in people.items())
    return _flags_to_confidence(Clip("COCO results", frames, FORMATS_BY_COUNT))


def _image_key(value: Json, place: str) -> int | str:
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        return value
    raise FitError(f"{place} is {value!r}; the number or the file name of the picture is right.")


def _person(entry: dict[str, Json], place: str) -> Person | None:
    """The person of an annotation or a result, None for a crowd and where no point is labelled."""
    if entry.get("iscrowd") == 1 or entry.get("num_keypoints") == 0 or entry.get("keypoints") == []:
        return None
    if "keypoints" not in entry:
        raise FitError(f"{place} has no keypoints; it has {', '.join(entry)}.")
    parts = [triplets(entry["keypoints"], f"{place}.keypoints")]
    if "foot_kpts" in entry or "face_kpts" in entry:
        parts = []
        for name, count in _WHOLE_BODY:
            flat = entry.get(name)
            part = triplets(flat, f"{place}.{name}") if flat else np.zeros((count, 3))
            if len(part) != count:
                raise FitError(f"{place}.{name} has {len(part)} points; {count} are right.")
            parts.append(part)
    identity = track_id(entry.get("track_id", entry.get("idx")))
    return Person(np.concatenate(parts), f"{place}.keypoints", identity)


def _category_names(data: dict[str, Json]) -> tuple[str, ...]:
    """The keypoints' names in the first category, empty where the file leaves them blank."""
    categories = data.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else None
    names = first.get("keypoints") if isinstance(first, dict) else None
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        return ()
    return tuple(str(n) for n in names)


def _flags_to_confidence(clip: Clip) -> Clip:
    """Third values that are nothing but visibility flags become confidences; scores stay as they are.

    Each part of a whole body has its own convention: a body's 1 means occluded, a face's 1 means labelled.
    """
    people = list(clip.people())
    counts = {len(p.points) for p in people}
    if len(counts) != 1:
        return clip
    ends = np.cumsum([n for _, n in _WHOLE_BODY]) if counts == {133} else np.array([counts.pop()])
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        flags = np.stack([p.points[first:last, 2] for p in people])
        if np.isin(flags, (0.0, 1.0, 2.0)).all() and (flags == 2).any():
            for person in people:
                part = person.points[first:last, 2]
                part[:] = np.choose(part.astype(int), (0.0, _OCCLUDED, 1.0))
    return clip
