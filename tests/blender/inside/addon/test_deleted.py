"""A body that is deleted while it is fitted, or its scene: the run ends, and with it goes what it made."""

import sys
from collections.abc import Callable

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import fits
from lsr1_body_fit.addon.clip_take import TakeInProgress
from lsr1_body_fit.addon.operators.clip import LSR1_OT_fit_clip
from lsr1_body_fit.addon.operators.fit import LSR1_OT_fit_pose
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.lsr1_solver import FitError, FitState

from tests.blender.inside.addon import test_operators
from tests.blender.inside.addon.keyed import insert_keyframes
from tests.blender.inside.addon.test_clip import clips_pose, scene_of_walk
from tests.blender.inside.addon.ticks import Ticking


def delete_in_viewport(armature: bpy.types.Object) -> None:
    """X over the armature alone: its mesh stays."""
    for thing in bpy.context.selected_objects:
        thing.select_set(False)
    armature.select_set(True)
    bpy.ops.object.delete()


def delete_both_in_viewport(armature: bpy.types.Object) -> None:
    mesh = bodies.mesh_of(armature)
    for thing in bpy.context.selected_objects:
        thing.select_set(False)
    armature.select_set(True)
    mesh.select_set(True)
    bpy.ops.object.delete()


def remove_from_file(armature: bpy.types.Object) -> None:
    bpy.data.objects.remove(armature)


def remove_mesh(armature: bpy.types.Object) -> None:
    bpy.data.objects.remove(bodies.mesh_of(armature))


DELETIONS = (delete_in_viewport, delete_both_in_viewport, remove_from_file, remove_mesh)


def all_there() -> dict[str, list[str]]:
    """The names of everything that a fit may make."""
    kinds = ("objects", "armatures", "meshes", "shape_keys", "materials", "actions")
    return {kind: sorted(thing.name for thing in getattr(bpy.data, kind)) for kind in kinds}


def begun_take() -> tuple[TakeInProgress, FitState]:
    """A take in the middle of its fit, shown."""
    take = TakeInProgress(bpy.context, 0, keep_contacts=False)
    for _, state in zip(range(3), take.job.states(), strict=False):
        last = state
    take.show(bpy.context, last)
    return take, last


@pytest.mark.parametrize("delete", DELETIONS)
def test_of_a_body_made_for_a_take_nothing_is_left(delete: Callable[[bpy.types.Object], None]) -> None:
    scene = scene_of_walk(12)
    scene.camera.select_set(True)
    before = all_there()
    take, state = begun_take()
    delete(target(bpy.context))
    if delete is not remove_mesh:
        with pytest.raises(FitError, match="deleted"):
            take.show(bpy.context, state)
    take.discard(bpy.context)
    assert all_there() == before and not scene.lsr1.result.is_preview
    assert scene.lsr1.keypoints.people[0].body is None
    assert bpy.context.selected_objects == ([scene.camera] if scene.camera.select_get() else [])


@pytest.mark.parametrize("delete", DELETIONS)
def test_of_a_body_that_was_there_all_else_is_as_it_was(delete: Callable[[bpy.types.Object], None]) -> None:
    """Its mesh stays, with the shape that it had, and so does the action that it had."""
    scene = scene_of_walk(12)
    bpy.ops.lsr1.add_body()
    armature = target(bpy.context)
    scene.lsr1.keypoints.people[0].body = armature
    insert_keyframes(armature, clips_pose(2), [5, 6])
    mesh = bodies.mesh_of(armature)
    mesh.data.shape_keys.key_blocks[1].value = 0.5
    keys, actions = mesh.data.shape_keys, list(bpy.data.actions)
    values = [key.value for key in keys.key_blocks]
    take, _ = begun_take()
    assert values != [key.value for key in keys.key_blocks]
    delete(armature)
    there = {**all_there(), "actions": [action.name for action in actions]}
    take.discard(bpy.context)
    assert all_there() == there
    if delete in (delete_in_viewport, remove_from_file):
        assert mesh.name in scene.objects and values == [key.value for key in keys.key_blocks]
    # What X in the viewport left in the file for the sake of the track has its own action again.
    body = scene.lsr1.keypoints.people[0].body
    assert (body is None) == (delete is remove_from_file)
    assert body is None or body.animation_data.action == actions[0]


def test_another_body_of_the_same_name_is_left_alone() -> None:
    scene = scene_of_walk(12)
    take, state = begun_take()
    armature = target(bpy.context)
    name = armature.name
    bpy.data.objects.remove(armature)
    bpy.ops.lsr1.add_body()
    mine = target(bpy.context)
    assert mine.name == name
    there = all_there()
    with pytest.raises(FitError, match="deleted"):
        take.show(bpy.context, state)
    take.discard(bpy.context)
    assert mine.name in scene.objects and mine.animation_data is None
    assert bodies.mesh_of(mine) is not None and mine.data.name in bpy.data.armatures
    gone = {kind: len(names) - len(all_there()[kind]) for kind, names in there.items()}
    wanted = {"objects": 1, "armatures": 1, "meshes": 1, "shape_keys": 1, "materials": 0, "actions": 1}
    assert gone == wanted


