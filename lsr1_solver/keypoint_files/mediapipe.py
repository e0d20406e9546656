"""MediaPipe's pose landmarks as JSON, in the shapes that programs write them.

A frame has ``pose_landmarks``: 33 points of one person, or a list of people; a point is an object ``{x, y, z,
visibility}`` or a list in that order. x is a fraction of the picture's width, y of its height. Points outside
0 to 1 are kept. ``pose_world_landmarks`` are metres from the middle of the hips; they are turned from the
file's axes (x right, y down, z away from the camera) to the camera's.
"""

from __future__ import annotations

import numpy as np

from ..errors import FitError
from ..keypoint_formats import BLAZEPOSE_33
from .records import Clip, Frame, Json, Person, a_list, an_object, kind_of, number, numbers, positive_size

FAMILY = "MediaPipe JSON"
FORMATS_BY_COUNT = {33: BLAZEPOSE_33}
_IMAGE_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks", "keypoints")
_WORLD_KEYS = ("pose_world_landmarks", "poseWorldLandmarks", "world_landmarks", "worldLandmarks")
_FRAME_KEYS = ("frame", "frame_number", "frame_id", "frame_index")
_SIZE_KEYS = (("image_width", "image_height"), ("width", "height"), ("imageWidth", "imageHeight"))
# From the file's axes to the camera's: x right, y up, z towards the camera; the visibility stays.
_TO_CAMERA_AXES = np.array([1.0, -1.0, -1.0, 1.0])


def claims(document: Json) -> bool:
    """Whether the parsed file is of this family."""
    if isinstance(document, list):
        return bool(document) and isinstance(document[0], dict) and _is_frame(document[0])
    if not isinstance(document, dict):
        return False
    return _is_frame(document) or isinstance(document.get("frames"), list)


def read(document: Json, place: str) -> Clip:
    """Frames by their number, or in their order. Raises FitError for a wrong structure."""
    size = None
    entries, here = document, place
    if isinstance(document, dict):
        size = _image_size(document)
        here = f"{place}, frames" if "frames" in document else place
        alone: list[Json] = [document]
        entries = document.get("frames", alone)
    frames = []
    for i, value in enumerate(a_list(entries, here)):
        spot = f"{here}[{i}]"
        entry = an_object(value, spot)
        size = size or _image_size(entry)
        label = next((entry[k] for k in _FRAME_KEYS if isinstance(entry.get(k), int)), None)
        frames.append(Frame(label if isinstance(label, int) else None, _people(entry, spot)))
    return Clip(FAMILY, tuple(frames), FORMATS_BY_COUNT, image_size=size)


def _is_frame(entry: dict[str, Json]) -> bool:
    return any(key in entry for key in (*_IMAGE_KEYS[:3], *_WORLD_KEYS))


def _image_size(entry: dict[str, Json]) -> tuple[int, int] | None:
    for width, height in _SIZE_KEYS:
        if size := positive_size(entry.get(width), entry.get(height)):
            return size
    pair = entry.get("image_size")
    return positive_size(pair[0], pair[1]) if isinstance(pair, list) and len(pair) == 2 else None


def _people(entry: dict[str, Json], place: str) -> tuple[Person, ...]:
    key = next((k for k in _IMAGE_KEYS if k in entry), None)
    world_key = next((k for k in _WORLD_KEYS if k in entry), None)
    seen = [] if key is None else _landmarks(entry[key], f"{place}.{key}")
    world = [] if world_key is None else _landmarks(entry[world_key], f"{place}.{world_key}")
    if key is None and world_key is None:
        return ()
    if not seen:
        seen = [np.full((len(w), 4), np.nan) for w in world]
    if world and len(world) != len(seen):
        raise FitError(f"{place} has {len(seen)} people in the picture and {len(world)} in the world.")
    for i, (points, metres) in enumerate(zip(seen, world, strict=False)):
        if len(points) != len(metres):
            raise FitError(f"{place}.{world_key}[{i}] has {len(metres)} points; the picture's {len(points)}.")
    return tuple(
        Person(
            points[:, [0, 1, 3]],
            f"{place}.{key}[{i}]",
            points_3d=world[i] * _TO_CAMERA_AXES if world else None,
        )
        for i, points in enumerate(seen)
    )


def _landmarks(value: Json, place: str) -> list[np.ndarray]:
    """[33, 4] x, y, z, visibility for each person; one person's points may come without a list round them."""
    if value is None:
        return []
    if isinstance(value, dict):  # protocol buffers: {"landmark": [...]}
        value = value.get("landmark", value.get("landmarks"))
    people = a_list(value, place)
    first = people[0] if people else None
    alone = isinstance(first, dict) and "x" in first
    alone = alone or (isinstance(first, list) and bool(first) and not isinstance(first[0], (list, dict)))
    if alone:
        return [_points(people, place)]
    found = []
    for i, person in enumerate(people):
        if isinstance(person, dict):
            person = person.get("landmark", person.get("landmarks"))
        if person:
            found.append(_points(a_list(person, f"{place}[{i}]"), f"{place}[{i}]"))
    return found


def _points(values: list[Json], place: str) -> np.ndarray:
    return np.array([_point(value, f"{place}[{i}]") for i, value in enumerate(values)])


def _point(value: Json, place: str) -> tuple[float, float, float, float]:
    if isinstance(value, list):
        flat = numbers(value, place)
        if flat.size not in (2, 3, 4):
            raise FitError(f"{place} has {flat.size} numbers; x, y, z, visibility is right.")
        return flat[0], flat[1], flat[2] if flat.size > 2 else np.nan, flat[3] if flat.size > 3 else 1.0
    if not isinstance(value, dict) or "x" not in value or "y" not in value:
        raise FitError(f"{place} is {kind_of(value)} without x and y; x, y, z, visibility is right.")
    # A point without visibility counts as seen; one whose visibility is null does not.
    shown = value.get("visibility", value.get("presence", 1.0))
    x, y, z, visible = (number(v, place) for v in (value["x"], value["y"], value.get("z"), shown))
    return x, y, z, visible
