"""Copying beside other people's work: live and let go, actions kept, lists saved, errors told, undone."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon.keyframes import ensure_curves
from lsr1_body_fit.addon.rig_mapping import mapping_of

from tests.blender.inside.addon.character_rigs import LAYOUTS, Figure, character
from tests.blender.inside.addon.copies import (
    FIGURES,
    MODES,
    choose,
    frames,
    mapping,
    moving_body,
    poses,
    worst_limb,
)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_live_is_what_is_baked_and_goes_without_a_trace(kind: str) -> None:
    moving_body()
    rig = character(kind, FIGURES["bent"], seed=3, centimetres=kind == "Mixamo", modes=MODES)
    rig.location = (0.5, 0.2, 0.0)
    theirs = rig.pose.bones[mapping(rig)["left_wrist"]].constraints.new("LIMIT_ROTATION")
    theirs.name = "LSR1 Copy"
    choose(rig)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    baked = [poses(rig) for _ in frames()]
    bpy.context.scene.frame_set(1)
    rig.animation_data_clear()
    for bone in rig.pose.bones:
        bone.matrix_basis.identity()
    before = set(bpy.data.objects), set(bpy.data.armatures)
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    # Again: it does not follow twice.
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    assert len(set(bpy.data.objects) - before[0]) == 1
    unit = 100 if kind == "Mixamo" else 1
    for frame, wanted in zip(frames(), baked, strict=True):
        assert np.abs(poses(rig)[:, :3, :3] - wanted[:, :3, :3]).max() < 1e-4, frame
        assert np.abs(poses(rig)[:, :3, 3] - wanted[:, :3, 3]).max() < 1e-4 * unit
    assert bpy.ops.lsr1.stop_live() == {"FINISHED"}
    assert (set(bpy.data.objects), set(bpy.data.armatures)) == before
    left = [constraint for bone in rig.pose.bones for constraint in bone.constraints]
    assert left == [theirs]


def test_a_rig_whose_hidden_armature_was_deleted_is_let_go() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    choose(rig)
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    bpy.data.objects.remove(rig.lsr1_copy.helper)
    assert bpy.ops.lsr1.stop_live() == {"FINISHED"}
    assert not any(len(bone.constraints) for bone in rig.pose.bones)
    with pytest.raises(RuntimeError, match="follows nobody"):
        bpy.ops.lsr1.stop_live()


def test_the_earlier_action_stays_and_the_scene_is_as_it_was() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    curves = ensure_curves(rig, "Theirs")
    curve = curves.new('pose.bones["Hips"].location', index=0)
    curve.keyframe_points.insert(1, 0.5)
    theirs = rig.animation_data.action
    choose(rig)
    scene = bpy.context.scene
    scene.frame_set(17)
    active = bpy.context.view_layer.objects.active
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    assert scene.frame_current == 17 and bpy.context.view_layer.objects.active == active
    first = rig.animation_data.action
    assert first != theirs and theirs.use_fake_user
    assert [tuple(point.co) for point in curve.keyframe_points] == [(1.0, 0.5)]
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    assert rig.animation_data.action not in (first, theirs) and first.use_fake_user


def test_what_is_chosen_by_hand_is_used_and_saved_with_the_file(tmp_path: Path) -> None:
    body = moving_body()
    rig = character("Mixamo", Figure(arm_down=40), seed=4)
    for joint, bone in (("left_shoulder", "LeftArm"), ("left_hip", "LeftUpLeg"), ("pelvis", "Hips")):
        rig.data.bones[bone].name = f"Some {joint}"
    choose(rig)
    assert rig.lsr1_copy.kind == "Mixamo"
    with pytest.raises(RuntimeError, match="no bone for pelvis, left hip: choose"):
        bpy.ops.lsr1.copy_motion()
    for joint in ("left_shoulder", "left_hip", "pelvis"):
        rig.lsr1_copy.joints[joint].bone = f"Some {joint}"
    names = body.name, rig.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    body, rig = (bpy.data.objects[name] for name in names)
    assert bpy.context.scene.lsr1.copy_target == rig
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    for _ in frames():
        assert worst_limb(body, rig, mapping_of(rig)) < 0.05
    assert bpy.ops.lsr1.guess_bones() == {"FINISHED"}
    assert not rig.lsr1_copy.joints["pelvis"].bone


def test_what_cannot_be_copied_says_why() -> None:
    rig = character("Mixamo", Figure())
    scene = bpy.context.scene
    for operation in (bpy.ops.lsr1.copy_motion, bpy.ops.lsr1.follow_live):
        with pytest.raises(RuntimeError, match="Choose the rig"):
            operation()
    choose(rig)
    with pytest.raises(RuntimeError, match="Select the body"):
        bpy.ops.lsr1.copy_motion()
    moving_body()
    joints = rig.lsr1_copy.joints
    joints["left_wrist"].bone = "RightHand"
    with pytest.raises(RuntimeError, match="RightHand is chosen for left wrist and for right wrist"):
        bpy.ops.lsr1.copy_motion()
    joints["left_wrist"].bone = "Nobody"
    with pytest.raises(RuntimeError, match="has no bone Nobody"):
        bpy.ops.lsr1.copy_motion()
    joints["left_wrist"].bone = ""
    rig.lsr1_copy.last = 0
    with pytest.raises(RuntimeError, match="before the first"):
        bpy.ops.lsr1.copy_motion()
    rig.lsr1_copy.last = 3
    rig.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="unevenly"):
        bpy.ops.lsr1.copy_motion()
    rig.scale = (1, 1, 1)
    bone = rig.data.bones["Hips"]
    bone.use_local_location = False
    with pytest.raises(RuntimeError, match="Local Location"):
        bpy.ops.lsr1.follow_live()
    bone.use_local_location = True
    rig.data.bones["LeftLeg"].use_inherit_rotation = False
    with pytest.raises(RuntimeError, match="LeftLeg does not inherit"):
        bpy.ops.lsr1.follow_live()
    with pytest.raises(RuntimeError, match="follows nobody"):
        bpy.ops.lsr1.stop_live()
    scene.lsr1.copy_target = None
    with pytest.raises(RuntimeError, match="Choose the rig"):
        bpy.ops.lsr1.guess_bones()


def test_in_the_rigs_pose_mode_nothing_is_left_or_unselected() -> None:
    moving_body()
    rig = character("Mixamo", Figure(arm_down=45))
    choose(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="POSE")
    chosen = rig.data.bones["LeftArm"]
    rig.data.bones.active = chosen
    for operation in (bpy.ops.lsr1.follow_live, bpy.ops.lsr1.stop_live, bpy.ops.lsr1.copy_motion):
        assert operation() == {"FINISHED"}
        assert rig.mode == "POSE" and bpy.context.view_layer.objects.active == rig
        assert rig.data.bones.active == chosen
    assert not any(len(bone.constraints) for bone in rig.pose.bones)


def test_one_undo_takes_the_copy_back_and_one_the_live_rig() -> None:
    moving_body()
    rig = character("Mixamo", Figure())
    choose(rig)
    name, before = rig.name, len(bpy.data.objects)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.lsr1.copy_motion("EXEC_DEFAULT", True) == {"FINISHED"}
    assert bpy.data.objects[name].animation_data.action
    assert bpy.ops.lsr1.follow_live("EXEC_DEFAULT", True) == {"FINISHED"}
    assert len(bpy.data.objects) == before + 1
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == before and bpy.data.objects[name].animation_data.action
    assert not any(len(bone.constraints) for bone in bpy.data.objects[name].pose.bones)
    bpy.ops.ed.undo()
    data = bpy.data.objects[name].animation_data
    assert data is None or data.action is None
