"""Runs inside Blender's window: joints are dragged over the picture, and unsure depths are drawn."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hands import (
    HOVER,
    MODULE,
    REDRAW,
    SAMPLE,
    WORK,
    ZIP,
    addon_part,
    drive,
    key,
    move,
    open_panel,
    open_tab,
    picture,
    press,
    region_of,
    scroll_to_end,
    view,
)
from install import install

WAY = (-50, 95)


def body() -> bpy.types.Object:
    """The body."""
    return next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")


def channels() -> dict[str, tuple[tuple[float, ...], ...]]:
    """All numbers of the bones."""
    return addon_part("fits").snapshot(bpy.context.scene, body()).bones


def on_screen(joint: str) -> np.ndarray:
    """Where Blender sees a joint in the window, pixels from the bottom left."""
    scene, armature, (_, area) = bpy.context.scene, body(), view()
    bpy.context.view_layer.update()
    place = armature.matrix_world @ armature.pose.bones[joint].head
    x, y, _ = world_to_camera_view(scene, scene.camera, place)
    # Of a quad view's four the last has the camera.
    *_, region = (region for region in area.regions if region.type == "WINDOW")
    frame = addon_part("footage").camera_frame(scene, region, area.spaces.active.region_3d, (1, 1))
    return frame.to_region(np.array([x, 1 - y])) + np.array([region.x, region.y])


def button(value: str, place: np.ndarray, kind: str = "LEFTMOUSE") -> Iterator[float]:
    """Press or release a button of the mouse there."""
    x, y = (round(float(v)) for v in place)
    view()[0].event_simulate(type=kind, value=value, x=x, y=y)
    yield HOVER


def hold(joint: str, way: tuple[float, float], count: int = 8) -> Iterator[float]:
    """Take hold of a joint and pull it along a way, in steps; it is still held then."""
    begin = np.round(on_screen(joint))
    for _ in range(2):
        yield from move(*begin.astype(int).tolist())
    yield from button("PRESS", begin)
    for share in np.linspace(0, 1, count + 1)[1:]:
        yield from move(*np.round(begin + share * np.array(way)).astype(int).tolist())
    yield REDRAW


def drag(joint: str, way: tuple[float, float], count: int = 8) -> Iterator[float]:
    """Drag a joint."""
    end = np.round(on_screen(joint)) + way
    yield from hold(joint, way, count)
    yield from button("RELEASE", end)
    yield REDRAW


def started() -> Iterator[float]:
    """Press Reach."""
    # Off the button that was pressed before, which Blender would otherwise still find under the mouse.
    yield from move(300, 400)
    yield from scroll_to_end()
    yield from press("lsr1.reach")
    yield REDRAW
    assert bpy.context.scene.lsr1.result.is_running, "Reach does not run"


def prepared() -> Iterator[float]:
    """The extension, a body, and a camera that sees it."""
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    scene.camera.data.lens, scene.camera.data.shift_y = 110, 0.1
    yield from open_tab("LSR1")
    yield from press("lsr1.add_body")
    yield from open_panel(bpy.types.LSR1_PT_refine)
    bpy.ops.ed.undo_push(message="What the driver set")


def dragged() -> Iterator[float]:
    """The joint is under the mouse; Esc lets one drag go back, Ctrl+Z takes one back, Enter keeps."""
    before = channels()
    yield from started()
    start = on_screen("left_wrist")
    yield from move(*np.round(start + 2).astype(int).tolist())
    yield REDRAW
    picture("reach_before")
    spent: list[float] = []
    to = addon_part("reaching").Drag.to

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        to(*arguments)
        spent.append(time.perf_counter() - began)

    addon_part("reaching").Drag.to = timed
    yield from hold("left_wrist", WAY, 30)
    picture("reach_dragging")
    yield from button("RELEASE", np.round(start) + WAY)
    addon_part("reaching").Drag.to = to
    print(f"Reach: {len(spent)} updates, {1000 * np.median(spent):.1f} ms each")
    off = np.linalg.norm(on_screen("left_wrist") - start - WAY)
    assert off < 1.0, f"the wrist is {off:.1f} px from where it was dragged"
    first = channels()
    yield from hold("right_wrist", (30, 90))
    assert channels() != first
    yield from key("ESC")
    assert channels() == first, "Esc does not let the drag go back"
    yield from button("RELEASE", on_screen("right_wrist"))
    yield from drag("right_ankle", (60, 30), 3)
    yield from key("Z", ctrl=True)
    assert channels() == first, "Ctrl+Z does not take the last drag back"
    yield from drag("right_ankle", (50, 40))
    second = channels()
    picture("reach_after")
    yield from key("RET")
    assert not bpy.context.scene.lsr1.result.is_running and channels() == second
    assert body().animation_data is None
    yield from key("Z", ctrl=True)
    assert channels() == first, "one undo does not take one drag back"
    yield from key("Z", ctrl=True)
    assert channels() == before, "the second undo does not take the other drag back"


def given_up() -> Iterator[float]:
    """Esc brings everything back, bit by bit; a click moves nothing; so does the panel's Cancel."""
    before = channels()
    yield from started()
    yield from drag("left_wrist", (0, 0), 1)
    assert channels() == before, "a click moves the body"
    yield from drag("left_wrist", WAY, 2)
    yield from drag("head", (20, 5), 2)
    assert channels() != before
    yield from key("ESC")
    assert not bpy.context.scene.lsr1.result.is_running and channels() == before
    yield from started()
    yield from drag("left_wrist", WAY, 2)
    yield from press("lsr1.cancel_fit")
    yield from move(*np.round(on_screen("head")).astype(int).tolist())
    yield REDRAW
    assert not bpy.context.scene.lsr1.result.is_running and channels() == before


