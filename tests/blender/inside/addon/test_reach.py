"""Reach without a window: a dragged joint is where it was dragged, and nothing else changes than may."""

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lsr1_body_fit.addon import bone_motion, fits, footage, holding, pictures
from lsr1_body_fit.addon.armature import read_pose
from lsr1_body_fit.addon.reaching import Drag
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.lsr1_solver import FitError
from lsr1_body_fit.lsr1_solver.body_model import SMPL_JOINT_NAMES, local_rotations
from lsr1_body_fit.lsr1_solver.limits import ALLOWED, BONES, FORBIDDEN, JOINTS

from tests.blender.inside.addon.rigs import bone_heads
from tests.blender.inside.addon.test_clip import fit_clip
from tests.blender.inside.addon.test_clip import scene_of_walk as clip_of_walk
from tests.blender.inside.addon.test_operators import scene_of_walk
from tests.blender.inside.addon.test_refine import all_curves

SIZE = (1280, 720)


def still() -> bpy.types.Object:
    """A body at rest in front of a camera; no keypoints. The picture is stretched and off centre."""
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, SIZE)
    scene.render.pixel_aspect_x, camera.data.shift_x, camera.rotation_euler.z = 1.2, 0.05, 0.1
    assert bpy.ops.lsr1.add_body() == {"FINISHED"}
    bpy.context.view_layer.update()
    return target(bpy.context)


def pixel(armature: bpy.types.Object, joint: str) -> np.ndarray:
    """Where Blender itself sees a joint in the render, pixels from the top left, and how far away [3]."""
    scene = bpy.context.scene
    bpy.context.view_layer.update()
    place = armature.matrix_world @ armature.pose.bones[joint].head
    x, y, depth = world_to_camera_view(scene, scene.camera, place)
    width, height = footage.render_size(scene)
    return np.array([x * width, (1 - y) * height, depth])


def drag(armature: bpy.types.Object, joint: str, way: tuple[float, float], farther: float = 0.0) -> Drag:
    begin, held = pixel(armature, joint)[:2], Drag(bpy.context, armature, joint)
    held.farther = farther
    for share in np.linspace(0.1, 1, 10):
        held.to(armature, begin + share * np.array(way))
    return held


def channels(armature: bpy.types.Object) -> dict[str, tuple[tuple[float, ...], ...]]:
    return fits.snapshot(bpy.context.scene, armature).bones


@pytest.mark.parametrize(
    ("joint", "way"),
    [("left_wrist", (-60, -90)), ("right_ankle", (-50, -60)), ("head", (40, 10)), ("pelvis", (20, 40))],
)
def test_the_joint_is_where_it_was_dragged_at_its_depth(joint: str, way: tuple[float, float]) -> None:
    armature = still()
    begin = pixel(armature, joint)
    drag(armature, joint, way)
    reached = pixel(armature, joint)
    assert np.linalg.norm(reached[:2] - begin[:2] - way) < 1.0
    assert abs(reached[2] - begin[2]) < 0.08
    rotations = local_rotations(read_pose(armature))
    lean = np.sum((rotations[:, JOINTS] @ BONES[..., None])[..., 0] * FORBIDDEN, axis=-1)
    assert np.all(lean < ALLOWED + 0.2)


def test_the_wheel_moves_the_joint_away_and_the_feet_stay() -> None:
    armature = still()
    begin, feet = pixel(armature, "left_wrist"), bone_heads(armature, ["left_ankle", "right_ankle"])
    drag(armature, "left_wrist", (-100, -60), farther=-0.3)
    reached = pixel(armature, "left_wrist")
    assert np.linalg.norm(reached[:2] - begin[:2] - (-100, -60)) < 1.0
    assert abs(reached[2] - begin[2] + 0.3) < 0.1
    assert np.abs(bone_heads(armature, ["left_ankle", "right_ankle"]) - feet).max() < 0.04


def test_a_drag_that_is_given_up_leaves_no_trace() -> None:
    armature = still()
    armature.pose.bones["left_elbow"].rotation_mode = "XYZ"
    armature.pose.bones["left_elbow"].rotation_euler = (0.1, 0.2, 0.3)
    before, place = channels(armature), armature.matrix_world.copy()
    held = drag(armature, "left_wrist", (-60, -90))
    assert channels(armature) != before
    fits.restore(held.before)
    assert channels(armature) == before and armature.matrix_world == place
    assert armature.animation_data is None and not bpy.data.actions


