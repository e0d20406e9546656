"""Rest bones of bodies that are hidden, deleted or left behind: they change, and go back, like any others'.

Blender refuses edit mode to what is not seen, and takes along whatever else is selected.
"""

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import keypoint_store
from lsr1_body_fit.addon.live import LiveFit
from lsr1_body_fit.addon.operators.clip import LSR1_OT_fit_clip
from lsr1_body_fit.addon.rig_live import follows
from lsr1_body_fit.addon.rig_names import NAMINGS
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES, FitError

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose, moving_body
from tests.blender.inside.addon.test_deleted import begun_take, delete_in_viewport, delete_scene
from tests.blender.inside.addon.test_motion_files import written
from tests.blender.inside.addon.test_operators import scene_of_walk
from tests.blender.inside.addon.test_out_of_reach import excluded, hidden
from tests.blender.inside.addon.ticks import Ticking


def disabled(thing: bpy.types.Object) -> None:
    thing.hide_viewport = True


def in_hidden_collection(thing: bpy.types.Object) -> None:
    excluded(thing)
    layer = bpy.context.view_layer.layer_collection.children["put away"]
    layer.exclude, layer.hide_viewport = False, True


def in_disabled_collection(thing: bpy.types.Object) -> None:
    in_hidden_collection(thing)
    bpy.context.view_layer.layer_collection.children["put away"].hide_viewport = False
    bpy.data.collections["put away"].hide_viewport = True


HIDINGS = [hidden, disabled, excluded, in_hidden_collection, in_disabled_collection]
Hiding = Callable[[bpy.types.Object], None]


def heads(armature: bpy.types.Object) -> np.ndarray:
    """The rest joints [24, 3]."""
    return np.array([tuple(bone.head_local) for bone in armature.data.bones])


def state_of_layer() -> tuple[object, ...]:
    """What is active, selected and in which mode, and what the file holds."""
    layer = bpy.context.view_layer
    modes = {thing.name: (thing.mode, thing.select_get()) for thing in layer.objects}
    return layer.objects.active, bpy.context.mode, modes, list(bpy.data.objects), list(bpy.data.armatures)


@pytest.mark.parametrize("hide", HIDINGS)
def test_the_shape_of_a_hidden_body_changes_and_nothing_else(hide: Hiding) -> None:
    armature = bodies.add_body(bpy.context)
    seen = bodies.add_body(bpy.context)
    hide(armature)
    bpy.context.view_layer.update()
    before = state_of_layer()
    shape = np.linspace(1.5, -1.0, 10)
    for body in (armature, seen):
        bodies.set_shape(bpy.context, body, shape)
        assert np.allclose(body.lsr1_body.betas, shape) and body.visible_get() != (body == armature)
    assert np.allclose(heads(armature), heads(seen), atol=1e-6) and state_of_layer() == before
    assert [bone.name for bone in armature.pose.bones] == [bone.name for bone in armature.data.bones]


@pytest.mark.parametrize("mode", ["OBJECT", "POSE"])
@pytest.mark.parametrize("others", ["OBJECT", "POSE"])
def test_modes_and_selection_of_all_bodies_stay(mode: str, others: str) -> None:
    bodies_there = [bodies.add_body(bpy.context) for _ in range(2)]
    armature, other = bodies_there
    layer = bpy.context.view_layer
    for body, wanted in ((armature, mode), (other, others)):
        layer.objects.active = body
        for one in bodies_there:
            one.select_set(one == body)
        if wanted == "POSE":
            with bpy.context.temp_override(active_object=body, object=body):
                bpy.ops.object.mode_set(mode="POSE")
    for body in bodies_there:
        body.select_set(True)
    layer.objects.active = other
    turned = armature.pose.bones["left_elbow"]
    turned.rotation_quaternion = 0.8, 0.6, 0.0, 0.0
    before, stood = state_of_layer(), tuple(turned.rotation_quaternion)
    assert (armature.mode, other.mode) == (mode, others)
    at_rest = heads(armature)
    bodies.set_shape(bpy.context, armature, np.linspace(1.5, -1.0, 10))
    assert not np.allclose(heads(armature), at_rest) and np.allclose(heads(other), at_rest)
    assert state_of_layer() == before
    assert tuple(armature.pose.bones["left_elbow"].rotation_quaternion) == stood


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "WEIGHT_PAINT"])
@pytest.mark.parametrize("of_body", [False, True])
def test_the_mode_of_a_mesh_that_is_edited_stays(mode: str, of_body: bool) -> None:
    armature = bodies.add_body(bpy.context)
    if not of_body:
        bpy.ops.mesh.primitive_cube_add()
    mesh = bodies.mesh_of(armature) if of_body else bpy.context.object
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode=mode)
    before, at_rest = state_of_layer(), heads(armature)
    bodies.set_shape(bpy.context, armature, np.linspace(1.5, -1.0, 10))
    assert state_of_layer() == before and not np.allclose(heads(armature), at_rest)


def without_hands(armature: bpy.types.Object) -> None:
    with bodies.edit_mode(bpy.context, armature):
        for side in ("left", "right"):
            armature.data.edit_bones.remove(armature.data.edit_bones[f"{side}_hand"])


def named_as_smpl_names_them(armature: bpy.types.Object) -> None:
    for own, name in zip(SMPL_JOINT_NAMES, NAMINGS[1], strict=True):
        armature.data.bones[own].name = name


