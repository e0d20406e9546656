"""Edits by hand without a window: case 27, unkeyed edits, falloff, locks by frames, pins, stills."""

import json

import bpy
import numpy as np
from lsr1_body_fit.addon import bone_motion, holding, keyframes, pictures
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.lsr1_solver.refine import LIMBS
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix
from mathutils import Matrix

from tests.blender.inside.addon.test_clip import curves_of, fit_clip, scene_of_walk
from tests.blender.inside.addon.test_operators import says
from tests.shared import SHARED, needs_shared

CASE = SHARED / "cases" / "27_refit_keeps_edits"
LEGS = {*LIMBS["left_leg"], *LIMBS["right_leg"]}


def all_keys(armature: bpy.types.Object) -> dict[tuple[str, int], dict[float, float]]:
    """Every key of the armature's curves: value by frame, by path and index."""
    return {
        (curve.data_path, curve.array_index): {p.co.x: p.co.y for p in curve.keyframe_points}
        for curve in curves_of(armature)
    }


def edit(armature: bpy.types.Object, bone: str, omega: list[float], frame: float) -> np.ndarray:
    """Turn a bone by hand at a frame and key it; the channel's values are returned."""
    rotation = Matrix(axis_angle_to_matrix(np.array(omega))).to_quaternion()
    values = np.array([tuple(rotation)])
    path = f'pose.bones["{bone}"].rotation_quaternion'
    keyframes.key_values(curves_of(armature), path, np.array([frame]), values, bone)
    return np.array([curves_of(armature).find(path, index=i).evaluate(frame) for i in range(4)])


def edited_walk() -> tuple[bpy.types.Object, np.ndarray]:
    """The walk's first frames fitted, and the left elbow bent by hand at frame 8."""
    scene_of_walk(16)
    armature = fit_clip()
    bpy.context.scene.frame_set(8)
    return armature, edit(armature, "left_elbow", [0.0, -1.2, 0.1], 8)


@needs_shared("cases")
def test_case_27_a_refit_keeps_edits() -> None:
    case = json.loads((CASE / "edits.json").read_text())
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    pictures.set_render_size(scene, (1280, 720))
    camera.data.lens = 36 * 1536 / 1280
    assert bpy.ops.lsr1.import_keypoints(filepath=str(CASE / "op") + "/") == {"FINISHED"}
    scene.lsr1.keypoints.start_frame = 0
    armature = fit_clip()
    first_take = armature.animation_data.action
    assert bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    other = {
        (c.data_path, c.array_index, p.co.x): p.co.y for c in curves_of(armature) for p in c.keyframe_points
    }
    second = armature.animation_data.action
    armature.animation_data.action = first_take
    if hasattr(first_take, "slots"):
        armature.animation_data.action_slot = first_take.slots[0]
    wanted = {
        e["joint"]: (e["frame"], edit(armature, e["joint"], e["axis_angle"], e["frame"]))
        for e in case["edits"]
    }
    before = all_keys(armature)
    scene.frame_set(0)
    refine = scene.lsr1.refine
    refine.span, (refine.first, refine.last) = "RANGE", case["refit_frames"]
    refine.limbs = {"left_leg", "right_leg"}
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = all_keys(armature)
    assert before.keys() == after.keys()
    changed = {
        (path.split('"')[1], frame)
        for (path, index), keys in after.items()
        for frame, value in keys.items()
        if before[path, index].get(frame) != value
    }
    assert {bone for bone, _ in changed} <= LEGS
    assert {frame for _, frame in changed} <= set(range(3, 9)) and ("left_knee", 7) in changed
    for joint, (frame, values) in wanted.items():
        path = f'pose.bones["{joint}"].rotation_quaternion'
        now = [curves_of(armature).find(path, index=i).evaluate(frame) for i in range(4)]
        assert np.array_equal(now, values) and (joint, frame) not in changed
    # The other take is untouched, and a second re-fit keeps the same edits.
    armature.animation_data.action = second
    if hasattr(second, "slots"):
        armature.animation_data.action_slot = second.slots[0]
    again = {
        (c.data_path, c.array_index, p.co.x): p.co.y for c in curves_of(armature) for p in c.keyframe_points
    }
    assert other == again


def test_an_edit_that_is_not_keyed_is_noticed_and_kept() -> None:
    scene_of_walk(16)
    armature = fit_clip()
    scene = bpy.context.scene
    scene.frame_set(8)
    elbow = armature.pose.bones["left_elbow"]
    elbow.rotation_quaternion = (0.8, 0.0, -0.6, 0.0)
    scene.lsr1.refine.limbs = {"left_arm"}
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    assert np.allclose(elbow.rotation_quaternion, (0.8, 0.0, -0.6, 0.0), atol=1e-7)
    scene.frame_set(9)
    scene.frame_set(8)
    turned = np.array(elbow.rotation_quaternion.to_matrix())
    assert np.abs(turned - np.array(Matrix.Rotation(-2 * np.arcsin(0.6), 3, "Y"))).max() < 1e-5


