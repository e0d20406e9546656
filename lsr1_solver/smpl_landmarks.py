"""Where the points of keypoint formats lie on a body, from what is known of SMPL's topology and of joints.

Vertex numbers: smplx's ``vertex_ids`` (Pavlakos et al., *Expressive Body Capture*, CVPR 2019) and, for the
top of the head, SMPL-Anthropometry. What has no known vertex is a sum of joints and of other landmarks.
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

# Points as sums of joints and of other points: the left side and the middle, the right side is the mirror.
# Each stays fixed to one bone, or nearly so, to hold in any pose. The weights of shoulders, ankles, mouth and
# knuckles are least squares fits to the open body over its shapes, rounded.
_SUMS: dict[str, dict[str, float]] = {
    "coco_left_shoulder": {"left_shoulder": 1.0, "neck": 0.2, "left_collar": -0.2},
    "coco_left_elbow": {"left_elbow": 1.0},
    "coco_left_wrist": {"left_wrist": 1.0},
    # SMPL's hip joints stand 0.14 m apart; what detectors find on a standing man of 1.7 m, 0.2 m.
    "coco_left_hip": {"left_hip": 1.25, "right_hip": -0.25},
    "coco_left_knee": {"left_knee": 1.0},
    "coco_left_ankle": {"left_ankle": 0.96, "left_knee": 0.04},
    "coco_neck": {"coco_left_shoulder": 0.5, "coco_right_shoulder": 0.5},
    "coco_mid_hip": {"coco_left_hip": 0.5, "coco_right_hip": 0.5},
    # Detectors put it 0.08 m above the line of the shoulders.
    "upper_neck": {"neck": 0.65, "head": 0.35},
    "left_eye_inner": {"left_eye": 0.75, "right_eye": 0.25},
    "left_eye_outer": {"left_eye": 0.85, "left_ear": 0.15},
    # As far below the tip of the nose as the eyes are above it, and back on the cheeks.
    "mouth_left": {
        "nose": 1.89, "left_eye": -0.645, "right_eye": -0.645, "left_ear": 0.36, "right_ear": 0.04,
    },
    "left_thumb_knuckle": {"left_wrist": 0.48, "left_thumb_tip": 0.52},
    "left_index_knuckle": {
        "left_hand": 0.82, "left_wrist": 0.11, "left_index_tip": 0.31, "left_pinky_tip": -0.24,
    },
    "left_pinky_knuckle": {
        "left_hand": 0.75, "left_wrist": 0.08, "left_index_tip": -0.31, "left_pinky_tip": 0.48,
    },
}  # fmt: skip


def smpl_landmarks() -> dict[str, Landmark]:
    """The landmarks of a body of SMPL's own 6890 vertices."""
    return complete_landmarks(
        {n: Landmark(vertices=(v,), vertex_weights=(1.0,)) for n, v in SMPL_LANDMARK_VERTICES.items()}
    )


def complete_landmarks(known: Mapping[str, Landmark]) -> dict[str, Landmark]:
    """What a body's own landmarks and its joints can tell: the joints, the given points, and sums of these.

    A body without points of its own has SMPL's joints, COCO's limbs and the neck. Given points win over sums.
    """
    joints = {n: Landmark(joints=(j,), joint_weights=(1.0,)) for j, n in enumerate(SMPL_JOINT_NAMES)}
    landmarks = joints | dict(known)
    for name, weights in _both_sides(_SUMS).items():
        if name not in landmarks and all(part in landmarks for part in weights):
            landmarks[name] = _weighted_sum(weights, landmarks)
    return landmarks


def mirrored(name: str) -> str:
    """The name of the other side's point: left and right change places."""
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")


def _both_sides(table: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The table with the right side's rows; each row before those that build on it."""
    both: dict[str, dict[str, float]] = {}
    for name, weights in table.items():
        both[name] = dict(weights)
        both[mirrored(name)] = {mirrored(part): w for part, w in weights.items()}
    return both


def _weighted_sum(weights: Mapping[str, float], landmarks: Mapping[str, Landmark]) -> Landmark:
    vertices: dict[int, float] = {}
    joints: dict[int, float] = {}
    for name, weight in weights.items():
        part = landmarks[name]
        for total, indices, shares in (
            (vertices, part.vertices, part.vertex_weights),
            (joints, part.joints, part.joint_weights),
        ):
            for index, share in zip(indices, shares, strict=True):
                total[index] = total.get(index, 0.0) + weight * share
    return Landmark(
        vertices=tuple(vertices),
        vertex_weights=tuple(vertices.values()),
        joints=tuple(joints),
        joint_weights=tuple(joints.values()),
    )