def test_locked_bones_stay_bit_for_bit_and_pins_hold() -> None:
    armature = still()
    holding.lock(armature, ["left_elbow", "pelvis", "transl"], 1, 1)
    bpy.context.scene.cursor.location = armature.matrix_world @ armature.pose.bones["right_wrist"].head
    bpy.context.scene.cursor.location.z += 0.2
    holding.pin(bpy.context, armature, "right_wrist", "CURSOR", 1, 1)
    before, begin = channels(armature), pixel(armature, "left_wrist")
    drag(armature, "left_wrist", (-20, -70))
    after = channels(armature)
    assert after["left_elbow"] == before["left_elbow"] and after["pelvis"] == before["pelvis"]
    assert after["left_shoulder"] != before["left_shoulder"]
    assert np.linalg.norm(pixel(armature, "left_wrist")[:2] - begin[:2] - (-20, -70)) < 1.0
    pinned = bone_heads(armature, ["right_wrist"])[0]
    assert np.linalg.norm(pinned - bpy.context.scene.cursor.location) < 0.02
    holding.lock(armature, ["transl"], 1, 1)
    with pytest.raises(FitError, match="All that moves the pelvis is locked"):
        Drag(bpy.context, armature, "pelvis")


def test_in_a_take_the_current_frame_alone_changes_and_a_refit_keeps_it() -> None:
    scene = clip_of_walk(last=12)
    armature = fit_clip()
    scene.frame_set(5)
    holding.lock(armature, ["left_foot"], 1, 12)
    before, begin = all_curves(armature), pixel(armature, "left_wrist")
    dragged = drag(armature, "left_wrist", (60, -120)).end(bpy.context, armature)
    elbow = tuple(armature.pose.bones["left_elbow"].rotation_quaternion)
    scene.tool_settings.use_keyframe_insert_auto = True
    dragged.keep(bpy.context, armature)
    for key, values in all_curves(armature).items():
        others = np.arange(12) != 4
        assert np.abs(values[others] - before[key][others]).max() < 1e-6, key
        assert 'bones["left_foot"]' not in key[0] or np.array_equal(values, before[key])
    scene.frame_set(6)
    scene.frame_set(5)
    np.testing.assert_allclose(armature.pose.bones["left_elbow"].rotation_quaternion, elbow, atol=1e-6)
    assert np.linalg.norm(pixel(armature, "left_wrist")[:2] - begin[:2] - (60, -120)) < 1.0
    # The arm is kept; what merely followed is fitted again.
    followed = np.array(armature.pose.bones["spine1"].rotation_quaternion)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    np.testing.assert_allclose(armature.pose.bones["left_elbow"].rotation_quaternion, elbow, atol=1e-6)
    assert np.abs(np.array(armature.pose.bones["spine1"].rotation_quaternion) - followed).max() > 1e-3


def test_a_still_gets_its_first_keys_where_they_are_asked_for() -> None:
    armature = still()
    holding.lock(armature, ["left_elbow"], 1, 1)
    dragged = drag(armature, "left_wrist", (-20, -70)).end(bpy.context, armature)
    before = channels(armature)
    bpy.context.scene.lsr1.settings.insert_key = True
    dragged.keep(bpy.context, armature)
    assert channels(armature) == before
    keyed = bone_motion.keyed_parts(armature, np.array([1.0]), 0.0)
    assert keyed[0, SMPL_JOINT_NAMES.index("left_shoulder")]
    assert not keyed[0, SMPL_JOINT_NAMES.index("left_elbow")]


@pytest.mark.parametrize("keyed", [False, True])
def test_a_fit_keeps_the_dragged_limb_and_earlier_edits(keyed: bool) -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    armature.pose.bones["head"].rotation_quaternion = (0.9, 0.3, 0.1, 0.0)
    scene.lsr1.settings.insert_key = keyed
    for joint, way in (("left_wrist", (60, -120)), ("right_ankle", (-60, -60))):
        drag(armature, joint, way).end(bpy.context, armature).keep(bpy.context, armature)
    before = channels(armature)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = channels(armature)
    kept = {"head", "left_elbow", "left_shoulder", "right_knee", "right_hip"}
    for bone in kept:
        np.testing.assert_allclose(after[bone][1], before[bone][1], atol=1e-6, err_msg=bone)
    assert all(after[bone] != before[bone] for bone in ("right_elbow", "left_knee", "spine1"))
