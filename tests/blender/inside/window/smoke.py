"""Runs inside Blender's window: the zip is installed from its file and its buttons are pressed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hands import REDRAW, SAMPLE, ZIP, bones, choose_file, drive, key, open_tab, picture, press
from install import MODULE, assert_nothing_left, enabled, install, traces, uninstall

FIT_SECONDS = 60


def result() -> bpy.types.PropertyGroup:
    """What the scene says about the fit."""
    return bpy.context.scene.lsr1.result


def until_fitted() -> Iterator[float]:
    """Wait for the end of the fit."""
    for _ in range(int(FIT_SECONDS / REDRAW)):
        if not result().is_running:
            return
        yield REDRAW
    raise TimeoutError(f"the fit takes more than {FIT_SECONDS} s")


def steps() -> Iterator[float]:
    """From the zip to a fitted body, cancelled once, undone with one stroke; then nothing is left behind."""
    before = traces()
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    yield from open_tab("LSR1")
    yield from press("lsr1.add_body")
    picture("body")
    rest = bones()

    yield from press("lsr1.open_picture")
    yield from choose_file(SAMPLE / "walk.mp4")
    yield from press("lsr1.import_keypoints")
    yield from choose_file(SAMPLE / "keypoints" / "cam02.0000.json", format="BODY_25B")
    bpy.context.scene.camera.data.lens = 1674 * 36 / 1920  # focal length and longer side in pixels
    settings = bpy.context.scene.lsr1.settings
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from key("NUMPAD_0")
    picture("keypoints")

    settings.minimizer, settings.steps = "adam", 100_000  # long enough to be caught in the act
    yield from press("lsr1.fit_pose")
    assert result().is_running, "the fit does not run"
    picture("fitting")
    yield from key("ESC")
    assert not result().is_running, "Esc does not end the fit"
    assert bones() == rest, "a cancelled fit leaves something behind"

    settings.minimizer, settings.steps = "lsr1", 60
    yield from press("lsr1.fit_pose")
    yield from until_fitted()
    picture("fitted")
    assert 0 < result().percent < 3, f"the fit is off by {result().percent} % of the height"
    assert bones() != rest

    yield from key("Z", ctrl=True)
    picture("undone")
    assert bones() == rest, "one undo does not bring the pose back"

    bpy.ops.preferences.addon_disable(module=MODULE)
    yield REDRAW
    assert_nothing_left(before, "classes", "operators", "properties", "handlers", "menus")
    bpy.ops.preferences.addon_enable(module=MODULE)
    yield REDRAW
    assert enabled(), "the extension could not be enabled a second time"
    uninstall()
    yield REDRAW
    assert_nothing_left(before)
    picture("uninstalled")


drive(steps())
