"""Moving bodies, and what is measured when their motion is copied to another rig."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import bpy
import numpy as np
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.rig_tables import guess_bones
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES, BodyPose, load_body_model, posed_joints, rest_joints

from tests.blender.inside.addon.character_rigs import Figure
from tests.blender.inside.addon.keyed import insert_keyframes

MODES = ("QUATERNION", "XYZ", "AXIS_ANGLE", "ZYX")
LIMBS = [
    [f"{side}_{joint}" for joint in chain]
    for side in ("left", "right")
    for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
]
FIGURES = {
    "t_pose": Figure(),
    "a_pose": Figure(arm_down=47, size=0.7, toes_out=0),
    "bent": Figure(arm_down=40, elbow=35, legs_out=12, thigh=0.45, shin=0.38, hip_width=0.22),
}


def moving_body(count: int = 3, seed: int = 0) -> bpy.types.Object:
    """A body that turns, walks and swings all its joints."""
    rng = np.random.default_rng(seed)
    body = bodies.add_body(bpy.context)
    pose = BodyPose(
        rng.normal(scale=0.4, size=(count, 3)),
        rng.normal(scale=0.35, size=(count, 23, 3)),
        np.zeros((count, 10)),
        rng.normal(scale=0.5, size=(count, 3)),
    )
    insert_keyframes(body, pose, range(1, count + 1))
    return body


def choose(rig: bpy.types.Object, last: int = 3) -> None:
    bpy.context.scene.lsr1.copy_target = rig
    rig.lsr1_copy.first, rig.lsr1_copy.last = 1, last


def frames(last: int = 3) -> Iterator[int]:
    for frame in range(1, last + 1):
        bpy.context.scene.frame_set(frame)
        yield frame


def head(rig: bpy.types.Object, bone: str) -> np.ndarray:
    return np.array(rig.matrix_world @ rig.pose.bones[bone].head)


def axes(rig: bpy.types.Object, bone: str) -> np.ndarray:
    """How a bone is turned in the world from its rest."""
    rest = rig.matrix_world @ rig.data.bones[bone].matrix_local
    posed = rig.matrix_world @ rig.pose.bones[bone].matrix
    return np.array(posed.to_3x3().normalized()) @ np.array(rest.to_3x3().normalized()).T


def degrees_between(a: np.ndarray, b: np.ndarray) -> float:
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def worst_limb(body: bpy.types.Object, rig: bpy.types.Object, bones: dict[str, str]) -> float:
    """The largest angle between the body's limbs and the rig's, degrees."""
    return max(
        degrees_between(head(body, b) - head(body, a), head(rig, bones[b]) - head(rig, bones[a]))
        for chain in LIMBS
        for a, b in pairwise(chain)
    )


def poses(rig: bpy.types.Object) -> np.ndarray:
    return np.array([np.array(bone.matrix) for bone in rig.pose.bones])


def mapping(rig: bpy.types.Object) -> dict[str, str]:
    return guess_bones(rig.data.bones.keys())[1]


def standing_on_one_foot(count: int) -> bpy.types.Object:
    """A body that rolls over its left foot, which stands still: hips turn, thigh and knee swing."""
    body = bodies.add_body(bpy.context)
    t = np.linspace(-1, 1, count)
    root, local = np.zeros((count, 3)), np.zeros((count, 23, 3))
    root[:, 1] = 0.15 * t
    local[:, 0, 0] = 0.4 * t - 0.2
    local[:, 3, 0] = 0.45 - 0.4 * np.cos(2 * t)
    local[:, 1, 0], local[:, 4, 0] = -0.9, 1.4
    pose = BodyPose(root, local, np.zeros((count, 10)), np.zeros((count, 3)))
    ankle = SMPL_JOINT_NAMES.index("left_ankle")
    ankles = posed_joints(load_body_model(), pose)[:, ankle]
    stands = rest_joints(load_body_model(), pose.betas[:1])[:, ankle]
    insert_keyframes(body, replace(pose, transl=stands - ankles), range(1, count + 1))
    return body
