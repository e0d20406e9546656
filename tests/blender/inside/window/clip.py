"""Runs inside Blender's window: a clip is fitted, stopped with Esc in both ways, played, and undone."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from hands import (
    MODULE,
    REDRAW,
    WORK,
    addon_part,
    drive,
    key,
    open_sample,
    open_tab,
    picture,
    press,
    region_of,
    running,
    scroll_to_end,
    view,
)

LAST = 100


def body() -> bpy.types.Object | None:
    """The body, where there is one."""
    return next((thing for thing in bpy.data.objects if thing.type == "ARMATURE"), None)


def keyed() -> int:
    """Frames that the pelvis is keyed at."""
    found = body()
    data = found.animation_data if found else None
    if data is None or data.action is None:
        return 0
    curves = addon_part("keyframes").ensure_curves(found, found.name)
    place = curves.find('pose.bones["pelvis"].location', index=0)
    return len(place.keyframe_points) if place else 0


def begun(steps: int) -> Iterator[float]:
    """Press Fit Clip with a minimizer that takes many steps, and see frames on the timeline."""
    settings = bpy.context.scene.lsr1.settings
    settings.minimizer, settings.steps = ("adam" if steps > 60 else "lsr1"), steps
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from scroll_to_end()
    yield from press("lsr1.fit_clip")


def prepared() -> Iterator[float]:
    """The sample's movie and its keypoints, all frames."""
    bpy.ops.extensions.package_install_files(
        filepath=str(WORK / "extension.zip"), repo="user_default", enable_on_install=True
    )
    assert MODULE in bpy.context.preferences.addons, "the extension was refused"
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    yield from open_sample()
    scene = bpy.context.scene
    held = scene.lsr1.keypoints
    assert held.start_frame == 1 and abs(held.frame_rate - 60) < 1, held.frame_rate
    yield from key("NUMPAD_0")


def cancelled() -> Iterator[float]:
    """Esc brings everything back: the new body goes, too."""
    things = len(bpy.data.objects)
    yield from begun(100_000)
    yield REDRAW
    assert running(), "the fit does not run"
    assert keyed() == LAST, "no frames appear while it converges"
    picture("clip_fitting")
    yield from key("ESC")
    assert not running() and not bpy.data.actions and len(bpy.data.objects) == things


def left() -> Iterator[float]:
    """Another scene in the window ends it, and its own scene is as it was and can go on."""
    window, scene = bpy.context.window_manager.windows[0], bpy.context.scene
    things = len(bpy.data.objects)
    yield from begun(100_000)
    yield REDRAW
    assert running()
    window.scene = other = bpy.data.scenes.new("Other")
    yield 2 * REDRAW
    assert not running() and not bpy.data.actions and len(bpy.data.objects) == things
    window.scene = scene
    bpy.data.scenes.remove(other)
    # The other scene had no camera.
    yield from key("NUMPAD_0")
    assert not running(), "nothing can be fitted any more"


def kept_so_far() -> Iterator[float]:
    """Esc keeps the motion as far as it has come; one undo takes it away."""
    bpy.context.scene.lsr1.clip.on_cancel = "KEEP"
    yield from begun(100_000)
    yield REDRAW
    assert running()
    yield from key("ESC")
    assert not running() and keyed() == LAST
    yield from key("Z", ctrl=True)
    assert body() is None and not keyed(), "one undo does not take the take away"


def fitted() -> Iterator[float]:
    """The whole clip; the body is on the person at every frame."""
    yield from begun(60)
    for _ in range(200):
        if not running():
            break
        yield REDRAW
    assert not running() and keyed() == LAST
    scene = bpy.context.scene
    places = []
    for frame in (10, 40, 80):
        scene.frame_set(frame)
        yield REDRAW
        picture(f"clip_at_{frame}")
        places.append(body().pose.bones["pelvis"].head.copy())
    assert np.ptp(np.array(places), axis=0).max() > 0.2, "the body does not walk"
    take = body().animation_data.action.lsr1_take
    print(f"clip: {float(np.mean(take['percent'])):.2f} % of the height, {len(take.bad)} to look at")
    if take.bad:
        yield from scroll_to_end()
        yield from press("lsr1.next_bad_frame")
        assert scene.frame_current == int(take.bad[0].frame)
    bpy.ops.ed.undo_push(message="What the driver looked at")
    yield from key("Z", ctrl=True)
    yield from key("Z", ctrl=True)
    assert body() is None, "undo does not take the take away"


