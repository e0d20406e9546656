"""Bodies and characters of another file, as library overrides: all of Refine and Copy to Another Rig."""

from pathlib import Path

import bpy
import numpy as np
from lsr1_body_fit.addon import holding
from lsr1_body_fit.addon.rig import target
from lsr1_body_fit.lsr1_solver.problem import PARTS

from tests.blender.inside.addon.character_rigs import Figure, character
from tests.blender.inside.addon.copies import choose
from tests.blender.inside.addon.test_clip import fit_clip, scene_of_walk


def select(armature: bpy.types.Object, name: str) -> None:
    """One bone, the active one, too."""
    for bone in armature.pose.bones:
        of = bone if hasattr(bone, "select") else bone.bone
        of.select = bone.name == name
    armature.data.bones.active = armature.data.bones[name]


def overridden(path: Path, *, with_rig: bool = False) -> tuple[bpy.types.Object, bpy.types.Object | None]:
    """A fitted body in a scene that has it from a file, in which its elbow is locked, its foot pinned, and
    solutions were found; and, if it is wanted, somebody's character from there.
    """
    scene, armature = scene_of_walk(8), fit_clip()
    scene.frame_set(4)
    select(armature, "left_elbow")
    assert bpy.ops.lsr1.lock_bones() == {"FINISHED"}
    scene.lsr1.refine.pin_to = "CURSOR"
    select(armature, "left_foot")
    assert bpy.ops.lsr1.pin_joint() == {"FINISHED"} and bpy.ops.lsr1.other_solutions() == {"FINISHED"}
    rig = character("Mixamo", Figure()) if with_rig else None
    for name, things in (("Body", (armature, *armature.children)), ("Rig", (rig,) if rig else ())):
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        for thing in things:
            for before in list(thing.users_collection):
                before.objects.unlink(thing)
            collection.objects.link(thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = scene_of_walk(8)
    with bpy.data.libraries.load(str(path), link=True) as (_, linked):
        linked.collections = ["Body", "Rig"]
    for collection in linked.collections:
        collection.override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    own = [thing for thing in scene.objects if thing.override_library and thing.type == "ARMATURE"]
    (body,) = (thing for thing in own if thing.lsr1_body.is_ours)
    bpy.context.view_layer.objects.active = body
    scene.lsr1.settings.keep_shape, scene.lsr1.refine.pin_to = True, "CURSOR"
    assert fit_clip() == body
    scene.frame_set(4)
    return body, next((thing for thing in own if thing != body), None)


def locked(armature: bpy.types.Object) -> set[str]:
    """What is locked at frame 4."""
    return set(np.array(PARTS)[holding.locked_parts(armature, np.array([4.0]))[0]])


def test_locks_and_pins_of_the_other_file_are_taken_away_and_own_ones_are_saved(tmp_path: Path) -> None:
    body, _ = overridden(tmp_path / "body.blend")
    assert locked(body) == {"left_elbow"} and len(holding.holding(body.lsr1_body.pins)) == 1
    select(body, "left_elbow")
    assert bpy.ops.lsr1.unlock_bones() == {"FINISHED"} and not locked(body)
    select(body, "left_foot")
    assert bpy.ops.lsr1.unpin_joint() == {"FINISHED"} and not holding.holding(body.lsr1_body.pins)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}
    select(body, "right_knee")
    assert bpy.ops.lsr1.lock_bones() == {"FINISHED"} and bpy.ops.lsr1.lock_bones() == {"FINISHED"}
    assert bpy.ops.lsr1.pin_joint() == {"FINISHED"}
    body.lsr1_body.left_heel = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    body = target(bpy.context)
    assert body.override_library and locked(body) == {"right_knee"}
    assert [pin.name for pin in holding.holding(body.lsr1_body.pins)] == ["right_knee"]
    bpy.context.scene.frame_set(4)
    assert bpy.ops.lsr1.refit() == {"FINISHED"}


def test_solutions_are_searched_and_turned_through(tmp_path: Path) -> None:
    body, _ = overridden(tmp_path / "body.blend")
    held = body.lsr1_body.solutions
    for operator, options in (
        (bpy.ops.lsr1.other_solutions, {}),
        (bpy.ops.lsr1.flip_limb, {"limb": "right_arm"}),
    ):
        assert operator(**options) == {"FINISHED"}
        shown, count = held.shown, len(held.found)
        assert operator(**options) == {"FINISHED"}
        assert len(held.found) == count > 1 and held.shown == (shown + 1) % count
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.context.scene.frame_set(4)
    assert bpy.ops.lsr1.other_solutions() == {"FINISHED"}


def test_a_character_of_another_file_gets_the_motion(tmp_path: Path) -> None:
    _, rig = overridden(tmp_path / "body.blend", with_rig=True)
    choose(rig)
    held = rig.lsr1_copy
    assert held.kind == "Mixamo" and len(held.joints) == 24
    assert bpy.ops.lsr1.guess_bones() == {"FINISHED"} and len(held.joints) == 24
    held.last = 8
    assert bpy.ops.lsr1.copy_motion() == {"FINISHED"} and rig.animation_data.action.library is None
    assert bpy.ops.lsr1.follow_live() == {"FINISHED"} and bpy.ops.lsr1.stop_live() == {"FINISHED"}
