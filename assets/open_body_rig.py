"""The open body's skeleton: MakeHuman's bones folded into SMPL's joints, and its T-pose.

The tables say where each SMPL joint sits on MakeHuman's default rig and which bones' vertices it carries;
the functions turn a phenotype standing as MakeHuman stands into the same phenotype in SMPL's T-pose.
V counts vertices, 24 SMPL's joints, N sampled phenotypes. Metres, y up, facing +z, left = +x.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lsr1_solver.body_model import SMPL_JOINT_NAMES, SMPL_PARENTS
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_quaternion, rotation_between

# Where SMPL's joints are on the rig: weighted sums of bone heads, ".S" standing for the side. SMPL's trunk
# bends higher than MakeHuman's bones and its hips are the femoral heads, which MakeHuman sets too wide.
# spine01's head is left out: it moves 4 cm between the sexes, with the breasts.
JOINT_HEADS: Mapping[str, Mapping[str, float]] = {
    "pelvis": {"spine05": 0.25, "spine04": 0.75},
    "hip": {"upperleg01.S": 0.9, "upperleg01.O": 0.1},
    "spine1": {"spine03": 0.75, "spine02": 0.25},
    "knee": {"lowerleg01.S": 1.0},
    "spine2": {"spine02": 0.8, "neck01": 0.2},
    "ankle": {"foot.S": 1.0},
    "spine3": {"spine02": 0.6, "neck01": 0.4},
    "foot": {"toe1-1.S": 0.25, "toe2-1.S": 0.25, "toe3-1.S": 0.25, "toe4-1.S": 0.25},
    "neck": {"neck01": 1.0},
    "collar": {"clavicle.S": 0.75, "shoulder01.S": 0.25},
    "head": {"head": 1.0},
    "shoulder": {"upperarm01.S": 1.0},
    "elbow": {"lowerarm01.S": 1.0},
    "wrist": {"wrist.S": 1.0},
    "hand": {"finger2-1.S": 0.25, "finger3-1.S": 0.5, "finger4-1.S": 0.25},
}

# Which joint carries a bone's vertices, by the bone's first letters; the first row that fits decides.
# "trunk" is shared out among pelvis and spine by height.
BONE_JOINTS: tuple[tuple[str, str], ...] = (
    ("root", "trunk"), ("pelvis", "trunk"), ("spine", "trunk"), ("breast", "trunk"),
    ("upperleg", "hip"), ("lowerleg", "knee"), ("foot", "ankle"), ("toe", "foot"),
    ("clavicle", "collar"), ("shoulder", "collar"), ("upperarm", "shoulder"), ("lowerarm", "elbow"),
    ("wrist", "wrist"), ("metacarpal", "wrist"), ("finger1-1", "wrist"), ("finger", "hand"),
    ("neck", "neck"), ("", "head"),
)  # fmt: skip

TRUNK = ("pelvis", "spine1", "spine2", "spine3")
SIDES = {"left": ("L", "R"), "right": ("R", "L")}

# Directions of the bones in the T-pose, the left side's; SMPL's shins lean back a little, as legs do.
THIGH = np.array([0.03, -1.0, 0.0])
SHIN = np.array([0.0, -1.0, -0.07])
# Arms at shoulder height lift the collar bones, radians about +z.
COLLAR_LIFT = 0.2


def joint(name: str) -> int:
    """The index of an SMPL joint."""
    return SMPL_JOINT_NAMES.index(name)


def _split_side(name: str) -> tuple[str, str]:
    side, _, rest = name.partition("_")
    return (side, rest) if side in SIDES else ("", name)


def joint_matrix(bones: list[str]) -> np.ndarray:
    """SMPL's joints as weighted sums of the rig's bone heads. -> [24, bones]."""
    matrix = np.zeros((len(SMPL_JOINT_NAMES), len(bones)))
    for row, name in enumerate(SMPL_JOINT_NAMES):
        side, kind = _split_side(name)
        same, other = SIDES.get(side, ("", ""))
        for head, weight in JOINT_HEADS[kind].items():
            matrix[row, bones.index(head.replace(".S", f".{same}").replace(".O", f".{other}"))] += weight
    return matrix


def fold_weights(bones: list[str], weights: np.ndarray, rest: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The rig's skinning weights [V, bones] folded into SMPL's joints.

    ``rest`` [V, 3] and ``joints`` [24, 3] of the mean body -> [V, 24].
    """
    folded = np.zeros((len(weights), len(SMPL_JOINT_NAMES)))
    trunk = np.zeros(len(weights))
    for column, bone in enumerate(bones):
        kind = next(k for start, k in BONE_JOINTS if bone.startswith(start))
        side = {"L": "left_", "R": "right_"}.get(bone[-1], "") if bone[-2:-1] == "." else ""
        if kind == "trunk":
            trunk += weights[:, column]
        else:
            folded[:, joint(kind if kind in ("head", "neck") else side + kind)] += weights[:, column]
    folded[:, [joint(name) for name in TRUNK]] += trunk[:, None] * trunk_shares(rest, joints)
    return folded


