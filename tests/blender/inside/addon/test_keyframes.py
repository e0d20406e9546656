"""Keys of whole clips: right at every frame, continuous between, and nobody else's keys touched."""

import time

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import bone_motion, keyframes, pictures, takes
from lsr1_body_fit.addon.body_mesh import make_mesh, set_correctives
from lsr1_body_fit.addon.rig import Y_UP_TO_Z_UP
from lsr1_body_fit.lsr1_solver import (
    SMPL_JOINT_NAMES,
    BodyPose,
    load_body_model,
    load_pose_prior,
    posed_joints,
)
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix

from tests.blender.inside.addon.keyed import insert_keyframes
from tests.blender.inside.addon.rigs import bone_heads

MODES = ("QUATERNION", "AXIS_ANGLE", "XYZ")


def turning_clip(count: int) -> BodyPose:
    """A body that turns about itself nearly twice while its joints swing."""
    rng = np.random.default_rng(3)
    t = np.linspace(0, 1, count)
    root = np.zeros((count, 3))
    root[:, 1] = (11 * t + np.pi) % (2 * np.pi) - np.pi
    swing = 0.6 * np.sin(2 * np.pi * t[:, None, None] + rng.uniform(0, 6, size=(1, 23, 3)))
    transl = np.stack([t, 0 * t, -4 - t], axis=1)
    return BodyPose(root, swing, np.zeros((count, 10)), transl)


def camera_path(count: int) -> np.ndarray:
    path = np.tile(np.eye(4), (count, 1, 1))
    angles = np.linspace(0, 0.8, count)
    path[:, :3, :3] = axis_angle_to_matrix(angles[:, None] * np.array([[0.1, 0.2, 1.0]]))
    path[:, 0, 3] = angles
    return path


def curves_of(armature: bpy.types.Object) -> bpy.types.bpy_prop_collection:
    return keyframes.ensure_curves(armature, armature.name)


@pytest.mark.parametrize("mode", MODES)
def test_every_key_and_what_is_between(mode: str) -> None:
    count, body = 40, load_body_model()
    armature = bodies.add_body(bpy.context)
    for bone in armature.pose.bones:
        bone.rotation_mode = mode
    clip, cameras = turning_clip(count), camera_path(count)
    insert_keyframes(armature, clip, range(1, count + 1), cameras)
    joints = posed_joints(body, clip)
    joints = joints @ np.swapaxes(cameras[:, :3, :3], 1, 2) + cameras[:, None, :3, 3]
    for frame in (1, 17, count):
        bpy.context.scene.frame_set(frame)
        heads = bone_heads(armature, SMPL_JOINT_NAMES)
        assert np.abs(heads - joints[frame - 1]).max() < 1e-4
    for frame in range(1, count):
        bpy.context.scene.frame_set(frame, subframe=0.5)
        between = bone_heads(armature, SMPL_JOINT_NAMES)
        assert np.abs(between - joints[frame - 1 : frame + 1].mean(axis=0)).max() < 0.08


def test_keys_at_other_frames_and_second_action_stay() -> None:
    armature = bodies.add_body(bpy.context)
    clip = turning_clip(10)
    insert_keyframes(armature, clip, range(1, 11))
    first = armature.animation_data.action
    before = {
        (curve.data_path, curve.array_index): [tuple(point.co) for point in curve.keyframe_points]
        for curve in curves_of(armature)
    }
    insert_keyframes(armature, clip.frames(slice(0, 3)), [4, 5, 6])
    assert armature.animation_data.action == first
    for curve in curves_of(armature):
        after = [tuple(point.co) for point in curve.keyframe_points]
        old = before[curve.data_path, curve.array_index]
        assert len(after) == 10
        assert [a for a in after if a[0] not in (4, 5, 6)] == [b for b in old if b[0] not in (4, 5, 6)]


def test_a_still_keeps_the_sign_of_the_key_before() -> None:
    armature = bodies.add_body(bpy.context)
    pose = turning_clip(1)
    insert_keyframes(armature, pose, [1])
    path = 'pose.bones["pelvis"].rotation_quaternion'
    for i in range(4):
        curve = curves_of(armature).find(path, index=i)
        curve.keyframe_points[0].co.y *= -1
        curve.update()
    insert_keyframes(armature, pose, [10])
    values = np.array([curves_of(armature).find(path, index=i).evaluate(10) for i in range(4)])
    first = np.array([curves_of(armature).find(path, index=i).evaluate(1) for i in range(4)])
    assert values @ first > 0


def test_a_thousand_frames_take_little_time() -> None:
    armature = bodies.add_body(bpy.context)
    clip = turning_clip(1000)
    start = time.perf_counter()
    insert_keyframes(armature, clip, range(1, 1001))
    assert time.perf_counter() - start < 2.0


def test_pose_correctives_follow_the_pose() -> None:
    from dataclasses import replace

    body = load_body_model()
    small = np.random.default_rng(0).normal(scale=1e-3, size=(len(body.v_template), 3, 207))
    corrected = replace(body, posedirs=small)
    mesh = bpy.data.objects.new("m", make_mesh(corrected))
    bpy.context.scene.collection.objects.link(mesh)
    rotations = load_pose_prior().mean_rotations
    rotations = np.concatenate([np.eye(3)[None], rotations])
    set_correctives(mesh, rotations)
    evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    shown = np.array([v.co for v in evaluated.vertices])
    feature = (rotations[1:] - np.eye(3)).ravel()
    wanted = (body.v_template + small @ feature) @ Y_UP_TO_Z_UP.T
    wanted[:, 2] -= body.v_template[:, 1].min()
    assert np.abs(shown - wanted).max() < 1e-4


@pytest.mark.skipif(not hasattr(bpy.types, "ActionSlot"), reason="actions have slots since Blender 4.4")
def test_a_slot_is_another_things_until_keys_ask_for_one() -> None:
    """Reading gives the body no slot of an action; writing gives it its own, or a new one."""
    camera, armature = pictures.add_camera(bpy.context), bodies.add_body(bpy.context)
    camera.keyframe_insert("location", frame=1)
    data, theirs = armature.animation_data_create(), camera.animation_data.action
    data.action = theirs
    data.action_slot = None
    frames = np.array([1.0, 2.0])
    bone_motion.read_bones(armature, frames)
    assert not bone_motion.is_keyed(armature) and takes.read_contacts(armature, frames) is None
    assert not len(bone_motion.all_key_times(armature)) and data.action_slot is None
    _, before = takes.begin_take(armature, "take")
    takes.discard_take(armature, data.action, before)
    assert data.action == theirs and data.action_slot is None
    insert_keyframes(armature, turning_clip(2), frames)
    own = data.action_slot
    assert own != camera.animation_data.action_slot and bone_motion.is_keyed(armature)
    assert len(keyframes.curves_there(camera)) == 3
    # Taken from the body, it is its own all the same.
    data.action_slot = None
    assert not bone_motion.is_keyed(armature)
    assert len(curves_of(armature)) and data.action_slot == own
