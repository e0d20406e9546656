"""Locks and pins through Fit Pose, Live and Fit Clip: what is locked stays, number by number."""

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import bone_motion, holding
from lsr1_body_fit.addon.live import LiveFit
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.addon.rotation_modes import rotation_path
from mathutils import Matrix

from tests.blender.inside.addon.test_clip import curves_of, fit_clip, scene_of_walk

FRAME = 8
LAST = 16
LIMB = ["left_shoulder", "left_elbow", "left_wrist", "left_hand"]


def channels(armature: bpy.types.Object, bones: list[str]) -> dict[tuple[str, str], tuple[float, ...]]:
    """The numbers that turn some bones, as they stand; of the pelvis its place, too."""
    found = {}
    for name in bones:
        bone = armature.pose.bones[name]
        for path in (rotation_path(bone), *(["location"] if name == "pelvis" else [])):
            found[name, path] = tuple(getattr(bone, path))
    return found


def still() -> tuple[bpy.types.Scene, bpy.types.Object]:
    """A body fitted to one frame, without keys."""
    scene = scene_of_walk(LAST)
    bpy.ops.lsr1.add_body()
    scene.frame_set(FRAME)
    armature = target(bpy.context)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    return scene, armature


def bend(armature: bpy.types.Object, bone: str, angle: float, axis: str = "X") -> None:
    own = armature.pose.bones[bone]
    own.matrix_basis = own.matrix_basis @ Matrix.Rotation(angle, 4, axis)


def turns(armature: bpy.types.Object) -> np.ndarray:
    motion = bone_motion.read_bones(armature, np.array([float(FRAME)]), FRAME)
    return motion.basis[0]


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "XYZ"])
def test_fit_pose_leaves_a_locked_limb_number_by_number(mode: str) -> None:
    scene, armature = still()
    for name in LIMB:
        armature.pose.bones[name].rotation_mode = mode
    bend(armature, "left_elbow", 0.8)
    bend(armature, "left_shoulder", -0.5, "Z")
    holding.lock(armature, LIMB, FRAME, FRAME)
    before, others = channels(armature, LIMB), turns(armature)
    scene.lsr1.settings.insert_key = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert channels(armature, LIMB) == before
    assert np.abs(turns(armature) - others).max() > 0.01
    # The key says the same, and so does the frame when it is come back to.
    scene.frame_set(FRAME + 3)
    scene.frame_set(FRAME)
    assert channels(armature, LIMB) == before


def test_the_rest_adapts_to_a_locked_bone() -> None:
    _, armature = still()
    free = turns(armature)
    bend(armature, "left_hip", -0.35)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.abs(turns(armature) - free).max() < 1e-3
    bend(armature, "left_hip", -0.35)
    holding.lock(armature, ["left_hip"], FRAME, FRAME)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    knee = armature.data.bones.keys().index("left_knee")
    assert np.abs(turns(armature) - free)[knee].max() > 0.05
    # At another frame it is free.
    assert not holding.locked_parts(armature, np.array([FRAME + 1.0])).any()


def test_a_locked_root_stays_and_the_shape_is_fitted() -> None:
    scene, armature = still()
    pelvis = armature.pose.bones["pelvis"]
    pelvis.location.x += 0.05
    bend(armature, "pelvis", 0.1, "Y")
    bpy.context.view_layer.update()
    place, turn = (armature.matrix_world @ pelvis.head).copy(), channels(armature, ["pelvis"])
    holding.lock(armature, holding.parts_of(["pelvis"]), FRAME, FRAME)
    betas = np.array(armature.lsr1_body.betas)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert (armature.matrix_world @ pelvis.head - place).length < 1e-5
    assert not np.allclose(armature.lsr1_body.betas, betas, atol=1e-4)
    key = ("pelvis", "rotation_quaternion")
    assert channels(armature, ["pelvis"])[key] == turn[key]
    scene.lsr1.settings.keep_shape = True
    before, betas = channels(armature, ["pelvis"]), np.array(armature.lsr1_body.betas)
    for keep_root in (False, True):
        scene.lsr1.settings.keep_root = keep_root
        bend(armature, "right_knee", 0.4)
        assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
        assert channels(armature, ["pelvis"]) == before
        assert np.array_equal(armature.lsr1_body.betas, betas)


def test_live_leaves_what_is_locked() -> None:
    _, armature = still()
    bend(armature, "left_elbow", 0.8)
    holding.lock(armature, [*LIMB, *holding.parts_of(["pelvis"])], FRAME, FRAME)
    before = channels(armature, LIMB)
    others = turns(armature)
    live = LiveFit(bpy.context, armature)
    for _ in range(3):
        assert live.update(bpy.context)
        assert channels(armature, LIMB) == before
    live.accept(bpy.context)
    assert channels(armature, LIMB) == before
    assert np.abs(turns(armature) - others).max() > 1e-3


def wrist_place(armature: bpy.types.Object) -> np.ndarray:
    bpy.context.view_layer.update()
    return np.array(armature.matrix_world @ armature.pose.bones["right_wrist"].head)


def test_fit_pose_draws_a_pinned_joint() -> None:
    scene, armature = still()
    wanted = wrist_place(armature) + np.array([0.0, 0.1, 0.05])
    scene.cursor.location = wanted
    holding.pin(bpy.context, armature, "right_wrist", "CURSOR", FRAME, FRAME)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.linalg.norm(wrist_place(armature) - wanted) < 0.01
    scene.frame_set(FRAME + 1)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.linalg.norm(wrist_place(armature) - wanted) > 0.03