def ended_by(what: Callable[[], object]) -> Iterator[float]:
    """The fit runs and shows itself; then something happens that ends it, and nothing is left."""
    yield from open_tab("LSR1")
    yield from begun(100_000)
    yield REDRAW
    assert running() and bpy.data.actions
    what()
    yield 2 * REDRAW
    assert not running() and not bpy.context.scene.lsr1.result.is_preview
    assert not bpy.data.actions and body() is None, "something half-made is left"


def loaded() -> Iterator[float]:
    """Another file is opened while it runs; it can be fitted there, too."""
    file = str(WORK / "before.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    for _ in range(2):
        yield from ended_by(lambda: bpy.ops.wm.open_mainfile(filepath=file))


def scene_deleted() -> Iterator[float]:
    """Its scene is deleted while it runs."""

    def delete() -> None:
        other = bpy.data.scenes.new("Other")
        with bpy.context.temp_override(window=view()[0]):
            bpy.ops.scene.delete()
        assert bpy.context.scene == other and len(bpy.data.scenes) == 1

    yield from ended_by(delete)
    bpy.ops.wm.open_mainfile(filepath=str(WORK / "before.blend"))
    yield REDRAW


COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1))


def colour_in_the_middle() -> tuple[int, ...]:
    """Of the camera's picture as it is on the screen, rounded to 0 and 1."""
    picture("sequence")
    shot = bpy.data.images.load(str(WORK / "sequence.png"))
    width, height = shot.size
    pixels = np.empty(width * height * 4, dtype=np.float32)
    shot.pixels.foreach_get(pixels)
    _, area = view()
    region = region_of(area, "WINDOW")
    frame = addon_part("footage").camera_frame(
        bpy.context.scene, region, area.spaces.active.region_3d, (64, 36)
    )
    x, y = frame.to_region(np.array([16.0, 12.0]))
    found = pixels.reshape(height, width, 4)[round(region.y + y), round(region.x + x), :3]
    bpy.data.images.remove(shot)
    return tuple((found > 0.4).astype(int).tolist())


def sequence_agrees() -> Iterator[float]:
    """A numbered sequence shows, at the frame where its keypoints are put, the file with that number."""
    folder = WORK / "sequence"
    folder.mkdir()
    for number, colour in enumerate(COLOURS, start=1001):
        image = bpy.data.images.new("frame", 64, 36)
        image.pixels.foreach_set(np.tile(np.array([*colour, 1.0], dtype=np.float32), 64 * 36))
        image.filepath_raw, image.file_format = str(folder / f"shot_{number}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    scene = bpy.context.scene
    bpy.ops.lsr1.clear_keypoints()
    bpy.ops.lsr1.open_picture(filepath=str(folder / "shot_1003.png"), sequence=True)
    footage = addon_part("footage")
    background = footage.moving_picture(scene)
    # Starts so far apart that Blender shows no texture of another one's frame.
    for start, offset in ((1001, 0), (1, 0), (21, 2), (41, 1)):
        background.clip.frame_start, background.clip.frame_offset = start, offset
        for number in range(1001 + offset, 1006):
            scene.frame_set(footage.scene_frame_of(background, number))
            yield REDRAW
            assert colour_in_the_middle() == COLOURS[number - 1001], (start, offset, number)


def steps() -> Iterator[float]:
    for part in (prepared, cancelled, left, kept_so_far, fitted, loaded, scene_deleted, sequence_agrees):
        print(part.__name__, flush=True)
        yield from part()


drive(steps())
