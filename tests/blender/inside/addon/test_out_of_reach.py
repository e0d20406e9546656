"""Bodies that Blender doesn't let be changed or selected: it is said, and nothing has changed then."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon.awake import awake
from lsr1_body_fit.addon.camera_path import carried_places
from lsr1_body_fit.addon.reaching import Drag
from lsr1_body_fit.addon.rig_transfer import sample_source
from lsr1_body_fit.lsr1_solver import FitError

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose, moving_body
from tests.blender.inside.addon.keyed import tweaked
from tests.blender.inside.addon.rigs import world_vertices
from tests.blender.inside.addon.test_clip import curves_of, fit_clip, scene_of_walk
from tests.blender.inside.addon.test_motion_files import scene_with_walk, unchanged, written
from tests.blender.inside.addon.test_operators import says

EXPORTS = [("export_fbx", "fbx"), ("export_gltf", "glb")]


def hidden(thing: bpy.types.Object) -> None:
    thing.hide_set(True)


def unselectable(thing: bpy.types.Object) -> None:
    thing.hide_select = True


def excluded(thing: bpy.types.Object) -> None:
    collection = bpy.data.collections.new("put away")
    bpy.context.scene.collection.children.link(collection)
    bpy.context.scene.collection.objects.unlink(thing)
    collection.objects.link(thing)
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True


def disabled(thing: bpy.types.Object) -> None:
    thing.hide_viewport = True


def in_a_disabled_collection(thing: bpy.types.Object) -> None:
    excluded(thing)
    (collection,) = thing.users_collection
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = False
    collection.hide_viewport = True


@pytest.mark.parametrize("away", [hidden, unselectable, excluded])
@pytest.mark.parametrize(("operator", "ending"), EXPORTS)
def test_a_mesh_that_would_be_missing_is_not_left_out(
    tmp_path: Path, operator: str, ending: str, away: object
) -> None:
    armature = scene_with_walk(tmp_path)
    mesh = bodies.mesh_of(armature)
    away(mesh)
    bpy.context.view_layer.update()
    before, meshes = unchanged(armature), list(bpy.data.meshes)
    path = tmp_path / f"out.{ending}"
    says(getattr(bpy.ops.lsr1, operator), f"{mesh.name} .* missing in the file", filepath=str(path))
    assert not path.exists() and unchanged(armature) == before and list(bpy.data.meshes) == meshes


@pytest.mark.parametrize(("operator", "ending"), EXPORTS)
def test_a_file_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, operator: str, ending: str
) -> None:
    armature = scene_with_walk(tmp_path)
    (tmp_path / f"out.{ending}").mkdir()
    before = unchanged(armature)
    path = str(tmp_path / f"out.{ending}")
    with pytest.raises(RuntimeError, match="cannot be written: Is a directory") as caught:
        getattr(bpy.ops.lsr1, operator)(filepath=path)
    assert "Traceback" not in str(caught.value) and unchanged(armature) == before


def test_a_motion_that_cannot_be_imported_changes_nothing(tmp_path: Path) -> None:
    scene, armature = bpy.context.scene, bodies.add_body(bpy.context)
    tweaked(armature)
    fps, actions = scene.render.fps, len(bpy.data.actions)
    path = str(written(tmp_path, 50.0))
    says(bpy.ops.lsr1.import_motion, "tweak mode", filepath=path, set_rate=True)
    assert scene.render.fps == fps and len(bpy.data.actions) == actions
    assert not bodies.shown_betas(armature).any() and not np.any(armature.lsr1_body.betas)


def test_a_rig_in_tweak_mode_gets_no_copy_and_the_frame_stays() -> None:
    moving_body()
    scene, rig = bpy.context.scene, character("Mixamo", Figure())
    choose(rig)
    scene.frame_set(3, subframe=0.5)
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"} and scene.frame_current_final == 3.5
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"} and scene.frame_current_final == 3.5
    tweaked(rig)
    actions, helper = len(bpy.data.actions), rig.lsr1_copy.helper
    says(bpy.ops.lsr1.copy_motion, "tweak mode")
    assert len(bpy.data.actions) == actions and rig.lsr1_copy.helper == helper


@pytest.mark.parametrize(("start", "scale"), [(1, 1.0), (6, 1.0), (1, 2.0)])
def test_a_strip_in_tweak_mode_is_fitted_where_its_frames_are_the_scenes(start: int, scale: float) -> None:
    """Elsewhere keys would be seen at other frames than those that were fitted."""
    scene = scene_of_walk(8)
    armature = fit_clip()
    tweaked(armature)
    strip = armature.animation_data.nla_tracks[0].strips[0]
    armature.animation_data.use_tweak_mode = False
    strip.scale, strip.frame_start_ui = scale, start
    armature.animation_data.use_tweak_mode = True
    scene.frame_set(7)
    settings = scene.lsr1.settings
    settings.insert_key = settings.start_here = True
    keys = [tuple(p.co) for curve in curves_of(armature) for p in curve.keyframe_points]
    if (start, scale) == (1, 1.0):
        assert bpy.ops.lsr1.refit() == {"FINISHED"} and bpy.ops.lsr1.fit_pose() == {"FINISHED"}
        return
    for operator in ("fit_pose", "refit", "other_solutions", "find_depths"):
        says(getattr(bpy.ops.lsr1, operator), "tweak mode of a strip")
    says(bpy.ops.lsr1.flip_limb, "tweak mode of a strip", limb="left_arm")
    with pytest.raises(FitError, match="tweak mode of a strip"):
        Drag(bpy.context, armature, "left_wrist")
    assert keys == [tuple(p.co) for curve in curves_of(armature) for p in curve.keyframe_points]


def test_a_linked_body_is_left_alone_and_an_overridden_one_keeps_its_shape(tmp_path: Path) -> None:
    scene_of_walk(8)
    bodies.add_body(bpy.context)
    path = str(tmp_path / "body.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = scene_of_walk(8)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.objects = ["LSR1 Body", "LSR1 Body Mesh"]
    for thing in linked.objects:
        scene.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = linked.objects[0]
    for operator in (bpy.ops.lsr1.fit_pose, bpy.ops.lsr1.fit_clip, bpy.ops.lsr1.refit):
        says(operator, "linked: make a library override")
    assert not bpy.data.actions and linked.objects[0].animation_data is None
    armature, mesh = (thing.override_create(remap_local_usages=True) for thing in linked.objects)
    mesh.parent = armature
    bpy.context.view_layer.objects.active = armature
    for operator in (bpy.ops.lsr1.fit_pose, bpy.ops.lsr1.fit_clip):
        says(operator, "tick Keep Shape")
    assert not bpy.data.actions
    scene.lsr1.settings.keep_shape = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"} and bpy.ops.lsr1.fit_clip() == {"FINISHED"}
    assert not bodies.shown_betas(armature).any() and armature.animation_data.action is not None


@pytest.mark.parametrize("name", ["walk.csv", "émile 2.json"])
def test_names_in_messages_are_written_as_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    says(bpy.ops.lsr1.import_keypoints, f"Error: {name} is empty", filepath=str(tmp_path / name))
    armature = bodies.add_body(bpy.context)
    armature.name = "rig"
    armature.scale = 1, 2, 1
    bpy.context.view_layer.update()
    says(bpy.ops.lsr1.export_bvh, "Error: rig is scaled unevenly", filepath=str(tmp_path / "a.bvh"))
    says(
        bpy.ops.lsr1.export_bvh, "Error: The folder .* does not exist", filepath=str(tmp_path / "b" / "a.bvh")
    )


@pytest.mark.parametrize("away", [hidden, disabled, excluded, in_a_disabled_collection])
def test_who_is_not_shown_moves_all_the_same(tmp_path: Path, away: object) -> None:
    """Blender doesn't move what is switched off; files, copies and fits take it as it moves."""
    armature = scene_with_walk(tmp_path)
    scene = bpy.context.scene
    carrier = bpy.data.objects.new("carrier", None)
    scene.collection.objects.link(carrier)
    armature.parent = carrier
    for frame, place in ((1, 0.0), (scene.frame_end, 2.0)):
        carrier.location.x = place
        carrier.keyframe_insert("location", frame=frame)
    frames = np.arange(1.0, scene.frame_end + 1)

    def taken(name: str) -> tuple[np.ndarray, ...]:
        path = tmp_path / f"{name}.npz"
        assert bpy.ops.lsr1.export_amass(filepath=str(path)) == {"FINISHED"}
        with np.load(path) as file:
            motions = list(sample_source(bpy.context, armature, range(1, 6)))
            places = carried_places(scene, armature, frames)
            return file["poses"], file["trans"], np.array([one.turns for one in motions]), places

    wanted = taken("shown")
    assert all(np.ptp(one, axis=0).max() > 0.1 for one in wanted)
    things = len(bpy.data.objects)
    for thing in (*armature.children, armature, carrier):
        away(thing)
    bpy.context.view_layer.update()
    for one, own in zip(wanted, taken("hidden"), strict=True):
        np.testing.assert_allclose(own, one, atol=1e-5)
    assert len(bpy.data.objects) == things


@pytest.mark.parametrize("away", [hidden, disabled, excluded, in_a_disabled_collection])
def test_who_is_not_shown_stands_on_the_floor_all_the_same(away: object) -> None:
    scene = scene_of_walk(8)
    armature = fit_clip()
    mesh = bodies.mesh_of(armature)
    away(mesh)
    away(armature)
    bpy.context.view_layer.objects.active = None
    scene.frame_set(6)
    assert bpy.ops.lsr1.stand_on_floor() == {"FINISHED"}
    with awake(scene, bpy.context.view_layer, mesh), awake(scene, bpy.context.view_layer, armature):
        bpy.context.view_layer.update()
        assert abs(world_vertices(mesh)[:, 2].min()) < 1e-5
