"""OpenPose's JSON: one file a frame, ``people[].pose_keypoints_2d`` (1.0: ``pose_keypoints``), pixels.

The format is told by the number of values. BODY_25 and BODY_25B both have 75: see ``body_25_variant``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ..errors import FitError
from ..keypoint_formats import (
    BLAZEPOSE_33,
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
FORMATS_BY_COUNT = {
    len(f): f for f in (BODY_25, COCO_18, COCO_17, HALPE_26, BLAZEPOSE_33, COCO_WHOLEBODY_133, HALPE_136)
}
# Mean lengths of limbs in the two orders differ by this factor at least where it is plain which is right.
_PLAINLY = 1.5


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

    Limbs are short in the right order of points and zigzag over the body in the wrong one, where they are
    three times as long on the average. People for whom neither is plain (nothing but feet) count as BODY_25,
    the default of OpenPose. A warning says what was taken where it isn't plainly BODY_25.
    """
    points = np.stack(people)
    known = np.isfinite(points).all(axis=2) & (points[..., 2] > 0)
    xy = np.where(known[..., None], points[..., :2], np.nan)
    usual, other = (_edge_length(xy, layout) for layout in (BODY_25, BODY_25B))
    ratios = (other / usual)[np.isfinite(usual) & np.isfinite(other) & (usual > 0)]
    ratio = float(np.median(ratios)) if ratios.size else 1.0
    if ratio > _PLAINLY:
        return BODY_25
    if ratio < 1 / _PLAINLY:
        _log.warning("%s: 75 values, read as BODY_25B by the shape of the people; format= decides.", place)
        return BODY_25B
    _log.warning("%s: 75 values may be BODY_25 or BODY_25B; read as BODY_25, format= decides.", place)
    return BODY_25


def _edge_length(xy: np.ndarray, layout: KeypointFormat) -> np.ndarray:
    """[N] the mean length of the lines between points of ``xy`` [N, K, 2] that are known, NaN for none."""
    ends = np.array(layout.edges)
    lengths = np.linalg.norm(xy[:, ends[:, 0]] - xy[:, ends[:, 1]], axis=-1)
    count = np.isfinite(lengths).sum(axis=1)
    return np.where(count > 0, np.nansum(lengths, axis=1) / np.maximum(count, 1), np.nan)
