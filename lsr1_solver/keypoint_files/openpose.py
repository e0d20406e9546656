"""OpenPose's JSON: one file a frame, ``people[].pose_keypoints_2d`` (1.0: ``pose_keypoints``), pixels.

The format is told by the number of values. BODY_25 and BODY_25B both have 75: see ``body_25_variant``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ..errors import FitError
from ..keypoint_formats import (
    BODY_25,
    BODY_25B,
    COCO_17,
    COCO_18,
    COCO_WHOLEBODY_133,
    HALPE_26,
    HALPE_136,
    KeypointFormat,
)
from .records import Clip, Frame, Json, Person, a_list, an_object, track_id, triplets

_log = logging.getLogger(__name__)

FAMILY = "OpenPose JSON"
KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")
# Other detectors write OpenPose's layout too (Pose2Sim, AlphaPose).
FORMATS_BY_COUNT = {len(f): f for f in (BODY_25, COCO_18, COCO_17, HALPE_26, COCO_WHOLEBODY_133, HALPE_136)}
# Distances in parts of the person's size. Real BODY_25 has its middle points within 0.03.
_MIDDLE_NEAR, _MIDDLE_FAR, _FACE_NEAR = 0.06, 0.12, 0.12


def claims(document: Json) -> bool:
    """Whether the parsed file is of this family."""
    return isinstance(document, dict) and ("people" in document or "bodies" in document)


def read(document: Json, place: str) -> Clip:
    """One frame. Raises FitError where the structure is not OpenPose's."""
    return Clip(FAMILY, (Frame(None, people_of(an_object(document, place), place)),), FORMATS_BY_COUNT)


def people_of(document: dict[str, Json], place: str) -> tuple[Person, ...]:
    """The people of one frame; a person without any body point (a lone hand) is left out."""
    name = "people" if "people" in document else "bodies"
    people = []
    for i, entry in enumerate(a_list(document[name], f"{place}, {name}")):
        here = f"{place}, {name}[{i}]"
        entry = an_object(entry, here)
        key = next((k for k in KEYS if k in entry), None)
        if key is None:
            raise FitError(f"{here} has no pose_keypoints_2d; it has {', '.join(entry) or 'nothing'}.")
        points = triplets(entry[key], f"{here}.{key}")
        if len(points):
            people.append(Person(points, f"{here}.{key}", track_id(entry.get("person_id"))))
    return tuple(people)


def body_25_variant(people: Sequence[np.ndarray], place: str) -> KeypointFormat:
    """BODY_25 or BODY_25B, judged by the shape of the people ([25, 3] x, y, confidence, NaN missing).

    BODY_25 has points in the middle of the hips (8 of 9 and 12) and of the shoulders (1 of 2 and 5). In
    BODY_25B these are a right elbow and a left eye, while the eyes and the ears (1 to 4) lie about the nose.
    A person for whom neither is plain counts as BODY_25, the default of OpenPose, with a warning.
    """
    points = np.stack(people)
    xy = np.where((np.nan_to_num(points[..., 2:]) > 0) & (points[..., :1] != 0), points[..., :2], np.nan)
    if np.isnan(xy).all():
        return BODY_25
    with np.errstate(all="ignore"):
        flat = np.nan_to_num(xy, nan=np.inf), np.nan_to_num(xy, nan=-np.inf)
        size = np.linalg.norm(flat[1].max(axis=1) - flat[0].min(axis=1), axis=1)
    middle = [xy[:, 8] - (xy[:, 9] + xy[:, 12]) / 2, xy[:, 1] - (xy[:, 2] + xy[:, 5]) / 2]
    face = [xy[:, i] - xy[:, 0] for i in (1, 2, 3, 4)]
    off_middle, off_face = (_typical(offsets, size) for offsets in (middle, face))
    if off_middle < _MIDDLE_NEAR:
        return BODY_25
    if off_middle > _MIDDLE_FAR and off_face < _FACE_NEAR:
        _log.warning("%s: 75 values, read as BODY_25B by the shape of the people; format= decides.", place)
        return BODY_25B
    _log.warning("%s: 75 values may be BODY_25 or BODY_25B; read as BODY_25, format= decides.", place)
    return BODY_25


def _typical(offsets: list[np.ndarray], size: np.ndarray) -> float:
    """The median length of the offsets in parts of the person's size, NaN where none is known."""
    lengths = np.linalg.norm(np.stack(offsets), axis=-1) / size
    lengths = lengths[np.isfinite(lengths)]
    return float(np.median(lengths)) if lengths.size else float("nan")
