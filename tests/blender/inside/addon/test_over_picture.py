"""The tools over the camera's picture, without a window: whatever the window shows by then, they end in the
scene in which they began, and with the view that they were started in.
"""

from collections.abc import Callable
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import keypoint_store
from lsr1_body_fit.addon.footage import render_size, scene_view
from lsr1_body_fit.addon.operators.over_picture import OverPicture
from lsr1_body_fit.addon.operators.place import LSR1_OT_place_keypoints
from lsr1_body_fit.addon.operators.reach import LSR1_OT_reach
from lsr1_body_fit.addon.reprojection import joints_seen
from lsr1_body_fit.lsr1_solver import SMPL_JOINT_NAMES

from tests.blender.inside.addon.conftest import SCALE
from tests.blender.inside.addon.test_deleted import delete_scene
from tests.blender.inside.addon.test_operators import channels, scene_of_walk

pytestmark = pytest.mark.usefixtures("camera_view")


class InView:
    """Blender's context in a 3D view; no events come from it."""

    def __init__(self) -> None:
        self.area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
        self.space_data = SimpleNamespace(region_3d=SimpleNamespace())
        self.window_manager = SimpleNamespace(
            windows=bpy.context.window_manager.windows,
            event_timer_add=lambda *_, **__: object(),
            event_timer_remove=lambda _: None,
            modal_handler_add=lambda _: None,
        )

    def __getattr__(self, name: str) -> object:
        return getattr(bpy.context, name)


