"""Eyes and hands in Blender's window: buttons are found under the mouse and pressed with it.

A driver is a generator that yields the seconds after which it wants to go on; between two steps Blender
handles events and draws.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.lsr1_body_fit"
WORK = Path("/work")
ZIP = str(WORK / "extension.zip")
SAMPLE = Path("/repository/assets/samples/walk")
# A redraw without a GPU takes up to a tenth of a second.
REDRAW = 0.3
HOVER = 0.03
SEARCHES = 2  # times that a button is looked for
ROW = 7  # pixels between two places where a button is looked for: less than a button is high


def drive(steps: Iterator[float]) -> None:
    """Do the steps one by one, then end Blender: with 0, or with 9 and the traceback."""

    def step() -> float:
        try:
            return next(steps)
        except StopIteration:
            leave(0)
        except BaseException:  # whatever it is, a Blender that stays open would hang the test
            traceback.print_exc()
            picture("failed")
            leave(9)
        return 0.0

    bpy.context.preferences.view.show_splash = False
    # In the one window: a second one would lie over it.
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
    bpy.app.timers.register(step, first_interval=1.0, persistent=True)


def leave(code: int) -> None:
    """End Blender at once, with all that was said."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def picture(name: str) -> None:
    """Keep a picture of the window as it is."""
    subprocess.run(["import", "-window", "root", str(WORK / f"{name}.png")], check=True)


def view() -> tuple[bpy.types.Window, bpy.types.Area]:
    """The window and its 3D view."""
    window = bpy.context.window_manager.windows[0]
    return window, next(area for area in window.screen.areas if area.type == "VIEW_3D")


def bones() -> list[tuple[float, ...]]:
    """The matrices of the body's bones as they are."""
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    return [tuple(value for row in bone.matrix for value in row) for bone in body.pose.bones]


def addon_part(name: str) -> object:
    """A module of the installed add-on."""
    return sys.modules[f"{MODULE}.addon.{name}"]


def running() -> bool:
    """Whether something is being fitted, detected or dragged."""
    return bpy.context.scene.lsr1.result.is_running


def until_idle() -> Iterator[float]:
    """Wait for the end of what runs, and see it."""
    for _ in range(200):
        yield REDRAW
        if not running():
            yield REDRAW
            return
    raise AssertionError("it does not end")


def region_of(area: bpy.types.Area, kind: str) -> bpy.types.Region:
    """A region of an area by its type."""
    return next(region for region in area.regions if region.type == kind)


def open_tab(category: str) -> Iterator[float]:
    """Show the sidebar with this tab in front."""
    _, area = view()
    area.spaces.active.show_region_ui = True
    yield REDRAW
    region_of(area, "UI").active_panel_category = category
    area.tag_redraw()
    yield REDRAW


def open_panel(panel: type[bpy.types.Panel]) -> Iterator[float]:
    """The panel open, at the end of the sidebar, so that its buttons can be shown."""
    bpy.utils.unregister_class(panel)
    panel.bl_options, panel.bl_parent_id = set(), ""
    bpy.utils.register_class(panel)
    yield REDRAW
    yield from scroll_to_end()


def open_sample() -> Iterator[float]:
    """The sample's movie and the keypoints of all its frames, by the buttons; the camera has its lens."""
    yield from open_tab("LSR1")
    yield from press("lsr1.open_picture")
    yield from choose_file(SAMPLE / "walk.mp4")
    yield from press("lsr1.import_keypoints")
    yield from choose_file(SAMPLE / "keypoints" / "cam02.0000.json", format="BODY_25B", whole_folder=True)
    # Focal length and longer side in pixels.
    bpy.context.scene.camera.data.lens = 1674 * 36 / 1920


def move(x: int, y: int) -> Iterator[float]:
    """Put the mouse at a place of the window, in pixels from the bottom left."""
    view()[0].event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield HOVER


def click(x: int, y: int) -> Iterator[float]:
    """Press and release the left button there."""
    window, _ = view()
    yield from move(x, y)
    yield from move(x, y)
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    yield HOVER
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    yield REDRAW


def key(kind: str, *, ctrl: bool = False) -> Iterator[float]:
    """Strike a key with the mouse over the 3D view."""
    window, area = view()
    place = region_of(area, "WINDOW")
    x, y = place.x + place.width // 3, place.y + place.height // 2
    yield from move(x, y)
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type=kind, value=value, x=x, y=y, ctrl=ctrl)
        yield HOVER
    yield REDRAW


def press(operator: str, *, across: float = 0.46) -> Generator[float, None, tuple[int, int]]:
    """Look for the button of an operator ("lsr1.fit_pose") in the sidebar, so far ``across`` it, and click
    it. Returns its place.
    """
    window, area = view()
    region = region_of(area, "UI")
    x = region.x + round(across * region.width)
    seen = set()
    for y in SEARCHES * list(range(region.y + region.height - ROW, region.y, -ROW)):
        yield from move(x, y)
        command = command_under_mouse(window, area, region)
        seen.add(command)
        if not command.startswith(f"bpy.ops.{operator}("):
            continue
        # Panels slide to their places, slowly on a busy machine.
        yield REDRAW
        if command_under_mouse(window, area, region) == command:
            yield from click(x, y)
            return x, y
    raise LookupError(f"no button of {operator} in the sidebar, but {sorted(seen)}")


def scroll_to_end(*, back: bool = False) -> Iterator[float]:
    """Show the end of the sidebar, or, ``back``, its beginning."""
    window, area = view()
    with bpy.context.temp_override(window=window, area=area, region=region_of(area, "UI")):
        for _ in range(60):
            (bpy.ops.view2d.scroll_up if back else bpy.ops.view2d.scroll_down)()
    area.tag_redraw()
    yield REDRAW


def choose_file(path: Path, **options: str | bool) -> Iterator[float]:
    """Take a file in the file browser that is open, with the options at its side."""
    yield REDRAW
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "FILE_BROWSER":
                browser = area.spaces.active
                browser.params.directory = str(path.parent).encode()
                browser.params.filename = path.name
                for name, value in options.items():
                    setattr(browser.active_operator, name, value)
                yield REDRAW
                with bpy.context.temp_override(window=window, area=area, region=region_of(area, "WINDOW")):
                    bpy.ops.file.execute()
                yield REDRAW
                return
    raise LookupError("no file browser is open")


def command_under_mouse(window: bpy.types.Window, area: bpy.types.Area, region: bpy.types.Region) -> str:
    """The Python command of the button under the mouse, or ""."""
    bpy.context.window_manager.clipboard = ""
    with bpy.context.temp_override(window=window, area=area, region=region):
        if bpy.ops.ui.copy_python_command_button.poll():
            bpy.ops.ui.copy_python_command_button()
    return bpy.context.window_manager.clipboard
