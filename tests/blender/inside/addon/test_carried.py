"""Bodies that a parent, a strip or a constraint moves as a whole: fits are on the picture all the same."""

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.holding import lock, pin, pins_at
from lsr1_body_fit.lsr1_solver import posed_joints
from lsr1_body_fit.lsr1_solver.problem import PLACE

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose, moving_body
from tests.blender.inside.addon.rigs import bone_heads
from tests.blender.inside.addon.test_clip import curves_of, fit_clip, off_the_keypoints, scene_of_walk
from tests.blender.inside.addon.test_motion_files import BODY, in_blender, seen, walking, written
from tests.blender.inside.addon.test_operators import says

LAST = 12


def travels(thing: bpy.types.Object) -> None:
    """Keyed from here to somewhere else, turning."""
    for frame, place, turn in ((1, (0.0, 0.0, 0.0), 0.0), (LAST, (2.0, 1.0, 0.3), 1.0)):
        thing.location, thing.rotation_euler = place, (0.0, 0.1 * turn, turn)
        thing.keyframe_insert("location", frame=frame)
        thing.keyframe_insert("rotation_euler", frame=frame)


def empty() -> bpy.types.Object:
    thing = bpy.data.objects.new("carrier", None)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def by_parent(armature: bpy.types.Object) -> None:
    armature.parent = empty()
    travels(armature.parent)


def by_constraint(armature: bpy.types.Object) -> None:
    constraint = armature.constraints.new("CHILD_OF")
    constraint.target = empty()
    travels(constraint.target)


def by_strip(armature: bpy.types.Object) -> None:
    travels(armature)
    data = armature.animation_data
    data.nla_tracks.new().strips.new("travels", 1, data.action)
    data.action = None


def by_its_last_action(armature: bpy.types.Object) -> None:
    """The take takes its place: the body stays where it is now."""
    travels(armature)


CARRIERS = [by_parent, by_constraint, by_strip, by_its_last_action]


@pytest.mark.parametrize("carry", CARRIERS)
def test_a_take_is_on_the_keypoints_and_is_fitted_again_there(
    carry: Callable[[bpy.types.Object], None],
) -> None:
    scene = scene_of_walk(LAST)
    carry(bodies.add_body(bpy.context))
    scene.frame_set(5)
    armature = fit_clip()
    frames = (1, 4, 8, LAST)
    before = [off_the_keypoints(armature, frame) for frame in frames]
    assert max(before) < 10
    scene.lsr1.refine.span, scene.lsr1.refine.first, scene.lsr1.refine.last = "RANGE", 4, 8
    scene.frame_set(10)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    assert np.abs(np.subtract([off_the_keypoints(armature, frame) for frame in frames], before)).max() < 2


def test_other_peoples_actions_are_only_looked_at() -> None:
    scene = scene_of_walk(LAST)
    armature = bodies.add_body(bpy.context)
    armature.parent = empty()
    action = bpy.data.actions.new("theirs")
    for thing in (armature.parent, scene.camera):
        thing.animation_data_create().action = action
    fit_clip()
    assert not len(getattr(action, "slots", ())) and not len(getattr(action, "layers", ()))
    assert bpy.ops.lsr1.refit() == {"FINISHED"} and bpy.ops.lsr1.stand_on_floor() == {"FINISHED"}
    assert not len(getattr(action, "slots", ())) and not len(getattr(action, "layers", ()))


def test_a_lock_holds_in_a_body_that_is_carried() -> None:
    scene = scene_of_walk(LAST)
    by_parent(bodies.add_body(bpy.context))
    armature = fit_clip()
    parts = ["pelvis", PLACE, "left_hip"]
    lock(armature, parts, 1, LAST)
    paths = [f'pose.bones["{bone}"].rotation_quaternion' for bone in ("pelvis", "left_hip")]
    before = [[curves_of(armature).find(path, index=1).evaluate(f) for f in (3, 9)] for path in paths]
    scene.lsr1.settings.keep_shape = True
    fit_clip()
    after = [[curves_of(armature).find(path, index=1).evaluate(f) for f in (3, 9)] for path in paths]
    assert after == before
    assert max(off_the_keypoints(armature, frame) for frame in (1, 6, LAST)) < 12


@pytest.mark.parametrize("carry", CARRIERS)
def test_an_imported_motion_is_where_the_file_has_it(
    tmp_path: Path, carry: Callable[[bpy.types.Object], None]
) -> None:
    scene, armature = bpy.context.scene, bodies.add_body(bpy.context)
    carry(armature)
    scene.frame_set(7)
    path = written(tmp_path, 24.0)
    scene.render.fps, scene.render.fps_base = 24, 1.0
    assert bpy.ops.lsr1.import_motion(filepath=str(path)) == {"FINISHED"}
    expected = in_blender(np.asarray(posed_joints(BODY, walking())))
    assert np.abs(seen(armature, range(1, len(expected) + 1)) - expected).max() < 2e-3


@pytest.mark.parametrize("carry", [by_parent, by_constraint, by_strip])
def test_a_copy_is_what_live_shows_on_a_rig_that_is_carried(
    carry: Callable[[bpy.types.Object], None],
) -> None:
    moving_body()
    rig = character("Mixamo", Figure(arm_down=45), centimetres=True)
    carry(rig)
    choose(rig)
    bpy.context.scene.frame_set(2)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"}
    copied = []
    for frame in (1, 2, 3):
        bpy.context.scene.frame_set(frame)
        copied.append([np.array(rig.matrix_world @ bone.matrix) for bone in rig.pose.bones])
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"}
    for frame, wanted in zip((1, 2, 3), copied, strict=True):
        bpy.context.scene.frame_set(frame)
        live = [np.array(rig.matrix_world @ bone.matrix) for bone in rig.pose.bones]
        assert np.abs(np.subtract(live, wanted)).max() < 2e-4


def test_a_pin_follows_what_hangs_on_a_bone() -> None:
    scene = scene_of_walk(LAST)
    armature = fit_clip()
    prop = empty()
    prop.parent, prop.parent_type, prop.parent_bone = armature, "BONE", "right_wrist"
    other = bodies.add_body(bpy.context)
    scene.cursor.location = (0.0, 0.0, 0.0)
    pin(bpy.context, other, "left_wrist", "CURSOR", 1, LAST)
    other.lsr1_body.pins[0].thing = prop
    frames = np.array([2.0, 11.0])
    pins = pins_at(scene, other, frames, np.eye(4))
    for row, frame in enumerate((2, 11)):
        scene.frame_set(frame)
        bone_heads(armature, ["pelvis"])
        assert np.allclose(pins.target[row, 20], prop.matrix_world.translation, atol=1e-5)


def test_a_fitted_clip_is_put_on_the_floor_as_one() -> None:
    scene = scene_of_walk(LAST)
    armature = fit_clip()
    scene.frame_set(6)
    before = [off_the_keypoints(armature, frame) for frame in (1, 6, LAST)]
    scene.frame_set(6)
    assert bpy.ops.lsr1.stand_on_floor() == {"FINISHED"}
    assert abs(bone_heads(armature, ["left_foot", "right_foot"])[:, 2].min()) < 0.06
    assert np.abs(np.subtract([off_the_keypoints(armature, f) for f in (1, 6, LAST)], before)).max() < 0.05
    travels(armature)
    says(bpy.ops.lsr1.stand_on_floor, "is animated")