def with_the_wheel() -> Iterator[float]:
    """The wheel brings the joint nearer to the camera; its place in the picture stays."""
    scene = bpy.context.scene

    def depth() -> float:
        bpy.context.view_layer.update()
        place = body().matrix_world @ body().pose.bones["left_wrist"].head
        return world_to_camera_view(scene, scene.camera, place).z

    yield from started()
    yield from hold("left_wrist", WAY)
    place, far = on_screen("left_wrist"), depth()
    for _ in range(10):
        yield from button("PRESS", np.round(place), "WHEELDOWNMOUSE")
    yield REDRAW
    picture("reach_nearer")
    assert abs(far - depth() - 0.2) < 0.08, f"the wrist is {far - depth():.2f} m nearer, not 0.2"
    assert np.linalg.norm(on_screen("left_wrist") - place) < 1.5
    yield from button("RELEASE", np.round(place))
    yield from key("ESC")


def keyed() -> Iterator[float]:
    """With Auto Keying each drag is keyed, and one undo takes its keys with it."""
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = True
    bpy.ops.ed.undo_push(message="Auto Keying")
    before = channels()
    yield from started()
    yield from drag("left_wrist", WAY)
    yield from key("RET")
    assert addon_part("bone_motion").is_keyed(body())
    after = channels()
    bpy.context.scene.frame_set(2)
    bpy.context.scene.frame_set(1)
    off = max(
        np.abs(np.subtract(a[1], b[1])).max()
        for a, b in zip(after.values(), channels().values(), strict=True)
    )
    assert off < 1e-6, "what is keyed is not what was shown"
    yield from key("Z", ctrl=True)
    assert not addon_part("bone_motion").is_keyed(body()) and channels() == before
    bpy.context.scene.tool_settings.use_keyframe_insert_auto = False


def renamed() -> Iterator[float]:
    """The body gets another name, and a new one its own: the tool goes on with the body that it had."""
    mine, before = body(), channels()
    yield from started()
    yield from drag("left_wrist", WAY, 2)
    other = another_called_as(mine)
    yield from drag("right_wrist", (30, 60), 2)
    assert is_at_rest(other), "another body of the same name is dragged"
    yield from key("RET")
    assert channels() != before and is_at_rest(other)
    bpy.data.objects.remove(other)
    mine.name = "LSR1 Body"
    bpy.ops.ed.undo_push(message="One body again")


def deleted() -> Iterator[float]:
    """The body is deleted, held and not held; no other moves in its place."""
    for holds in (True, False):
        mine = body()
        yield from started()
        yield from (hold if holds else drag)("left_wrist", WAY, 2)
        place = on_screen("left_wrist")
        other = another_called_as(mine)
        bpy.data.objects.remove(mine)
        for step in (5, 10):
            yield from move(*np.round(place + step).astype(int).tolist())
        yield from button("RELEASE", place)
        yield REDRAW
        assert not bpy.context.scene.lsr1.result.is_running and is_at_rest(other)
    bpy.ops.ed.undo_push(message="Another body")


def another_called_as(mine: bpy.types.Object) -> bpy.types.Object:
    """A new body has the name that was mine. Returns it; ``body`` is still mine."""
    old, mine.name = mine.name, "A Body"
    with bpy.context.temp_override(window=view()[0]):
        other = addon_part("body").add_body(bpy.context)
    assert other.name == old and body() == mine
    return other