class Tool:
    """One of the tools in use, with the picture at the top left of the view; ``said`` is what it reports."""

    def __init__(self, operator: type[OverPicture]) -> None:
        self.said: list[str] = []

        def report(_: OverPicture, __: set[str], words: str) -> None:
            self.said.append(words)

        # Blender alone makes operators: here is all of one but for Blender's part.
        parts = {name: part for name, part in vars(operator).items() if not name.startswith("__")}
        self._run = type(operator.__name__, (OverPicture,), {**parts, "report": report})()
        self.context = InView()
        self.area = self.context.area
        self._view = next(region for region in self.context.area.regions if region.type == "WINDOW")
        answer = self._run.invoke(self.context, None)
        assert answer == {"RUNNING_MODAL"}, self.said

    def event(
        self, kind: str, xy: tuple[float, float] = (100.0, 100.0), value: str = "PRESS", *, ctrl: bool = False
    ) -> str:
        """Something happens with the mouse over a pixel of the picture. Returns what the tool answers."""
        x, y = self._view.x + SCALE * xy[0], self._view.y + self._view.height - SCALE * xy[1]
        event = SimpleNamespace(type=kind, value=value, mouse_x=x, mouse_y=y, ctrl=ctrl)
        (answer,) = self._run.modal(self.context, event)
        return answer

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one pixel of the picture and release at another."""
        self.event("MOUSEMOVE", start)
        self.event("LEFTMOUSE", start)
        self.event("MOUSEMOVE", end)
        self.event("TIMER")
        self.event("LEFTMOUSE", end, "RELEASE")

    def called_off(self) -> None:
        """What Blender does where the window closes, or a file is loaded."""
        self._run.cancel(self.context)


def leave_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """The window shows another. Returns that one."""
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    return bpy.context.scene


AWAY = [(leave_scene, "left"), (delete_scene, "deleted")]


def all_points(scene: bpy.types.Scene) -> list[float]:
    held = scene.lsr1.keypoints
    return [*held["xy"], *held["confidence"]]


@pytest.mark.parametrize("kind", ["ESC", "RET", "TIMER", "LEFTMOUSE"])
@pytest.mark.parametrize(("away", "how"), AWAY)
def test_points_that_were_placed_stay_out_of_another_scene(
    kind: str, away: Callable[[bpy.types.Scene], bpy.types.Scene], how: str
) -> None:
    scene_of_walk()
    scene = bpy.context.scene
    before = all_points(scene)
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(keypoint_store.points_at(scene, 30)[0][5], (300.0, 400.0))
    assert all_points(scene) != before
    other = away(scene)
    assert tool.event(kind) == "CANCELLED" and tool.said == [f"Cancelled, for its scene was {how}"]
    assert not keypoint_store.has_keypoints(other)
    if away is leave_scene:
        assert all_points(scene) == before


@pytest.mark.parametrize("key", ["ESC", "RET"])
def test_while_points_are_placed_no_button_takes_them_away(key: str) -> None:
    scene_of_walk()
    tool = Tool(LSR1_OT_place_keypoints)
    names = ("import_keypoints", "clear_keypoints", "choose_person", "cut_track", "place_keypoints", "reach")
    buttons = [getattr(bpy.ops.lsr1, name) for name in names]

    def allowed() -> list[bool]:
        with bpy.context.temp_override(area=tool.area):
            return [button.poll() for button in buttons]

    assert not any(allowed())
    # A fit needs no other keypoints.
    assert bpy.ops.lsr1.fit_pose.poll()
    tool.event(key)
    assert all(allowed())


@pytest.mark.parametrize("called_off", [False, True])
def test_what_live_changed_goes_back_in_a_scene_that_was_left(called_off: bool) -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    scene.lsr1.settings.live = True
    points, heads = all_points(scene), [tuple(bone.head_local) for bone in armature.data.bones]
    before = channels(armature)
    tool = Tool(LSR1_OT_place_keypoints)
    tool.drag(keypoint_store.points_at(scene, 30)[0][4], (300.0, 400.0))
    assert not np.allclose(channels(armature), before)
    other = leave_scene(scene)
    if called_off:
        tool.called_off()
    else:
        assert tool.event("TIMER") == "CANCELLED"
    assert np.array_equal(channels(armature), before) and all_points(scene) == points
    assert np.allclose([tuple(bone.head_local) for bone in armature.data.bones], heads, atol=1e-6)
    assert not keypoint_store.has_keypoints(other) and scene.lsr1.result.percent == 0


@pytest.mark.parametrize(("away", "how"), AWAY)
def test_a_joint_is_not_dragged_on_in_another_scene(
    away: Callable[[bpy.types.Scene], bpy.types.Scene], how: str
) -> None:
    armature = scene_of_walk()
    scene, before = bpy.context.scene, channels(armature)
    view = scene_view(scene, bpy.context.evaluated_depsgraph_get(), render_size(scene))
    wrist = joints_seen(armature, view)[0][SMPL_JOINT_NAMES.index("left_wrist")]
    tool = Tool(LSR1_OT_reach)
    tool.drag(tuple(wrist), (wrist[0], wrist[1] - 200))
    assert not np.allclose(channels(armature), before)
    other = away(scene)
    other.collection.objects.link(armature)
    other.lsr1.result.is_running = True  # something else
    assert tool.event("RET") == "CANCELLED" and tool.said == [f"Cancelled, for its scene was {how}"]
    assert np.array_equal(channels(armature), before) and other.lsr1.result.is_running
    assert away is delete_scene or not scene.lsr1.result.is_running


@pytest.mark.parametrize("operator", [LSR1_OT_place_keypoints, LSR1_OT_reach])
@pytest.mark.parametrize("kind", ["MOUSEMOVE", "ESC"])
def test_without_its_view_a_tool_is_over(operator: type[OverPicture], kind: str) -> None:
    scene_of_walk()
    scene = bpy.context.scene
    before = all_points(scene)
    tool = Tool(operator)
    keypoint_store.set_point(scene, 30, 5, (300.0, 400.0), 1.0)
    tool.area.type = "NODE_EDITOR"
    assert tool.event(kind) == "CANCELLED" and tool.said == ["Cancelled, for its 3D view is no longer shown"]
    assert operator is LSR1_OT_reach or all_points(scene) == before
    assert not scene.lsr1.result.is_running
