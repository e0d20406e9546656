"""Runs inside Blender's window: keypoints are placed by clicking, dragged with Live on, saved and undone."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import HOVER, REDRAW, WORK, click, drive, key, move, open_tab, picture, press, region_of, view

MODULE = "bl_ext.user_default.lsr1_body_fit"
# In pixels of a picture of 1280 x 720: trunk, legs, then arms, in the order of the tool.
CLICKS = {
    "left_shoulder": (690, 200), "right_shoulder": (590, 200), "left_hip": (670, 370),
    "right_hip": (610, 370), "left_knee": (675, 500), "right_knee": (605, 500),
    "left_ankle": (675, 630), "right_ankle": (605, 630), "left_elbow": (720, 285), "right_elbow": (560, 285),
    "left_wrist": (735, 365), "right_wrist": (545, 365),
}  # fmt: skip


def solver_part(name: str) -> object:
    """A module of the installed add-on."""
    return sys.modules[f"{MODULE}.addon.{name}"]


def points() -> dict[str, tuple[float, ...]]:
    """The keypoints that are there: name to x and y."""
    store, scene = solver_part("keypoint_store"), bpy.context.scene
    if not store.has_keypoints(scene):
        return {}
    xy, confidence = store.points_at(scene, scene.frame_current)
    names = store.layout(scene).names
    return {n: tuple(p) for n, p, c in zip(names, xy, confidence, strict=True) if c > 0}


def on_screen(xy: tuple[float, float]) -> tuple[int, int]:
    """Where a pixel of the picture is in the window."""
    _, area = view()
    region = region_of(area, "WINDOW")
    frame = solver_part("footage").camera_frame(
        bpy.context.scene, region, area.spaces.active.region_3d, (1280, 720)
    )
    x, y = frame.to_region(np.array(xy))
    return round(region.x + x), round(region.y + y)


def channels() -> np.ndarray:
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    return np.array([np.array(bone.matrix_basis) for bone in body.pose.bones])


def drag(start: tuple[float, float], end: tuple[float, float], count: int) -> Iterator[float]:
    """Press at a pixel of the picture, move in steps, and release at another."""
    window, _ = view()
    x, y = on_screen(start)
    yield from move(x, y)
    yield from move(x, y)
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield HOVER
    for step in range(1, count + 1):
        share = step / count
        yield from move(
            *on_screen(tuple((1 - share) * a + share * b for a, b in zip(start, end, strict=True)))
        )
        yield HOVER
    yield REDRAW


def release(end: tuple[float, float]) -> Iterator[float]:
    x, y = on_screen(end)
    view()[0].event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    yield REDRAW


def prepared() -> Iterator[float]:
    """The extension, a body, and a camera that sees it."""
    bpy.ops.extensions.package_install_files(
        filepath=str(WORK / "extension.zip"), repo="user_default", enable_on_install=True
    )
    assert MODULE in bpy.context.preferences.addons, "the extension was refused"
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    scene.lsr1.settings.minimizer = "lm"
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from open_tab("LSR1")
    yield from press("lsr1.add_body")


def placing() -> Iterator[float]:
    """Click twelve joints; one too many is undone in the tool, one is deleted and placed again."""
    yield from press("lsr1.place_keypoints")
    yield REDRAW
    for number, (name, xy) in enumerate(CLICKS.items()):
        yield from click(*on_screen(xy))
        assert name in points(), f"{name} was not placed, but {sorted(points())}"
        if number == 5:
            picture("placing")
            yield from key("Z", ctrl=True)
            assert name not in points(), "Ctrl+Z does not take the last point back"
            yield from click(*on_screen(xy))
    yield from move(*on_screen(CLICKS["left_knee"]))
    window, _ = view()
    x, y = on_screen(CLICKS["left_knee"])
    window.event_simulate(type="X", value="PRESS", x=x, y=y)
    yield REDRAW
    assert "left_knee" not in points(), "X does not delete the point under the mouse"
    yield from click(*on_screen(CLICKS["left_knee"]))
    yield from key("RET")
    placed = points()
    assert placed.keys() == CLICKS.keys()
    off = [np.linalg.norm(np.subtract(placed[name], xy)) for name, xy in CLICKS.items()]
    assert max(off) < 2.5, f"points are up to {max(off):.1f} px from where they were clicked"


def undone_and_redone() -> Iterator[float]:
    """The whole session is one step back, and forth again."""
    yield from key("Z", ctrl=True)
    assert not points(), "one undo does not take the placed points back"
    window, area = view()
    place = region_of(area, "WINDOW")
    x, y = place.x + place.width // 3, place.y + place.height // 2
    window.event_simulate(type="Z", value="PRESS", x=x, y=y, ctrl=True, shift=True)
    yield REDRAW
    assert points().keys() == CLICKS.keys(), "redo does not bring the points back"


def fitted() -> Iterator[float]:
    """Fit to what was placed."""
    yield from press("lsr1.fit_pose")
    for _ in range(100):
        if not bpy.context.scene.lsr1.result.is_running:
            break
        yield REDRAW
    picture("placed_and_fitted")
    assert 0 < bpy.context.scene.lsr1.result.percent < 3


def live() -> Iterator[float]:
    """Drag a wrist with Live on: the pose follows at once; Esc brings points and pose back."""
    scene = bpy.context.scene
    scene.lsr1.settings.live = True
    before, start, end = channels(), points()["right_wrist"], (450.0, 160.0)
    counted = 0
    update = solver_part("live").LiveFit.update

    spent: list[float] = []

    def counting(self: object, context: bpy.types.Context) -> bool:
        began = time.perf_counter()
        done = update(self, context)
        spent.append(time.perf_counter() - began)
        return done

    solver_part("live").LiveFit.update = counting
    yield from press("lsr1.place_keypoints")
    yield REDRAW
    yield from drag(start, end, 30)
    counted = len(spent)
    picture("live")
    assert counted > 5, f"the pose followed only {counted} times"
    print(f"live: {counted} updates, {1000 * np.median(spent[1:]):.1f} ms each")
    assert np.median(spent[1:]) < 1 / 30
    assert np.abs(channels() - before).max() > 0.05, "the pose does not follow"
    yield from release(end)
    yield from key("ESC")
    assert np.allclose(points()["right_wrist"], start), "Esc does not bring the point back"
    assert np.abs(channels() - before).max() < 1e-6, "Esc does not bring the pose back"
    solver_part("live").LiveFit.update = update

    yield from press("lsr1.place_keypoints")
    yield REDRAW
    yield from drag(start, end, 10)
    yield from release(end)
    yield from key("RET")
    assert np.linalg.norm(np.subtract(points()["right_wrist"], end)) < 3
    assert np.abs(channels() - before).max() > 0.05
    yield from key("Z", ctrl=True)
    assert np.abs(channels() - before).max() < 1e-6, "one undo does not take the drag back"


def shape_followed() -> Iterator[float]:
    """The slider of a shape key moves the joints too."""
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    mesh = next(thing for thing in body.children)
    before = body.data.bones["head"].head_local.z
    mesh.data.shape_keys.key_blocks["shape_01 stature"].value += 2.0
    yield 1.0
    assert body.data.bones["head"].head_local.z > before + 0.1, "the joints do not follow the shape"
    assert bpy.context.mode == "OBJECT"


def action_kept() -> Iterator[float]:
    """A keyed rig: the preview is not put back by its action, and Esc leaves the action as it was."""
    scene = bpy.context.scene
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    body.pose.bones["left_elbow"].rotation_quaternion = (0.9, 0.1, 0.3, 0.2)
    body.pose.bones["left_elbow"].keyframe_insert("rotation_quaternion", frame=scene.frame_current)
    before = channels()
    scene.lsr1.settings.minimizer, scene.lsr1.settings.steps = "adam", 100_000
    yield from press("lsr1.fit_pose")
    assert scene.lsr1.result.is_running
    elbow = list(body.pose.bones.keys()).index("left_elbow")
    assert np.abs(channels()[elbow] - before[elbow]).max() > 1e-3, "the action puts the preview back"
    picture("preview_of_a_keyed_rig")
    yield from key("ESC")
    assert np.abs(channels() - before).max() < 1e-6
    scene.lsr1.settings.minimizer, scene.lsr1.settings.steps = "lm", 60


def saved_and_disabled() -> Iterator[float]:
    """Save, load, and switch the add-on off while its overlay is drawn."""
    held = points()
    bpy.ops.wm.save_as_mainfile(filepath=str(WORK / "saved.blend"))
    yield REDRAW
    bpy.ops.wm.open_mainfile(filepath=str(WORK / "saved.blend"))
    yield REDRAW
    assert points() == held, "the keypoints are not in the file"
    picture("loaded")
    bpy.ops.wm.read_homefile()
    yield REDRAW
    bpy.ops.wm.open_mainfile(filepath=str(WORK / "saved.blend"))
    yield REDRAW
    bpy.ops.preferences.addon_disable(module=MODULE)
    yield REDRAW
    bpy.ops.preferences.addon_enable(module=MODULE)
    yield REDRAW
    assert points() == held
    picture("enabled_again")


def steps() -> Iterator[float]:
    for part in (
        prepared,
        placing,
        undone_and_redone,
        fitted,
        live,
        shape_followed,
        action_kept,
        saved_and_disabled,
    ):
        print(part.__name__, flush=True)
        yield from part()


drive(steps())
