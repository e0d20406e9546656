"""Character rigs for the tests: the makers' bone names and parents on figures of our own.

A figure is made of lengths and angles, so a rig may stand in a T-pose, an A-pose, or with bent elbows; it may
be y up in centimetres below a scaled object, as FBX files arrive; its bones may point and roll anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector

# (bone, its parent, where it is: a joint, or a share of the way to another); a star is the side, a hash its
# letter.
Layout = Sequence[tuple[str, str, str]]
_MIXAMO_LIMBS = (
    ("*Shoulder", "{chest}", "collar"), ("*Arm", "*Shoulder", "shoulder"), ("*ForeArm", "*Arm", "elbow"),
    ("*Hand", "*ForeArm", "wrist"), ("*HandIndex1", "*Hand", "knuckle"),
)  # fmt: skip
_UNREAL_LIMBS = (
    ("clavicle_*", "{chest}", "collar"), ("upperarm_*", "clavicle_*", "shoulder"),
    ("lowerarm_*", "upperarm_*", "elbow"), ("lowerarm_twist_01_*", "lowerarm_*", "elbow>wrist 0.5"),
    ("hand_*", "lowerarm_*", "wrist"), ("index_01_*", "hand_*", "knuckle"),
    ("thigh_*", "pelvis", "hip"), ("calf_*", "thigh_*", "knee"),
    ("calf_twist_01_*", "calf_*", "knee>ankle 0.5"), ("foot_*", "calf_*", "ankle"),
    ("ball_*", "foot_*", "foot"),
)  # fmt: skip


def _named(limbs: Layout, chest: str) -> Layout:
    return [(name, parent.replace("{chest}", chest), place) for name, parent, place in limbs]


LAYOUTS: dict[str, tuple[Layout, tuple[str, str]]] = {
    "Mixamo": (
        (
            ("Hips", "", "pelvis"), ("Spine", "Hips", "spine1"), ("Spine1", "Spine", "spine2"),
            ("Spine2", "Spine1", "spine3"), ("Neck", "Spine2", "neck"), ("Head", "Neck", "head"),
            ("HeadTop_End", "Head", "top"), *_named(_MIXAMO_LIMBS, "Spine2"),
            ("*UpLeg", "Hips", "hip"), ("*Leg", "*UpLeg", "knee"), ("*Foot", "*Leg", "ankle"),
            ("*ToeBase", "*Foot", "foot"), ("*Toe_End", "*ToeBase", "toe"),
        ),
        ("Left", "Right"),
    ),
    "CMU": (
        (
            ("Hips", "", "pelvis"), ("LowerBack", "Hips", "spine1"), ("Spine", "LowerBack", "spine2"),
            ("Spine1", "Spine", "spine3"), ("Neck", "Spine1", "neck"), ("Neck1", "Neck", "neck>head 0.5"),
            ("Head", "Neck1", "head"), *_named(_MIXAMO_LIMBS, "Spine1"), ("#HipJoint", "Hips", "pelvis"),
            ("*UpLeg", "#HipJoint", "hip"), ("*Leg", "*UpLeg", "knee"), ("*Foot", "*Leg", "ankle"),
            ("*ToeBase", "*Foot", "foot"), ("#Thumb", "*Hand", "knuckle"),
        ),
        ("Left", "Right"),
    ),
    "Unreal Mannequin (UE5)": (
        (
            ("root", "", "floor"), ("pelvis", "root", "pelvis"), ("spine_01", "pelvis", "spine1"),
            ("spine_02", "spine_01", "spine1>spine2 0.5"), ("spine_03", "spine_02", "spine2"),
            ("spine_04", "spine_03", "spine2>spine3 0.5"), ("spine_05", "spine_04", "spine3"),
            ("neck_01", "spine_05", "neck"), ("neck_02", "neck_01", "neck>head 0.5"),
            ("head", "neck_02", "head"), *_named(_UNREAL_LIMBS, "spine_05"),
            ("ik_foot_root", "root", "floor"), ("ik_foot_*", "ik_foot_root", "ankle"),
        ),
        ("l", "r"),
    ),
    "Unreal Mannequin (UE4), MPFB Game Engine": (
        (
            ("Root", "", "floor"), ("pelvis", "Root", "pelvis"), ("spine_01", "pelvis", "spine1"),
            ("spine_02", "spine_01", "spine2"), ("spine_03", "spine_02", "spine3"),
            ("neck_01", "spine_03", "neck"), ("head", "neck_01", "head"), *_named(_UNREAL_LIMBS, "spine_03"),
        ),
        ("l", "r"),
    ),
    "MPFB Default": (
        (
            ("root", "", "pelvis"), ("spine05", "root", "pelvis>spine1 0.3"),
            ("spine04", "spine05", "spine1"), ("spine03", "spine04", "spine2"),
            ("spine02", "spine03", "spine3"),
            ("spine01", "spine02", "spine3>neck 0.5"), ("neck01", "spine01", "neck"),
            ("neck02", "neck01", "neck>head 0.5"), ("head", "neck02", "head"), ("pelvis.*", "root", "pelvis"),
            ("clavicle.*", "spine01", "collar"), ("shoulder01.*", "clavicle.*", "collar>shoulder 0.5"),
            ("upperarm01.*", "shoulder01.*", "shoulder"),
            ("upperarm02.*", "upperarm01.*", "shoulder>elbow 0.4"),
            ("lowerarm01.*", "upperarm02.*", "elbow"), ("lowerarm02.*", "lowerarm01.*", "elbow>wrist 0.5"),
            ("wrist.*", "lowerarm02.*", "wrist"), ("upperleg01.*", "pelvis.*", "hip"),
            ("upperleg02.*", "upperleg01.*", "hip>knee 0.3"), ("lowerleg01.*", "upperleg02.*", "knee"),
            ("lowerleg02.*", "lowerleg01.*", "knee>ankle 0.5"), ("foot.*", "lowerleg02.*", "ankle"),
            ("toe1-1.*", "foot.*", "foot"),
        ),
        ("L", "R"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """Lengths in metres, angles in degrees: arms down from the T-pose, elbows forward, legs and toes out."""

    arm_down: float = 0.0
    elbow: float = 0.0
    legs_out: float = 0.0
    toes_out: float = 8.0
    thigh: float = 0.42
    shin: float = 0.40
    ankle: float = 0.08
    hip_width: float = 0.18
    size: float = 1.0

    def places(self) -> dict[str, np.ndarray]:
        """Where the joints are at rest [3], z up, facing -y, standing on z = 0; sided ones for the left."""
        down, bent, out, toes = np.radians([self.arm_down, self.elbow, self.legs_out, self.toes_out])
        leg = np.array([np.sin(out), 0.0, -np.cos(out)])
        high = self.ankle + (self.thigh + self.shin) * np.cos(out)
        hip = np.array([self.hip_width / 2, 0.0, high])
        shoulder = np.array([0.17, 0.01, high + 0.50])
        arm = np.array([np.cos(down), 0.0, -np.sin(down)])
        fore = np.cos(bent) * arm + np.sin(bent) * np.array([0.0, -1.0, 0.0])
        elbow = shoulder + 0.27 * arm
        knee, ankle = hip + self.thigh * leg, hip + (self.thigh + self.shin) * leg
        toe = np.array([np.sin(toes), -np.cos(toes), 0.0])
        foot = np.array([*ankle[:2], 0.02]) + 0.13 * toe
        places = {
            "floor": (0, 0, 0), "pelvis": (0, 0, high + 0.06), "spine1": (0, 0.01, high + 0.15),
            "spine2": (0, 0.02, high + 0.27), "spine3": (0, 0.03, high + 0.38),
            "neck": (0, 0.02, high + 0.56), "head": (0, 0.0, high + 0.65), "top": (0, 0.0, high + 0.83),
            "hip": hip, "knee": knee, "ankle": ankle, "foot": foot, "toe": foot + 0.07 * toe,
            "collar": (0.03, 0.0, high + 0.49), "shoulder": shoulder, "elbow": elbow,
            "wrist": elbow + 0.25 * fore, "knuckle": elbow + 0.34 * fore,
        }  # fmt: skip
        return {name: self.size * np.array(place, dtype=float) for name, place in places.items()}


def character(
    kind: str,
    figure: Figure,
    *,
    prefix: str = "",
    seed: int | None = None,
    centimetres: bool = False,
    modes: Sequence[str] = ("QUATERNION",),
) -> bpy.types.Object:
    """An armature of a kind of ``LAYOUTS``; with a seed, tails and rolls point anywhere.

    ``centimetres``: y up and a hundred times as large, below an object that puts it right.
    """
    layout, sides = LAYOUTS[kind]
    rows = [
        row for side in (0, 1) for row in _of_side(layout, sides[side], figure.places(), mirrored=side == 1)
    ]
    rows = list({row[0]: row for row in rows}.values())
    rng = np.random.default_rng(seed)
    armature = bpy.data.objects.new(kind, bpy.data.armatures.new(kind))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    into = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) * 100 if centimetres else np.eye(3)
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    for name, parent, head in rows:
        bone = bones.new(prefix + name)
        bone.head = into @ head
        children = [row[2] for row in rows if row[1] == name and np.linalg.norm(row[2] - head) > 1e-3]
        way = children[0] - head if children and seed is None else rng.normal(size=3)
        bone.tail = Vector(into @ (head + way / np.linalg.norm(way) * max(0.05, rng.uniform(0.05, 0.2))))
        bone.roll = 0.0 if seed is None else rng.uniform(-np.pi, np.pi)
        bone.parent = bones[prefix + parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    for index, bone in enumerate(armature.pose.bones):
        bone.rotation_mode = modes[index % len(modes)]
    if centimetres:
        armature.matrix_world = Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Scale(0.01, 4)
    bpy.context.view_layer.update()
    return armature


def _of_side(
    layout: Layout, side: str, places: dict[str, np.ndarray], *, mirrored: bool
) -> list[tuple[str, str, np.ndarray]]:
    rows = []
    for name, parent, place in layout:
        between, _, share = place.partition(" ")
        a, _, b = between.partition(">")
        head = places[a] + (float(share) * (places[b] - places[a]) if b else 0.0)
        if mirrored and ("*" in name or "#" in name):
            head = head * (-1, 1, 1)
        rows.append((_sided(name, side), _sided(parent, side), head))
    return rows


def _sided(name: str, side: str) -> str:
    return name.replace("*", side).replace("#", side[0])