def test_a_correction_dies_away_with_the_frames() -> None:
    armature, _ = edited_walk()
    scene = bpy.context.scene
    frames = np.arange(1.0, 17.0)
    before = bone_motion.read_bones(armature, frames)
    scene.lsr1.refine.span, scene.lsr1.refine.falloff = "AROUND", 4
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = bone_motion.read_bones(armature, frames)
    moved = np.abs(after.basis - before.basis).max(axis=(2, 3))
    elbow = moved[:, 18]
    assert elbow[7] == 0 and np.all(moved[[0, 1, 2, 12, 13]] == 0)
    assert elbow[6] > elbow[4] > 0 and elbow[8] > elbow[10] > 0


def test_locked_bones_stay_and_locks_are_saved_by_frames() -> None:
    armature, _ = edited_walk()
    scene = bpy.context.scene
    holding.lock(armature, ["left_knee"], 3, 10)
    holding.lock(armature, ["left_knee"], 11, 12)
    assert [(h.name, h.first, h.last) for h in armature.lsr1_body.locks] == [("left_knee", 3, 12)]
    assert holding.unlock(armature, ["left_knee"], 6, 6) == 1
    assert sorted((h.first, h.last) for h in armature.lsr1_body.locks) == [(3, 5), (7, 12)]
    before = all_keys(armature)
    refine = scene.lsr1.refine
    refine.span, refine.first, refine.last = "RANGE", 4, 9
    edit(armature, "left_hip", [-0.6, 0.0, 0.0], 7)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = all_keys(armature)
    knee = [key for key in after if '"left_knee"' in key[0]]
    changed = {f for key in knee for f, value in after[key].items() if before[key][f] != value}
    assert changed == {6.0}


def test_a_pinned_joint_goes_to_its_place_and_says_what_is_missing() -> None:
    armature, _ = edited_walk()
    scene = bpy.context.scene
    bpy.context.view_layer.objects.active = armature
    says(bpy.ops.lsr1.pin_joint, "No bone is selected")
    bpy.ops.object.mode_set(mode="POSE")
    armature.data.bones.active = armature.data.bones["right_wrist"]
    select(armature, "right_wrist")
    empty = bpy.data.objects.new("prop", None)
    scene.collection.objects.link(empty)
    before = armature.matrix_world @ armature.pose.bones["right_wrist"].head
    empty.location = before + 0.1 * (armature.matrix_world.to_3x3() @ Matrix.Identity(3).col[2])
    scene.lsr1.refine.pin_to = "OBJECT"
    says(bpy.ops.lsr1.pin_joint, "Select one object beside the body")
    holding_pin(armature, empty)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    bpy.context.view_layer.update()
    after = armature.matrix_world @ armature.pose.bones["right_wrist"].head
    assert (after - empty.location).length < 0.3 * (before - empty.location).length
    assert bpy.ops.lsr1.unpin_joint() == {"FINISHED"} and not armature.lsr1_body.pins
    for kind in ("CURSOR", "FLOOR"):
        scene.lsr1.refine.pin_to = kind
        assert bpy.ops.lsr1.pin_joint() == {"FINISHED"}
    assert [(pin.name, pin.place[2]) for pin in armature.lsr1_body.pins] == [("right_wrist", 0.0)]


def holding_pin(armature: bpy.types.Object, thing: bpy.types.Object) -> None:
    pin = armature.lsr1_body.pins.add()
    pin.name, pin.first, pin.last, pin.thing = "right_wrist", 8, 8, thing


def select(armature: bpy.types.Object, name: str) -> None:
    for bone in armature.pose.bones:
        of = bone if hasattr(bone, "select") else bone.bone
        of.select = bone.name == name


def test_a_range_that_ends_before_it_begins_is_refused_everywhere() -> None:
    scene = scene_of_walk(12)
    clip, refine = scene.lsr1.clip, scene.lsr1.refine
    armature = fit_clip()
    select(armature, "left_elbow")
    refine.span, refine.first, refine.last, refine.pin_to = "RANGE", 9, 4, "CURSOR"
    operators = ("refit", "lock_bones", "unlock_bones", "pin_joint", "unpin_joint")
    for operator in (getattr(bpy.ops.lsr1, name) for name in operators):
        says(operator, "The last frame, 4, is before the first, 9: correct one")
    says(bpy.ops.lsr1.flip_limb, "last frame, 4, is before", limb="left_arm")
    assert not armature.lsr1_body.locks and not armature.lsr1_body.pins
    clip.first, clip.last = 7, 2
    says(bpy.ops.lsr1.fit_clip, "The last frame, 2, is before the first, 7: correct one")


def test_a_still_is_refitted_on_the_bones_alone() -> None:
    scene = scene_of_walk(1)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    scene.frame_set(5)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    armature.pose.bones["left_knee"].rotation_quaternion = (0.9, 0.43589, 0.0, 0.0)
    before = np.array([np.array(bone.matrix_basis) for bone in armature.pose.bones])
    scene.lsr1.refine.limbs = {"left_leg"}
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    bpy.context.view_layer.update()
    after = np.array([np.array(bone.matrix_basis) for bone in armature.pose.bones])
    changed = {
        bone.name for bone, a, b in zip(armature.pose.bones, before, after, strict=True) if np.any(a != b)
    }
    assert "left_hip" in changed and changed <= LEGS - {"left_knee"}
    assert armature.animation_data is None