@pytest.mark.parametrize("change", [without_hands, named_as_smpl_names_them])
def test_bones_of_other_names_move_and_hands_may_be_gone(change: Hiding) -> None:
    armature, other = (bodies.add_body(bpy.context) for _ in range(2))
    change(armature)
    for body in (armature, other):
        bodies.set_shape(bpy.context, body, np.linspace(1.5, -1.0, 10))
    moved, wanted = (
        [tuple(bone.head_local) for bone in body.data.bones if "hand" not in bone.name.lower()]
        for body in (armature, other)
    )
    assert len(moved) == 22 and np.allclose(moved, wanted, atol=1e-6)


def test_a_rig_without_an_elbow_keeps_its_shape() -> None:
    armature = bodies.add_body(bpy.context)
    before = heads(armature)
    armature.data.bones["left_elbow"].name = "hinge"
    with pytest.raises(FitError, match="no bone for left_elbow"):
        bodies.joints_to_shape(bpy.context, shaped(armature))
    assert np.array_equal(heads(armature), before) and not np.any(armature.lsr1_body.betas)


def shaped(armature: bpy.types.Object) -> bpy.types.Object:
    bodies.show_betas(armature, np.linspace(1.5, -1.0, 10))
    return armature


def test_bones_that_are_edited_are_moved_and_edited_on() -> None:
    armature = bodies.add_body(bpy.context)
    at_rest = heads(armature)
    bpy.ops.object.mode_set(mode="EDIT")
    before = state_of_layer()
    bodies.set_shape(bpy.context, armature, np.linspace(1.5, -1.0, 10))
    assert state_of_layer() == before and armature.data.edit_bones
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not np.allclose(heads(armature), at_rest)


@pytest.mark.parametrize("hide", HIDINGS)
def test_live_brings_a_hidden_bodys_bones_back(hide: Hiding) -> None:
    armature = scene_of_walk()
    scene, before = bpy.context.scene, heads(armature)
    live = LiveFit(bpy.context, armature)
    keypoint_store.set_point(scene, scene.frame_current, 4, (300.0, 400.0), 1.0)
    assert live.update(bpy.context)
    live.accept(bpy.context)
    assert not np.allclose(heads(armature), before, atol=1e-3)
    hide(armature)
    live.cancel(bpy.context)
    assert np.allclose(heads(armature), before, atol=1e-6) and not np.any(armature.lsr1_body.betas)


@pytest.mark.parametrize("hide", HIDINGS)
def test_a_hidden_body_is_fitted_like_one_that_is_seen(hide: Hiding) -> None:
    armature = scene_of_walk()
    bpy.ops.lsr1.fit_pose()
    betas, percent = np.array(armature.lsr1_body.betas), bpy.context.scene.lsr1.result.percent
    bodies.remove_body(bodies.body_parts(armature))
    armature = scene_of_walk()
    hide(armature)
    bpy.context.view_layer.update()
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.allclose(armature.lsr1_body.betas, betas, atol=1e-3)
    assert abs(bpy.context.scene.lsr1.result.percent - percent) < 0.01


@pytest.mark.parametrize("hide", HIDINGS)
def test_a_clip_given_up_brings_a_hidden_bodys_bones_back(hide: Hiding) -> None:
    armature = scene_of_walk()
    scene, before = bpy.context.scene, heads(armature)
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    take, state = begun_take()
    take.accept(bpy.context, state)
    assert not np.allclose(heads(armature), before, atol=1e-3)
    hide(armature)
    take.discard(bpy.context)
    assert np.allclose(heads(armature), before, atol=1e-6) and not bpy.data.actions


def test_a_motion_comes_in_on_a_hidden_body(tmp_path: Path) -> None:
    armature = bodies.add_body(bpy.context)
    armature.hide_set(True)
    assert bpy.ops.lsr1.import_motion(filepath=str(written(tmp_path, 50.0))) == {"FINISHED"}
    assert np.any(armature.lsr1_body.betas) and armature.animation_data.action is not None


@pytest.mark.parametrize("hide", HIDINGS)
def test_a_rig_follows_a_hidden_body(hide: Hiding) -> None:
    body, rig = moving_body(), character("Mixamo", Figure())
    choose(rig)
    hide(body)
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"} and follows(rig)


def taken_out_of_its_scene(armature: bpy.types.Object) -> None:
    delete_in_viewport(armature)


def left_with_its_scene(_: bpy.types.Object) -> None:
    delete_scene(bpy.context.scene)


@pytest.mark.parametrize("leave", [taken_out_of_its_scene, left_with_its_scene])
def test_a_body_that_is_in_no_scene_any_more_gets_its_bones_back(leave: Hiding) -> None:
    armature = scene_of_walk()
    scene, before = bpy.context.scene, heads(armature)
    armature.use_fake_user = True
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    take, state = begun_take()
    take.accept(bpy.context, state)
    leave(armature)
    take.discard(bpy.context)
    assert np.allclose(heads(armature), before, atol=1e-6) and not np.any(armature.lsr1_body.betas)
    assert not bpy.data.actions


def test_after_one_of_several_tracks_a_deleted_scene_leaves_a_body_as_it_was() -> None:
    armature = scene_of_walk()
    scene, before = bpy.context.scene, heads(armature)
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    for person in scene.lsr1.keypoints.people:
        person.use = True
    run = Ticking(LSR1_OT_fit_clip, again=False)
    while np.allclose(heads(armature), before, atol=1e-3):
        assert run.tick() == "RUNNING_MODAL"
    delete_scene(scene)
    assert run.tick() == "CANCELLED"
    assert np.allclose(heads(armature), before, atol=1e-6) and not np.any(armature.lsr1_body.betas)
    assert not bpy.data.actions
