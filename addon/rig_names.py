"""What the bones of SMPL rigs are called: our own, Meshcapade's, the SMPL-X add-on's and the FBX files'."""

from __future__ import annotations

from collections.abc import Collection

from ..lsr1_solver import SMPL_JOINT_NAMES

# SMPL's names as its FBX files, its Maya and Unity kits and Meshcapade's Blender add-on write them.
_CAPITALS = (
    "Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle", "Spine3",
    "L_Foot", "R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow",
    "R_Elbow", "L_Wrist", "R_Wrist", "L_Hand", "R_Hand",
)  # fmt: skip
# The male and female rigs of SMPL's first release put the body's name before every bone's.
NAMINGS: tuple[tuple[str, ...], ...] = (
    SMPL_JOINT_NAMES,
    _CAPITALS,
    tuple(f"m_avg_{name}" for name in _CAPITALS),
    tuple(f"f_avg_{name}" for name in _CAPITALS),
)
# SMPL-X and SMPL-H rigs have fingers where SMPL has one hand joint.
OPTIONAL_JOINTS = frozenset({"left_hand", "right_hand"})


def bone_names(bones: Collection[str]) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """Which of an armature's bones are SMPL's joints, in SMPL's order, and which joints it lacks.

    A joint that SMPL-X rigs have not is None and doesn't count as lacking. An armature of no known naming
    lacks every joint.
    """
    best = max(NAMINGS, key=lambda names: sum(name in bones for name in names))
    found = tuple(name if name in bones else None for name in best)
    lacking = tuple(
        joint
        for joint, bone in zip(SMPL_JOINT_NAMES, found, strict=True)
        if bone is None and joint not in OPTIONAL_JOINTS
    )
    return found, lacking