def test_what_the_user_made_of_the_bodys_mesh_stays() -> None:
    scene = scene_of_walk(12)
    take, _ = begun_take()
    armature = target(bpy.context)
    skin = bodies.mesh_of(armature).data
    twin, paint = bpy.data.objects.new("twin", skin), bpy.data.materials.new("paint")
    scene.collection.objects.link(twin)
    skin.materials.append(paint)
    bpy.data.objects.remove(armature)
    take.discard(bpy.context)
    assert twin.data == skin and list(skin.materials)[-1] == paint and not bpy.data.actions
    assert [thing.name for thing in bpy.data.objects if thing.type == "MESH"] == ["twin"]


def test_the_button_ends_with_an_error_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted in the last moment: a clip's body, one of several, and a pose's."""
    scene_of_walk(12)
    before, accept = all_there(), TakeInProgress.accept

    def too_late(take: TakeInProgress, context: bpy.types.Context, state: FitState) -> object:
        bpy.data.objects.remove(target(context))
        return accept(take, context, state)

    monkeypatch.setattr(TakeInProgress, "accept", too_late)
    with pytest.raises(RuntimeError, match="was deleted"):
        bpy.ops.lsr1.fit_clip()
    assert all_there() == before
    assert not bpy.context.scene.lsr1.result.is_running


def test_a_pose_of_a_deleted_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    armature = test_operators.scene_of_walk()
    scene, keys = bpy.context.scene, bodies.mesh_of(armature).data.shape_keys
    keys.key_blocks[1].value = 0.5
    values = [key.value for key in keys.key_blocks]
    fit = sys.modules["lsr1_body_fit.addon.operators.fit"]

    def too_late(context: bpy.types.Context, job: fits.SceneFit, state: FitState) -> str:
        fits.show_state(context, job, state)
        assert values != [key.value for key in keys.key_blocks]
        name = armature.name
        bpy.data.objects.remove(armature)
        assert bpy.ops.lsr1.add_body() == {"FINISHED"} and target(context).name == name
        return fits.accept(context, job, state)

    monkeypatch.setattr(fit, "accept", too_late)
    with pytest.raises(RuntimeError, match="no longer in the scene"):
        bpy.ops.lsr1.fit_pose()
    assert values == [key.value for key in keys.key_blocks] and not scene.lsr1.result.is_preview
    mine = target(bpy.context)
    assert np.array_equal(test_operators.channels(mine), np.tile(np.eye(4), (24, 1, 1)))
    assert not bodies.shown_betas(mine).any()


def delete_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Another takes its place in the window, and its name. Returns that one."""
    name, other = scene.name, bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(scene)
    other.name = name
    return other


def nothing_runs() -> bool:
    return not any(s.lsr1.result.is_running or s.lsr1.result.is_preview for s in bpy.data.scenes)


def test_with_a_deleted_scene_goes_the_body_that_was_made() -> None:
    scene = scene_of_walk(12)
    before = all_there()
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    assert bpy.data.actions and scene.lsr1.result.is_preview
    other = delete_scene(scene)
    other.frame_set(7)
    other.lsr1.result.percent = 1.5
    assert run.tick() == "CANCELLED" and "deleted" in run.said[-1]
    assert all_there() == before and nothing_runs()
    assert other.frame_current == 7 and other.lsr1.result.percent == 1.5


@pytest.mark.parametrize("operator", [LSR1_OT_fit_clip, LSR1_OT_fit_pose])
def test_a_body_outlives_its_scene_as_it_was(operator: type[LSR1_OT_fit_clip]) -> None:
    armature = test_operators.scene_of_walk()
    scene, keys = bpy.context.scene, bodies.mesh_of(armature).data.shape_keys
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", 12
    insert_keyframes(armature, clips_pose(2), [5, 6])
    action = armature.animation_data.action
    keys.key_blocks[1].value = 0.5
    bpy.context.view_layer.update()
    values, stood = [key.value for key in keys.key_blocks], test_operators.channels(armature)
    before = all_there()
    run = Ticking(operator, again=False)
    run.tick(4)
    assert values != [key.value for key in keys.key_blocks]
    other = delete_scene(scene)
    other.lsr1.result.percent = 1.5
    assert run.tick() == "CANCELLED"
    assert all_there() == before and nothing_runs() and other.lsr1.result.percent == 1.5
    assert armature.animation_data.action == action
    assert values == [key.value for key in keys.key_blocks]
    assert np.array_equal(stood, test_operators.channels(armature))


def test_a_scene_may_get_another_name() -> None:
    scene = scene_of_walk(12)
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    name, scene.name = scene.name, "Renamed"
    bpy.data.scenes.new(name)
    assert run.to_its_end() == "FINISHED" and nothing_runs()
    assert scene.lsr1.keypoints.people[0].body.animation_data.action.lsr1_take.track


def test_called_off_while_another_scene_is_shown_the_own_one_is_as_it_was() -> None:
    """A file is loaded, or the window closes, before the run has seen that its scene was left."""
    scene = scene_of_walk(12)
    before, other = all_there(), bpy.data.scenes.new("Other")
    run = Ticking(LSR1_OT_fit_clip, again=False)
    run.tick(4)
    bpy.context.window.scene = other
    run.called_off()
    assert all_there() == before and nothing_runs() and scene.lsr1.keypoints.people[0].body is None
