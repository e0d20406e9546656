"""Where the points of keypoint formats lie on a body of SMPL's own topology, as facts about that topology.

Vertex numbers: smplx's ``vertex_ids`` (Pavlakos et al., *Expressive Body Capture*, CVPR 2019) and, for the
top of the head, SMPL-Anthropometry. What has no known vertex is a sum of joints and of those vertices; its
weights were fitted to the open body's landmarks by ``assets/make_landmark_weights.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from .body_model import SMPL_JOINT_NAMES, Landmark

SMPL_VERTEX_COUNT = 6890

SMPL_LANDMARK_VERTICES = {
    "nose": 332, "head_top": 412,
    "left_eye": 2800, "right_eye": 6260,
    "left_ear": 583, "right_ear": 4071,
    "left_big_toe": 3216, "right_big_toe": 6617,
    "left_small_toe": 3226, "right_small_toe": 6624,
    "left_heel": 3387, "right_heel": 6787,
    "left_thumb_tip": 2746, "right_thumb_tip": 6191,
    "left_index_tip": 2319, "right_index_tip": 5782,
    "left_middle_tip": 2445, "right_middle_tip": 5905,
    "left_ring_tip": 2556, "right_ring_tip": 6016,
    "left_pinky_tip": 2673, "right_pinky_tip": 6133,
}  # fmt: skip

# The left side and the middle; the right side is its mirror.
_OF_JOINTS: dict[str, dict[str, float]] = {
    "coco_left_shoulder": {"left_shoulder": 1.0},
    "coco_left_elbow": {"left_elbow": 1.0},
    "coco_left_wrist": {"left_wrist": 1.0},
    "coco_left_hip": {"left_hip": 1.3, "right_hip": -0.3},
    "coco_left_knee": {"left_knee": 1.0},
    "coco_left_ankle": {"left_ankle": 1.0},
}
_OF_VERTICES: dict[str, dict[str, float]] = {
    "left_eye_inner": {"left_eye": 0.75, "right_eye": 0.25},
}
_MIDPOINTS = {
    "coco_neck": ("coco_left_shoulder", "coco_right_shoulder"),
    "coco_mid_hip": ("coco_left_hip", "coco_right_hip"),
}


def joint_landmarks() -> dict[str, Landmark]:
    """SMPL's 24 joints under their names: landmarks of every body."""
    return {name: Landmark(joints=(j,), joint_weights=(1.0,)) for j, name in enumerate(SMPL_JOINT_NAMES)}


def landmarks_of_joints() -> dict[str, Landmark]:
    """What joints alone can tell: SMPL's joints and COCO's body points, for a mesh of unknown topology."""
    sums = _both_sides(_OF_JOINTS)
    sums |= {name: _mean(sums[a], sums[b]) for name, (a, b) in _MIDPOINTS.items()}
    return joint_landmarks() | {name: _landmark(weights) for name, weights in sums.items()}


def smpl_landmarks() -> dict[str, Landmark]:
    """The landmarks of a body of SMPL's own 6890 vertices."""
    single = {
        name: Landmark(vertices=(v,), vertex_weights=(1.0,)) for name, v in SMPL_LANDMARK_VERTICES.items()
    }
    sums = {name: _landmark(weights) for name, weights in _both_sides(_OF_VERTICES).items()}
    return landmarks_of_joints() | single | sums


def _landmark(weights: Mapping[str, float]) -> Landmark:
    """A weighted sum of joints and of vertices, each by name."""
    joints = {name: w for name, w in weights.items() if name in SMPL_JOINT_NAMES}
    vertices = {name: w for name, w in weights.items() if name not in joints}
    return Landmark(
        vertices=tuple(SMPL_LANDMARK_VERTICES[name] for name in vertices),
        vertex_weights=tuple(vertices.values()),
        joints=tuple(SMPL_JOINT_NAMES.index(name) for name in joints),
        joint_weights=tuple(joints.values()),
    )


def mirrored(name: str) -> str:
    """The name of the other side's point: left and right change places."""
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")


def _both_sides(table: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    left = {name: dict(weights) for name, weights in table.items()}
    right = {
        mirrored(name): {mirrored(part): w for part, w in weights.items()} for name, weights in table.items()
    }
    return left | right


def _mean(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: (a.get(name, 0.0) + b.get(name, 0.0)) / 2 for name in a.keys() | b.keys()}