def is_at_rest(other: bpy.types.Object) -> bool:
    """Whether nobody has moved this body's bones."""
    return all(bone.matrix_basis == Matrix.Identity(4) for bone in other.pose.bones)


def unsure_depths() -> Iterator[float]:
    """After a fit the limbs are drawn as wide as their depth is unsure."""
    scene = bpy.context.scene
    bpy.ops.lsr1.open_picture(filepath=str(SAMPLE / "walk.mp4"))
    bpy.ops.lsr1.import_keypoints(filepath=str(SAMPLE / "keypoints") + "/", format="BODY_25B")
    scene.camera.data.lens, scene.camera.data.shift_y = 1674 * 36 / 1920, 0.0
    scene.frame_set(30)
    bpy.ops.ed.undo_push(message="Picture and keypoints")
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"
    yield from press("lsr1.fit_pose")
    for _ in range(100):
        if not scene.lsr1.result.is_running:
            break
        yield REDRAW
    assert body().lsr1_body.has_depths
    scene.lsr1.refine.show_depths = True
    yield from scroll_to_end()
    yield REDRAW
    picture("depths")
    yield from started()
    yield from drag("left_wrist", (60, 60))
    picture("reach_on_a_fit")
    yield from key("RET")
    yield from move(300, 400)
    yield from scroll_to_end()
    yield from press("lsr1.find_depths")
    yield REDRAW
    picture("depths_after_reach")


def quad_view() -> Iterator[float]:
    """In a quad view the joints are those of its camera."""
    window, area = view()
    before = channels()
    for is_quad in (True, False):
        with bpy.context.temp_override(window=window, area=area, region=region_of(area, "WINDOW")):
            bpy.ops.screen.region_quadview()
        # It would lie over the camera's quarter.
        area.spaces.active.show_region_ui = not is_quad
        yield 3 * REDRAW
        if is_quad:
            with bpy.context.temp_override(window=window, area=area, region=region_of(area, "WINDOW")):
                assert bpy.ops.lsr1.reach("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
            yield from drag("left_wrist", (15, 15), 2)
            picture("reach_quad_view")
            assert channels() != before, "no joint can be dragged in a quad view"
            yield from button("PRESS", on_screen("left_wrist"), "ESC")
            assert not bpy.context.scene.lsr1.result.is_running and channels() == before


def view_gone() -> Iterator[float]:
    """The tool's 3D view is closed, or the window shows another workspace: the tool is over."""
    window, before = view()[0], channels()
    layout = window.workspace

    def closed() -> None:
        with bpy.context.temp_override(window=window, area=window.screen.areas[-1]):
            bpy.ops.screen.area_close()

    def left() -> None:
        window.workspace = bpy.data.workspaces["Scripting"]

    for operator in ("place_keypoints", "reach", "detect_in_box"):
        for goes in (closed, left):
            with bpy.context.temp_override(window=window, area=view()[1]):
                bpy.ops.screen.area_split(direction="VERTICAL", factor=0.5)
            yield REDRAW
            area = window.screen.areas[-1]
            with bpy.context.temp_override(window=window, area=area, region=region_of(area, "WINDOW")):
                assert getattr(bpy.ops.lsr1, operator)("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
            yield REDRAW
            goes()
            yield REDRAW
            # Over what is there by now.
            yield from move(300, 400)
            tools = [kind.bl_idname for kind in window.modal_operators]
            assert not tools, f"{tools} after its view was {goes.__name__}"
            window.workspace = layout
            yield REDRAW
            picture(f"{operator}_{goes.__name__}")
            if goes is left:
                closed()
                yield REDRAW
    assert not bpy.context.scene.lsr1.result.is_running and channels() == before


def loaded_meanwhile() -> Iterator[float]:
    """Another file is opened while a joint is held; the file was saved in the middle of it."""
    yield from started()
    yield from hold("left_wrist", (20, 20))
    bpy.ops.wm.save_as_mainfile(filepath=str(WORK / "reaching.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(WORK / "reaching.blend"))
    yield REDRAW
    picture("reach_loaded")
    bpy.ops.preferences.addon_disable(module=MODULE)
    yield REDRAW
    bpy.ops.preferences.addon_enable(module=MODULE)
    yield REDRAW


def steps() -> Iterator[float]:
    for step in (
        prepared,
        dragged,
        given_up,
        with_the_wheel,
        keyed,
        renamed,
        deleted,
        unsure_depths,
        quad_view,
        view_gone,
        loaded_meanwhile,
    ):
        print(step.__name__, flush=True)
        yield from step()


drive(steps())