def trunk_shares(rest: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """How pelvis and spine share the trunk: smooth steps at the joints' heights. -> [V, 4], sum 1."""
    levels = joints[[joint(name) for name in TRUNK], 1]
    # The step at a joint reaches as far as the neighbouring segments leave room.
    half = np.array([0.085, 0.075, 0.06])
    above = np.clip((rest[:, 1:2] - levels[1:] + half) / (2 * half), 0, 1)
    above = above * above * (3 - 2 * above)
    steps = np.concatenate([np.ones((len(rest), 1)), above, np.zeros((len(rest), 1))], axis=1)
    steps = np.minimum.accumulate(steps, axis=1)
    return steps[:, :-1] - steps[:, 1:]


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Rotations whose columns are the direction, the hinge squared to it, and their cross. -> [N, 3, 3]."""
    x = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    y = hinge - x * np.sum(x * hinge, axis=-1, keepdims=True)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _arm_rotations(J: np.ndarray, knuckles: np.ndarray, sign: float) -> tuple[np.ndarray, ...]:
    """World rotations of upper arm, forearm and hand that stretch one arm along x, palm down.

    ``J`` [N, 4, 3] shoulder, elbow, wrist, hand; ``knuckles`` [N, 2, 3] index and little finger's.
    """
    upper, fore, hand = (J[:, i + 1] - J[:, i] for i in range(3))
    hinge = np.cross(upper, fore)
    along, forward = np.array([sign, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    target = _frame(along, np.cross(along, forward))
    R_upper = target @ np.swapaxes(_frame(upper, hinge), 1, 2)
    R_fore = target @ np.swapaxes(_frame(fore, hinge), 1, 2)
    R_hand = _frame(along, forward) @ np.swapaxes(_frame(hand, knuckles[:, 0] - knuckles[:, 1]), 1, 2)
    # The forearm turns half as far as the hand: the two bones of the forearm share a twist.
    twist = R_hand @ np.swapaxes(R_fore, 1, 2)
    angle = np.arctan2(twist[:, 2, 1] - twist[:, 1, 2], twist[:, 1, 1] + twist[:, 2, 2])
    half = axis_angle_to_matrix(0.5 * angle[:, None] * np.array([1.0, 0.0, 0.0]))
    return R_upper, half @ R_fore, R_hand


def t_pose_rotations(J: np.ndarray, knuckles: Mapping[str, np.ndarray]) -> np.ndarray:
    """World rotations of the 24 joints that bring MakeHuman's rest pose to the T-pose.

    ``J`` [N, 24, 3]; ``knuckles`` by side [N, 2, 3] (index, little finger). -> [N, 24, 3, 3].
    """
    R = np.broadcast_to(np.eye(3), (*J.shape[:2], 3, 3)).copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = [joint(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist", "hand")]
        R[:, arm[0]], R[:, arm[1]], R[:, arm[2]] = _arm_rotations(J[:, arm], knuckles[side], sign)
        R[:, arm[3]] = R[:, arm[2]]
        R[:, joint(f"{side}_collar")] = axis_angle_to_matrix(np.array([0.0, 0.0, sign * COLLAR_LIFT]))
        hip, knee, ankle = (joint(f"{side}_{part}") for part in ("hip", "knee", "ankle"))
        mirror = np.array([sign, 1.0, 1.0])
        R[:, hip] = rotation_between(J[:, knee] - J[:, hip], THIGH * mirror)
        R[:, knee] = rotation_between(J[:, ankle] - J[:, knee], SHIN * mirror)
    return R


def pose_joints(J: np.ndarray, R: np.ndarray) -> np.ndarray:
    """The joints under world rotations; the pelvis stays. ``J`` [N, 24, 3], ``R`` [N, 24, 3, 3]."""
    P = J.copy()
    for child, parent in enumerate(SMPL_PARENTS[1:], start=1):
        P[:, child] = P[:, parent] + (R[:, parent] @ (J[:, child] - J[:, parent])[..., None])[..., 0]
    return P


def dual_quaternion_skin(
    v: np.ndarray, weights: np.ndarray, R: np.ndarray, J: np.ndarray, P: np.ndarray
) -> np.ndarray:
    """Skinning that keeps volume, for baking the T-pose.

    Kavan et al., *Skinning with Dual Quaternions*, I3D 2007.
    ``v`` [V, 3] moved by ``R`` [24, 3, 3] about ``J`` [24, 3] to ``P`` [24, 3] -> [V, 3].
    """
    q = matrix_to_quaternion(R)
    t = P - (R @ J[..., None])[..., 0]
    w, u = q[:, :1], q[:, 1:]
    dual = 0.5 * np.concatenate([-np.sum(t * u, axis=1, keepdims=True), w * t + np.cross(t, u)], axis=1)
    real, dual = weights @ q, weights @ dual
    norm = np.linalg.norm(real, axis=1, keepdims=True)
    real, dual = real / norm, dual / norm
    w, u, dw, du = real[:, :1], real[:, 1:], dual[:, :1], dual[:, 1:]
    turned = v + 2 * np.cross(u, np.cross(u, v) + w * v)
    return turned + 2 * (w * du - dw * u + np.cross(u, du))