def numbers(armature: bpy.types.Object, bone: str, frames: np.ndarray) -> np.ndarray:
    """What a bone's rotation curves say at scene frames. -> [B, C]."""
    own = armature.pose.bones[bone]
    return bone_motion.read_channel(armature, own, rotation_path(own), frames)


@pytest.mark.parametrize("reduce", [False, True])
@pytest.mark.parametrize("smoothness", [1.0, 0.0])
def test_fit_clip_carries_locked_bones_over(smoothness: float, reduce: bool) -> None:
    scene = scene_of_walk(LAST)
    scene.lsr1.clip.smoothness, scene.lsr1.clip.reduce = smoothness, reduce
    armature = fit_clip()
    first = armature.animation_data.action
    scene.frame_set(FRAME)
    bend(armature, "left_knee", 0.5)
    armature.pose.bones["left_knee"].keyframe_insert("rotation_quaternion")
    frames, locked = np.arange(1.0, LAST + 1), slice(5, 11)
    before = numbers(armature, "left_knee", frames)
    free = numbers(armature, "left_ankle", frames)
    holding.lock(armature, ["left_knee"], 6, 11)
    fit_clip()
    assert armature.animation_data.action != first
    after = numbers(armature, "left_knee", frames)
    assert np.array_equal(after[locked], before[locked])
    assert not np.array_equal(after[~np.isin(frames, np.arange(6, 12))], before[:5])
    assert np.abs(numbers(armature, "left_ankle", frames) - free)[FRAME - 1].max() > 1e-3
    # From frame to frame the sign is the same.
    assert np.all(np.sum(after[1:] * after[:-1], axis=1) > 0)
    assert not any(other.users for other in () if other is first)


def test_fit_clip_keeps_a_bone_that_was_posed_and_never_keyed() -> None:
    scene = scene_of_walk(LAST)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    bend(armature, "neck", 0.4)
    own = tuple(armature.pose.bones["neck"].rotation_quaternion)
    holding.lock(armature, ["neck", *holding.parts_of(["pelvis"])], 1, LAST)
    place = tuple(armature.pose.bones["pelvis"].location)
    scene.lsr1.settings.keep_shape = True
    fit_clip()
    assert all(tuple(row) == own for row in numbers(armature, "neck", np.arange(1.0, LAST + 1)).tolist())
    curves = curves_of(armature)
    for index, value in enumerate(place):
        curve = curves.find('pose.bones["pelvis"].location', index=index)
        assert {key.co.y for key in curve.keyframe_points} == {value}


def test_fit_clip_draws_pinned_joints_to_a_moving_object() -> None:
    scene = scene_of_walk(LAST)
    armature = fit_clip()
    thing = bpy.data.objects.new("prop", None)
    scene.collection.objects.link(thing)
    offset = np.array([0.0, 0.06, 0.03])
    for frame in range(1, LAST + 1):
        scene.frame_set(frame)
        thing.location = wrist_place(armature) + offset
        thing.keyframe_insert("location", frame=frame)
    item = armature.lsr1_body.pins.add()
    item.name, item.first, item.last, item.thing = "right_wrist", 4, 12, thing
    far = np.linalg.norm(offset)
    fit_clip()
    left = []
    for frame in range(4, 13):
        scene.frame_set(frame)
        left.append(np.linalg.norm(wrist_place(armature) - np.array(thing.matrix_world.translation)))
    assert max(left) < 0.3 * far


def test_limbs_are_locked_by_one_of_their_bones_and_called_by_name() -> None:
    _, armature = still()
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="POSE")
    for bone in armature.pose.bones:
        (bone if hasattr(bone, "select") else bone.bone).select = bone.name in {"left_elbow", "pelvis"}
    assert bpy.ops.lsr1.lock_bones() == {"FINISHED"}
    held = armature.lsr1_body.locks
    assert {lock.name for lock in held} == {"left_elbow", "pelvis", "transl"}
    assert holding.parts_in_words([lock.name for lock in held]) == ["root", "left elbow"]
    assert bpy.ops.lsr1.lock_bones(whole_limbs=True) == {"FINISHED"}
    assert {lock.name for lock in held} >= {*LIMB, "spine2", "head"} and len(held) == 13
    assert holding.parts_in_words([lock.name for lock in held]) == ["left arm", "torso", "place"]
    assert bpy.ops.lsr1.unlock_bones(whole_limbs=True) == {"FINISHED"} and not held


def test_undo_leaves_what_was_turned_by_hand() -> None:
    scene = scene_of_walk(LAST)
    armature = fit_clip()
    scene.frame_set(FRAME)
    bpy.ops.ed.undo_push(message="fitted")
    name = armature.name
    bend(armature, "left_elbow", 0.6)
    scene.lsr1.refine.limbs = {"left_leg", "torso"}
    bpy.ops.ed.undo_push(message="turned")
    turned = channels(armature, ["left_elbow", "pelvis", "left_knee"])
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="refitted")
    assert channels(armature, ["left_elbow", "pelvis", "left_knee"]) != turned
    bpy.ops.ed.undo()
    armature = bpy.data.objects[name]
    assert channels(armature, ["left_elbow", "pelvis", "left_knee"]) == turned
