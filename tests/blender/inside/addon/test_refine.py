"""Re-fit without a window: what was changed by hand stays, and nothing else than asked for changes."""

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import bone_motion, holding
from lsr1_body_fit.addon.rig import rig_of
from lsr1_body_fit.lsr1_solver.body_model import SMPL_JOINT_NAMES

from tests.blender.inside.addon.test_clip import curves_of, fit_clip, scene_of_walk

LEGS = {"left_leg", "right_leg"}
FRAMES = np.arange(1.0, 13.0)


def all_curves(armature: bpy.types.Object) -> dict[tuple[str, int], np.ndarray]:
    """What every curve says at every frame."""
    return {
        (c.data_path, c.array_index): np.array([c.evaluate(f) for f in FRAMES.tolist()])
        for c in curves_of(armature)
    }


def fitted_walk() -> tuple[bpy.types.Scene, bpy.types.Object]:
    scene = scene_of_walk(last=12)
    return scene, fit_clip()


def edit(armature: bpy.types.Object, joint: str, frame: int, angle: float) -> np.ndarray:
    """Turn a bone by hand and key it. -> the bone's own rotation [3, 3]."""
    bpy.context.scene.frame_set(frame)
    bone = armature.pose.bones[rig_of(armature).bones[SMPL_JOINT_NAMES.index(joint)]]
    before = bone.matrix_basis.to_3x3()
    bone.rotation_mode = bone.rotation_mode
    path = bone_motion.rotation_path(bone)
    turned = before @ before.Rotation(angle, 3, "X")
    bone.matrix_basis = turned.to_4x4()
    bone.keyframe_insert(path, frame=frame)
    return np.array(turned)


def basis(armature: bpy.types.Object, joint: str, frame: float) -> np.ndarray:
    motion = bone_motion.read_bones(armature, np.array([frame]))
    return motion.basis[0, SMPL_JOINT_NAMES.index(joint)]


def legs_may_change(scene: bpy.types.Scene, first: int, last: int) -> None:
    refine = scene.lsr1.refine
    refine.limbs, refine.span, refine.first, refine.last = LEGS, "RANGE", first, last


def test_edits_stay_and_nothing_else_than_the_legs_in_range_changes() -> None:
    scene, armature = fitted_walk()
    other = bpy.data.actions.new("Somebody's Own")
    edited = edit(armature, "left_knee", 5, 0.3)
    before = all_curves(armature)
    legs_may_change(scene, 3, 8)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = all_curves(armature)
    np.testing.assert_allclose(basis(armature, "left_knee", 5), edited, atol=1e-5)
    rig = rig_of(armature)
    in_legs = {rig.bones[j] for j, n in enumerate(SMPL_JOINT_NAMES) if any(
        part in n for part in ("hip", "knee", "ankle", "foot"))}  # fmt: skip
    changed = False
    for key, values in before.items():
        outside = (FRAMES < 3) | (FRAMES > 8)
        assert np.array_equal(after[key][outside], values[outside]), key
        if not any(f'"{bone}"' in key[0] for bone in in_legs):
            assert np.array_equal(after[key], values), key
        changed |= not np.array_equal(after[key], values)
    assert changed
    assert not len(getattr(other, "fcurves", ())) and other.name in bpy.data.actions


def test_locked_bones_are_kept_exactly() -> None:
    scene, armature = fitted_walk()
    holding.lock(armature, ["right_knee"], 4, 6)
    before = np.stack([basis(armature, "right_knee", f) for f in (4, 5, 6)])
    edit(armature, "left_knee", 5, 0.3)
    legs_may_change(scene, 3, 8)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    after = np.stack([basis(armature, "right_knee", f) for f in (4, 5, 6)])
    assert np.array_equal(before, after)
    assert holding.unlock(armature, ["right_knee"], 5, 5) == 1
    spans = sorted((held.first, held.last) for held in armature.lsr1_body.locks)
    assert spans == [(4, 4), (6, 6)]


def test_a_pinned_foot_comes_to_its_place() -> None:
    scene, armature = fitted_walk()
    scene.frame_set(5)
    bone = armature.pose.bones[rig_of(armature).bones[SMPL_JOINT_NAMES.index("left_ankle")]]
    wanted = armature.matrix_world @ bone.head
    wanted.z += 0.06
    scene.cursor.location = wanted
    holding.pin(bpy.context, armature, "left_ankle", "CURSOR", 5, 5)
    legs_may_change(scene, 3, 8)
    far = (armature.matrix_world @ bone.head - wanted).length
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert (armature.matrix_world @ bone.head - wanted).length < 0.5 * far


def test_what_cannot_be_refitted_is_said() -> None:
    scene, _ = fitted_walk()
    scene.lsr1.refine.limbs = set()
    with pytest.raises(RuntimeError, match="Nothing may change"):
        bpy.ops.lsr1.refit()
    legs_may_change(scene, 400, 410)
    with pytest.raises(RuntimeError, match="no keypoints from frame 400"):
        bpy.ops.lsr1.refit()


def test_a_correction_in_a_long_gap_spreads_between_what_is_seen() -> None:
    scene = scene_of_walk(last=60)
    held = scene.lsr1.keypoints
    confidence = np.array(held["confidence"]).reshape(100, -1)
    confidence[15:45] = 0
    held["confidence"] = confidence.ravel()
    armature = fit_clip()
    edited = edit(armature, "left_shoulder", 30, 0.6)
    before = {frame: basis(armature, "left_shoulder", frame) for frame in (18, 26, 34, 42)}
    scene.lsr1.refine.span, scene.lsr1.refine.falloff = "AROUND", 8
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    np.testing.assert_allclose(basis(armature, "left_shoulder", 30), edited, atol=1e-5)
    moved = {
        frame: np.abs(basis(armature, "left_shoulder", frame) - old).max() for frame, old in before.items()
    }
    assert moved[18] == moved[42] == 0 and min(moved[26], moved[34]) > 0.02
