"""Runs inside Blender's window: a motion comes in by the file browser and goes out again by its buttons."""

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hands import WORK, ZIP, choose_file, drive, key, open_panel, open_tab, picture, press, scroll_to_end
from install import install

COUNT = 30


def write_motion(path: Path) -> None:
    """A body that walks on its toes and waves, under AMASS's keys, 60 frames a second."""
    t = np.linspace(0, 1, COUNT)
    poses = np.zeros((COUNT, 156))
    poses[:, 0] = np.pi / 2
    poses[:, 3] = 0.4 * np.sin(6 * t)
    poses[:, 3 * 17 + 2] = 0.8 + 0.5 * np.sin(12 * t)
    trans = np.stack([0 * t, -t, 1.15 + 0 * t], axis=1)
    np.savez(path, poses=poses, trans=trans, betas=np.zeros(16), gender="neutral", mocap_framerate=60.0)


def steps() -> Iterator[float]:
    """In, undone with one stroke, in again, and out in four ways."""
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    write_motion(WORK / "walk.npz")
    yield from open_tab("LSR1")
    yield from press("lsr1.add_body")
    yield from open_panel(bpy.types.LSR1_PT_in_out)
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from press("lsr1.import_motion")
    yield 1.0
    picture("import_motion")
    yield from choose_file(WORK / "walk.npz", set_rate=True)
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert body.animation_data.action.name == "walk"
    assert bpy.context.scene.render.fps == 60
    yield from key("Z", ctrl=True)
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert body.animation_data is None and bpy.context.scene.render.fps == 24, "one undo is not enough"
    yield from scroll_to_end()
    yield from press("lsr1.import_motion")
    yield from choose_file(WORK / "walk.npz")
    bpy.context.scene.frame_end = 12
    bpy.context.scene.frame_set(9)
    yield from scroll_to_end()
    picture("in_and_out")
    for name, ending in (("amass", ".npz"), ("bvh", ".bvh"), ("fbx", ".fbx"), ("gltf", ".glb")):
        yield from press(f"lsr1.export_{name}")
        yield from choose_file(WORK / f"out{ending}")
        assert (WORK / f"out{ending}").stat().st_size > 1000, ending
    assert bpy.context.scene.frame_current == 9
    picture("exported")


drive(steps())
