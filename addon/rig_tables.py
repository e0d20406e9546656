"""What the bones of common character rigs are called, and which of them a rig has.

The names are those of the rigs' makers: Rigify (Blender), Mixamo's auto-rigger, Epic's mannequins, MPFB's
standard rigs, and the BVH release of CMU's motion capture (cgspeed), which MPFB's CMU rig repeats.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..lsr1_solver import SMPL_JOINT_NAMES
from .rig_names import bone_names

_CENTRE = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_SIDED = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
# Less of a table than this in a rig is chance.
_RECOGNISED = 0.6


@dataclass(frozen=True)
class RigTable:
    """The bones of one kind of rig.

    ``centre`` names the bones of pelvis, spine 1 to 3, neck and head; ``sided`` those of hip, knee, ankle,
    foot, collar, shoulder, elbow and wrist, with a star for each of ``sides`` (left, right). "" is a joint
    that the rig has not; names after a "|" are what other versions say. ``switches`` are custom properties
    {bone: {name: value}} with which the named bones move the rig; ``at_rest`` are bones between them that
    have to be at rest; ``carrier`` is the bone that moves the pelvis's by a constraint instead of as its
    parent.
    """

    label: str
    centre: tuple[str, str, str, str, str, str]
    sided: tuple[str, str, str, str, str, str, str, str]
    sides: tuple[str, str]
    switches: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    at_rest: tuple[str, ...] = ()
    carrier: str = ""

    def bones(self) -> dict[str, tuple[str, ...]]:
        """The names that the bone of a joint may have, joint by joint."""
        named = dict(zip(_CENTRE, self.centre, strict=True))
        for joint_side, side in zip(("left", "right"), self.sides, strict=True):
            for joint, name in zip(_SIDED, self.sided, strict=True):
                named[f"{joint_side}_{joint}"] = name.replace("*", side)
        return {joint: tuple(name.split("|")) for joint, name in named.items() if name}


_MIXAMO_LIMBS = (
    "*UpLeg", "*Leg", "*Foot", "*ToeBase", "*Shoulder", "*Arm", "*ForeArm", "*Hand",
)  # fmt: skip
_UNREAL_LIMBS = (
    "thigh_*", "calf_*", "foot_*", "ball_*", "clavicle_*", "upperarm_*", "lowerarm_*", "hand_*",
)  # fmt: skip
_FK = {"IK_FK": 1.0, "FK_limb_follow": 0.0}
# The first that fits best is taken: a generated Rigify rig has the meta-rig's names, too.
TABLES: tuple[RigTable, ...] = (
    RigTable(
        label="Rigify",
        centre=("torso", "", "spine_fk.002", "spine_fk.003", "neck", "head"),
        sided=(
            "thigh_fk.*", "shin_fk.*", "foot_fk.*", "toe_fk.*|toe.*",
            "shoulder.*", "upper_arm_fk.*", "forearm_fk.*", "hand_fk.*",
        ),
        sides=("L", "R"),
        switches={
            "thigh_parent.L": _FK,
            "thigh_parent.R": _FK,
            "upper_arm_parent.L": _FK,
            "upper_arm_parent.R": _FK,
            "torso": {"neck_follow": 1.0, "head_follow": 1.0},
        },
        at_rest=("hips", "chest", "spine_fk", "spine_fk.001", "tweak_spine"),
        carrier="root",
    ),
    RigTable(
        label="Rigify Meta-Rig",
        centre=("spine", "spine.001", "spine.002", "spine.003", "spine.004", "spine.006"),
        sided=(
            "thigh.*", "shin.*", "foot.*", "toe.*", "shoulder.*", "upper_arm.*", "forearm.*", "hand.*",
        ),
        sides=("L", "R"),
    ),
    RigTable(
        label="Mixamo",
        centre=("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"),
        sided=_MIXAMO_LIMBS,
        sides=("Left", "Right"),
    ),
    RigTable(
        label="CMU",
        centre=("Hips", "LowerBack", "Spine", "Spine1", "Neck", "Head"),
        sided=_MIXAMO_LIMBS,
        sides=("Left", "Right"),
    ),
    RigTable(
        label="Unreal Mannequin (UE5)",
        centre=("pelvis", "spine_01", "spine_03", "spine_05", "neck_01", "head"),
        sided=_UNREAL_LIMBS,
        sides=("l", "r"),
    ),
    RigTable(
        label="Unreal Mannequin (UE4), MPFB Game Engine",
        centre=("pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"),
        sided=_UNREAL_LIMBS,
        sides=("l", "r"),
    ),
    RigTable(
        label="MPFB Default",
        centre=("root", "spine04", "spine03", "spine02", "neck01", "head"),
        sided=(
            "upperleg01.*", "lowerleg01.*", "foot.*", "",
            "clavicle.*", "upperarm01.*", "lowerarm01.*", "wrist.*",
        ),
        sides=("L", "R"),
    ),
)  # fmt: skip
SMPL_LABEL = "SMPL"


def table_of(label: str) -> RigTable | None:
    """The table of that label, None where there is none: SMPL rigs and rigs mapped by hand."""
    return next((table for table in TABLES if table.label == label), None)


def guess_bones(bones: Collection[str]) -> tuple[str, dict[str, str]]:
    """What kind of rig has these bones, and which bone is which joint of SMPL's.

    Case, dots, dashes, underscores and whatever stands before all the names ("mixamorig:", "Armature_") make
    no difference. Returns a table's label ("SMPL" for SMPL's own rigs, "" where nothing fits) and
    {joint: bone}.
    """
    own, lacking = bone_names(bones)
    if not lacking:
        return SMPL_LABEL, {joint: bone for joint, bone in zip(SMPL_JOINT_NAMES, own, strict=True) if bone}
    best: tuple[float, str, dict[str, str]] = (_RECOGNISED, "", {})
    for table in TABLES:
        wanted = table.bones()
        found = _matches(wanted, bones)
        share = len(found) / len(wanted)
        if share > best[0]:
            best = share, table.label, found
    return best[1], best[2]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _matches(wanted: Mapping[str, tuple[str, ...]], bones: Collection[str]) -> dict[str, str]:
    """The bones of a table in a rig: those whose names begin with what most of them begin with."""
    plain = {_plain(bone): bone for bone in reversed(list(bones))}
    endings = {joint: tuple(_plain(name) for name in names) for joint, names in wanted.items()}
    prefixes = Counter(
        name.removesuffix(end)
        for ends in endings.values()
        for end in ends
        for name in plain
        if name.endswith(end)
    )
    if not prefixes:
        return {}
    prefix = max(prefixes, key=lambda prefix: (prefixes[prefix], -len(prefix)))
    found = {
        joint: [plain[prefix + end] for end in ends if prefix + end in plain]
        for joint, ends in endings.items()
    }
    return {joint: names[0] for joint, names in found.items() if names}
