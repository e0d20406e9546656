"""Runs inside Blender's window: from an empty scene to a fitted body, for the sample and real files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import REDRAW, WORK, choose_file, drive, key, open_tab, picture, press, region_of, view

MODULE = "bl_ext.user_default.lsr1_body_fit"
SAMPLE = Path("/repository/assets/samples/walk")


def channels() -> np.ndarray:
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    return np.array([np.array(bone.matrix_basis) for bone in body.pose.bones])


def seen_from_near(name: str) -> Iterator[float]:
    """Two pictures of the person that fill the view: through the camera, and from the side."""
    window, area = view()
    region, eye = region_of(area, "WINDOW"), area.spaces.active.region_3d
    scene, store = bpy.context.scene, sys.modules[f"{MODULE}.addon.keypoint_store"]
    xy, confidence = store.points_at(scene, scene.frame_current)
    size = tuple(scene.lsr1.keypoints.size)
    frame_of = sys.modules[f"{MODULE}.addon.footage"].camera_frame
    middle, high = np.mean(xy[confidence > 0], axis=0), np.ptp(xy[confidence > 0], axis=0).max()
    area.spaces.active.show_region_ui = False
    yield REDRAW
    before = eye.view_camera_zoom, tuple(eye.view_camera_offset)
    # Blender's camera view grows with the square of its zoom.
    grow = np.sqrt(0.8 * region.height / (frame_of(scene, region, eye, size).scale_y * high))
    eye.view_camera_zoom = 50 * ((2**0.5 + eye.view_camera_zoom / 50) * grow - 2**0.5)
    area.tag_redraw()
    yield REDRAW
    here, nudge = frame_of(scene, region, eye, size).to_region(middle), 0.01
    eye.view_camera_offset = [value + nudge for value in eye.view_camera_offset]
    area.tag_redraw()
    yield REDRAW
    moved = frame_of(scene, region, eye, size).to_region(middle) - here
    wanted = np.array([region.width / 2, region.height / 2]) - here
    eye.view_camera_offset = np.array(eye.view_camera_offset) + nudge * (wanted / moved - 1)
    area.tag_redraw()
    yield REDRAW
    picture(f"near_{name}")
    eye.view_camera_zoom, eye.view_camera_offset = before
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_axis(type="LEFT")
        bpy.ops.view3d.view_selected()
    yield 2 * REDRAW
    picture(f"side_{name}")
    area.spaces.active.show_region_ui = True
    yield from key("NUMPAD_0")


def fitted(name: str, file: Path) -> Iterator[float]:
    """Keypoints in, fit, look, and one step back."""
    result = bpy.context.scene.lsr1.result
    yield from press("lsr1.import_keypoints")
    yield from choose_file(file)
    if bpy.context.scene.camera is None:
        yield from press("lsr1.open_picture") if name == "sample" else press("lsr1.use_keypoints_size")
        if name == "sample":
            yield from choose_file(SAMPLE / "walk.mp4")
    bpy.context.scene.frame_set(bpy.context.scene.lsr1.keypoints.start_frame)
    yield from press("lsr1.add_body")
    yield from key("NUMPAD_0")
    before = channels()
    yield from press("lsr1.fit_pose")
    for _ in range(100):
        if not result.is_running:
            break
        yield REDRAW
    yield REDRAW
    picture(f"real_{name}")
    yield from seen_from_near(name)
    result = bpy.context.scene.lsr1.result
    print(f"{name}: {result.percent:.2f} % of the height, {result.words}, {result.iteration} steps")
    assert result.words == "converged" and 0 < result.percent < 4.5
    assert np.abs(channels() - before).max() > 0.1
    yield from key("Z", ctrl=True)
    assert np.abs(channels() - before).max() < 1e-7, "one undo does not bring the pose back"


def emptied() -> Iterator[float]:
    """A scene with nothing in it."""
    bpy.ops.wm.read_homefile(use_empty=False)
    yield REDRAW
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from open_tab("LSR1")


def steps() -> Iterator[float]:
    bpy.ops.extensions.package_install_files(
        filepath=str(WORK / "extension.zip"), repo="user_default", enable_on_install=True
    )
    assert MODULE in bpy.context.preferences.addons, "the extension was refused"
    files = {"sample": SAMPLE / "keypoints" / "cam02.0000.json"}
    files |= {path.stem: path for path in sorted((WORK / "keypoints").iterdir())}
    for name, file in files.items():
        yield from emptied()
        yield from fitted(name, file)


drive(steps())
