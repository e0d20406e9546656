"""Runs inside Blender's window: from a movie to an animated body in three clicks; a box; Esc and undo."""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import (
    HOVER,
    MODULE,
    REDRAW,
    SAMPLE,
    WORK,
    addon_part,
    choose_file,
    click,
    drive,
    key,
    move,
    open_tab,
    picture,
    press,
    region_of,
    running,
    scroll_to_end,
    view,
)

LAST, SIZE = 40, (1080, 1920)
# The corners of a picture from the top left around, RGB.
CORNERS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0))


def held() -> bpy.types.PropertyGroup:
    return bpy.context.scene.lsr1.keypoints


def points(frame: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Keypoints and confidences that the scene shows at a frame."""
    return addon_part("keypoint_store").points_at(bpy.context.scene, frame)


def finished() -> Iterator[float]:
    """Wait until the work is done."""
    for _ in range(400):
        if not running():
            break
        yield REDRAW
    assert not running(), "it does not end"
    yield 3 * REDRAW  # the panels move to their new places


def on_screen(xy: tuple[float, float]) -> tuple[int, int]:
    """Where a pixel of the picture is in the window."""
    _, area = view()
    region = region_of(area, "WINDOW")
    render = bpy.context.scene.render
    size = render.resolution_x, render.resolution_y
    frame_of = addon_part("footage").camera_frame
    frame = frame_of(bpy.context.scene, region, area.spaces.active.region_3d, size)
    x, y = frame.to_region(np.array(xy))
    return round(region.x + x), round(region.y + y)


def write_movie(path: Path, images: list[np.ndarray]) -> None:
    """A movie from pictures [H, W, 3], uint8 RGB."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 60.0, images[0].shape[1::-1])
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()


def prepared() -> Iterator[float]:
    """The extension, and the beginning of the sample's movie."""
    bpy.ops.extensions.package_install_files(
        filepath=str(WORK / "extension.zip"), repo="user_default", enable_on_install=True
    )
    assert MODULE in bpy.context.preferences.addons, "the extension was refused"
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    read = sys.modules[f"{MODULE}.lsr1_solver.picture_files"].open_footage
    write_movie(WORK / "walk.mp4", [image for _, image in read(SAMPLE / "walk.mp4").frames(0, LAST)])
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from open_tab("LSR1")


def three_clicks() -> Iterator[float]:
    """Open Picture, Detect Keypoints, Fit Clip: nothing else is touched on the way."""
    yield from press("lsr1.open_picture")
    yield from choose_file(WORK / "walk.mp4")
    picture("detect_opened")
    yield from press("lsr1.detect_keypoints")
    yield REDRAW
    assert running(), "the detection does not run"
    picture("detecting")
    yield from finished()
    assert held().layout == "BLAZEPOSE_33" and held().start_frame == 1, held().layout
    assert addon_part("keypoint_store").frame_count(bpy.context.scene) == LAST
    picture("detected")
    yield from scroll_to_end()
    yield from press("lsr1.fit_clip")
    yield from finished()
    yield from scroll_to_end(back=True)
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    curves = addon_part("keyframes").ensure_curves(body, body.name)
    pelvis = curves.find('pose.bones["pelvis"].location', index=0)
    assert len(pelvis.keyframe_points) == LAST, "the body is not animated"
    percent = float(np.mean(body.animation_data.action.lsr1_take["percent"]))
    assert 0 < percent < 3, f"the body is {percent:.2f} % of the height off"
    yield from key("NUMPAD_0")
    bpy.context.scene.frame_set(LAST // 2)
    yield REDRAW
    picture("detected_and_fitted")


def asked_and_cancelled() -> Iterator[float]:
    """What is there is replaced after a question alone, and Esc leaves everything as it was."""
    before = points(3)[0].copy()
    scene = bpy.context.scene
    scene.frame_set(3)
    addon_part("keypoint_store").set_point(scene, 3, 0, (11.0, 22.0), 1.0)
    bpy.ops.ed.undo_push(message="What the driver placed")
    yield from press("lsr1.detect_keypoints")
    yield REDRAW
    assert not running(), "nobody was asked"
    picture("detect_again")
    yield from key("RET")
    yield REDRAW
    assert running(), "the detection does not run after the question"
    yield from key("ESC")
    yield REDRAW
    assert not running() and np.allclose(points(3)[0][1:], before[1:])
    held()["xy"][3 * 33 * 2] += 50  # the nose at frame 4, by a program: not by hand
    bpy.ops.ed.undo_push(message="What the driver moved")
    moved = points(4)[0].copy()
    yield from press("lsr1.detect_keypoints")
    yield from key("RET")
    yield REDRAW
    yield from finished()
    assert np.allclose(points(3)[0][0], (11.0, 22.0)), "a point placed by hand was overwritten"
    assert np.allclose(points(3)[0][1:], before[1:], atol=1), "the rest is not what was detected before"
    assert abs(points(4)[0][0] - moved[0]).max() > 40, "nothing was replaced"
    yield from key("Z", ctrl=True)
    assert np.allclose(points(4)[0], moved), "one undo does not bring back what was replaced"


def boxed() -> Iterator[float]:
    """A box is dragged around the person; that person alone is detected, in all frames of the clip."""
    bpy.ops.lsr1.clear_keypoints()
    scene = bpy.context.scene
    scene.frame_set(7)
    bpy.ops.ed.undo_push(message="What the driver cleared")
    yield from press("lsr1.detect_in_box")
    yield REDRAW
    window, _ = view()
    x, y = on_screen((330, 430))
    yield from move(x, y)
    yield from move(x, y)
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield HOVER
    yield from move(*on_screen((600, 900)))
    x, y = on_screen((800, 1180))
    yield from move(x, y)
    yield REDRAW
    picture("detect_box")
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    yield REDRAW
    yield from finished()
    assert len(held().people) == 1, f"{len(held().people)} people in the box"
    assert held().start_frame == 1 and addon_part("keypoint_store").frame_count(scene) == LAST
    assert (points(1)[1] > 0.5).any() and (points(LAST)[1] > 0.5).any(), "the person was not followed"
    xy, confidence = points(7)
    inside = (xy > (250, 350)) & (xy < (880, 1260))
    assert inside[confidence > 0.5].all(), "what was found is not in the box"
    yield REDRAW
    picture("detected_in_box")
    yield from press("lsr1.detect_in_box")
    yield from click(*on_screen((500, 500)))  # no box yet, but a click
    yield from key("ESC")
    assert not running() and len(held().people) == 1
    yield from key("Z", ctrl=True)
    held_still = addon_part("keypoint_store").has_keypoints(bpy.context.scene)
    assert not held_still, "one undo does not take the box back"


def turned_movie() -> Iterator[float]:
    """A phone's movie stands upright, and a pixel that is detected lies where it is shown."""
    height, width = 360, 200
    upright = np.zeros((height, width, 3), dtype=np.uint8)
    halves = (
        (slice(None, height // 2), slice(height // 2, None)),
        (slice(None, width // 2), slice(width // 2, None)),
    )
    for corner, (row, column) in zip(CORNERS, ((0, 0), (0, 1), (1, 1), (1, 0)), strict=True):
        upright[halves[0][row], halves[1][column]] = np.array(corner) * 255
    path = WORK / "phone.mp4"
    write_movie(path, [np.rot90(upright)] * 3)
    data = bytearray(path.read_bytes())
    # The track header's matrix (ISO/IEC 14496-12, 8.3.2) for a quarter turn clockwise.
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    scene = bpy.context.scene
    bpy.ops.lsr1.open_picture(filepath=str(path))
    scene.frame_set(2)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (width, height)
    shown = addon_part("shown_picture").shown_picture(scene)
    _, image = next(found for found in shown.frames(2, 2) if found is not None)
    for thing in bpy.data.objects:
        thing.hide_set(thing.type != "CAMERA")
    overlay = view()[1].spaces.active.overlay
    overlay.show_floor = overlay.show_axis_x = overlay.show_axis_y = False
    yield REDRAW
    yield REDRAW
    picture("phone")
    shot = bpy.data.images.load(str(WORK / "phone.png"))
    across, up = shot.size
    pixels = np.empty(across * up * 4, dtype=np.float32)
    shot.pixels.foreach_get(pixels)
    pixels = pixels.reshape(up, across, 4)
    for corner, xy in zip(CORNERS, ((40, 60), (160, 60), (160, 300), (40, 300)), strict=True):
        x, y = on_screen(xy)
        assert tuple((pixels[y, x, :3] > 0.4).astype(int)) == corner, (xy, pixels[y, x], corner)
        assert tuple((image[xy[1], xy[0]] > 100).astype(int)) == corner, (xy, image[xy[1], xy[0]], corner)


def steps() -> Iterator[float]:
    for part in (prepared, three_clicks, asked_and_cancelled, boxed, turned_movie):
        print(part.__name__, flush=True)
        yield from part()


drive(steps())
