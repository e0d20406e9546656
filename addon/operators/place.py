"""Place Keypoints: click joint after joint over the picture, drag points, delete, swap."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np

from ...lsr1_solver import FORMATS, FitError, keypoints_2d
from ..footage import render_size
from ..keypoint_store import (
    has_keypoints,
    held_points,
    layout,
    points_at,
    put_back,
    row_at,
    set_point,
    store,
    swap_sides,
)
from ..live import LiveFit, LiveMark
from ..overlay_data import Frame
from .common import in_scene, over_panel, redraw, target
from .over_picture import PASSED_ON, OverPicture, in_camera_view
from .own_scene import or_called_off

# Without imported points: COCO's, with head, neck, hips and feet.
NEW_LAYOUT = "HALPE_26"
# Trunk and limbs first: with six of them a fit can begin.
GUIDED = (
    "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "nose", "left_eye", "right_eye",
    "left_ear", "right_ear",
)  # fmt: skip
_NEAR = 14.0  # pixels of the screen within which a click takes hold of a point
_UNSURE = 0.3
_TICK = 1 / 60
_KEYS = "click: place or drag   Space: skip   Backspace: back   X: delete   C: sure or unsure   S: swap sides   Ctrl+Z: undo   Enter: done   Esc: cancel"  # noqa: E501 - one line of the header


@dataclass(frozen=True, eq=False)
class _Step:
    """Before a click: the points as plain values, the joint that is ``next``, and the body where Live was
    there already.
    """

    points: dict[str, object]
    next: int | None
    live: LiveFit | None
    body: LiveMark | None


class LSR1_OT_place_keypoints(OverPicture, bpy.types.Operator):
    """Click the joints over the picture one after another; drag points that are there. Enter keeps, \
Esc brings everything back"""

    bl_idname = "lsr1.place_keypoints"
    bl_label = "Place Keypoints"
    bl_options = {"REGISTER", "UNDO"}

    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In a 3D view, with a camera."""
        return in_camera_view(cls, context, "Keypoints are placed")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Look through the camera and wait for clicks."""
        self._before = held_points(context.scene)
        if not has_keypoints(context.scene):
            _store_empty(context.scene)
        elif row_at(context.scene, context.scene.frame_current_final) is None:
            self.report({"ERROR"}, "There are no keypoints at this frame: go to one that has them")
            return {"CANCELLED"}
        self.look(context)
        self._order = guided_order(layout(context.scene).names)
        self._steps: list[_Step] = []
        self._dragged: int | None = None
        self._live: LiveFit | None = None
        self._moved = False
        self._next = self._first_missing(context, 0)
        self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        context.scene.lsr1.result.is_placing = True
        self._say(context)
        return {"RUNNING_MODAL"}

    @or_called_off
    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Every event: the mouse, a key, or a tick for Live."""
        lost = self.lost(context)
        if lost:
            return self.leave(context, lost)
        if self._live is not None and self._live.is_elsewhere(context):
            # The points that were placed stay; the pose was one of the frame that was left.
            self._live.cancel(context)
            self._live = None
        if event.type == "TIMER":
            live = self._live if self._dragged is not None else None
            if live is not None and (self._moved or not live.is_settled):
                self._moved = False
                live.update(context)
                redraw(context)
            return {"RUNNING_MODAL"}
        if event.type in PASSED_ON:
            return {"PASS_THROUGH"}
        if self._dragged is None and not self.is_inside(context, event):
            mouse = event.type in {"LEFTMOUSE", "MOUSEMOVE"} and over_panel(context, event)
            return {"PASS_THROUGH"} if mouse else {"RUNNING_MODAL"}
        if event.type == "MOUSEMOVE" and self._dragged is not None:
            self._drag(context, event)
        elif event.type == "LEFTMOUSE":
            self._click(context, event)
        elif event.value == "PRESS" and event.type in {"RET", "NUMPAD_ENTER", "RIGHTMOUSE"}:
            return self._end(context)
        elif event.value == "PRESS" and event.type == "ESC":
            self.cancel(context)
            return {"CANCELLED"}
        elif event.value == "PRESS":
            self._key(context, event)
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Everything as it was before the tool."""
        own = self.own_scene()
        if self._live is not None:
            with in_scene(context, own):
                self._live.cancel(context)
        if own is not None:
            put_back(own, self._before)
        self._stop(context)

    def _end(self, context: bpy.types.Context) -> set[str]:
        self._release(context)
        self._stop(context)
        if self._live is not None:
            try:
                self._live.accept(context)
            except FitError as error:
                self._live.cancel(context)
                self.report({"ERROR"}, str(error))
        return {"FINISHED"}

    def _stop(self, context: bpy.types.Context) -> None:
        own = self.own_scene()
        if own is not None:
            own.lsr1.result.is_placing = False
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        self.fall_silent(context)

    def _frame(self, context: bpy.types.Context) -> Frame | None:
        return self.frame(context, tuple(context.scene.lsr1.keypoints.size))

    def _point_under(self, context: bpy.types.Context, event: bpy.types.Event) -> int | None:
        frame, found = self._frame(context), points_at(context.scene, context.scene.frame_current_final)
        if frame is None or found is None:
            return None
        away = np.linalg.norm(frame.to_region(found[0]) - self.mouse(event), axis=1)
        away[found[1] <= 0] = np.inf
        nearest = int(np.argmin(away))
        return nearest if away[nearest] < _NEAR else None

    def _click(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        frame = self._frame(context)
        if event.value == "RELEASE":
            self._release(context)
        elif event.value == "PRESS" and frame is not None:
            index = self._point_under(context, event)
            if index is None and self._next is None:
                return
            if context.scene.lsr1.settings.live and target(context) is not None and self._live is None:
                self._live = LiveFit(context, target(context))
            self._remember(context)
            if index is None:
                index = self._next
                xy = frame.to_picture(self.mouse(event)).tolist()
                set_point(context.scene, context.scene.frame_current_final, index, xy, 1.0)
                self._next = self._first_missing(context, self._order.index(index) + 1)
            context.scene.lsr1.keypoints.active = index
            self._dragged = index
            self._moved = True
        self._say(context)

    def _drag(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        frame = self._frame(context)
        if frame is not None:
            scene, xy = context.scene, frame.to_picture(self.mouse(event)).tolist()
            set_point(scene, scene.frame_current_final, self._dragged, xy, 1.0)
            self._moved = True
            redraw(context)

    def _release(self, context: bpy.types.Context) -> None:
        """The end of a drag."""
        if self._dragged is not None and self._live is not None:
            self._live.release(context)
        self._dragged, self._moved = None, False

    def _key(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        action = _ACTIONS.get((event.type, event.ctrl))
        if action is not None:
            action(self, context, event)
            self._say(context)

    def skip(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """On to the next joint."""
        if self._next is not None:
            self._next = self._first_missing(context, self._order.index(self._next) + 1)

    def back(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """Back to the joint before in the order, there or not."""
        place = len(self._order) if self._next is None else self._order.index(self._next)
        self._next = self._order[max(place - 1, 0)]

    def delete(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """Take away the point under the mouse; it is the next to be placed."""
        index = self._point_under(context, event)
        if index is not None:
            self._remember(context)
            set_point(context.scene, context.scene.frame_current_final, index, None, 0.0)
            self._next = index

    def toggle(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """Sure or unsure: the point under the mouse counts fully or a little."""
        index = self._point_under(context, event)
        found = points_at(context.scene, context.scene.frame_current_final)
        if index is not None and found is not None:
            self._remember(context)
            new = _UNSURE if found[1][index] > _UNSURE else 1.0
            set_point(context.scene, context.scene.frame_current_final, index, None, new)

    def swap(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """Left is right."""
        self._remember(context)
        swap_sides(context.scene, context.scene.frame_current_final)

    def undo(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """One click back."""
        if self._steps:
            step = self._steps.pop()
            self._next = step.next
            put_back(context.scene, step.points)
            if self._live is not None and step.live is self._live and step.body is not None:
                self._live.go_back(step.body)

    def _remember(self, context: bpy.types.Context) -> None:
        body = self._live.mark(context) if self._live is not None else None
        self._steps.append(_Step(held_points(context.scene), self._next, self._live, body))

    def _first_missing(self, context: bpy.types.Context, place: int) -> int | None:
        """The first joint from a place of the order on that has no point, or None."""
        found = points_at(context.scene, context.scene.frame_current_final)
        if found is None:
            return None
        return next((k for k in self._order[place:] if found[1][k] <= 0), None)

    def _say(self, context: bpy.types.Context) -> None:
        """Which joint is next, in the header; the keys in the status bar."""
        names = layout(context.scene).names
        what = (
            "All points are placed" if self._next is None else f"Next: {names[self._next].replace('_', ' ')}"
        )
        self.say(context, what, _KEYS)


_Action = Callable[[LSR1_OT_place_keypoints, bpy.types.Context, bpy.types.Event], None]
_ACTIONS: dict[tuple[str, bool], _Action] = {
    ("SPACE", False): LSR1_OT_place_keypoints.skip,
    ("BACK_SPACE", False): LSR1_OT_place_keypoints.back,
    ("X", False): LSR1_OT_place_keypoints.delete,
    ("DEL", False): LSR1_OT_place_keypoints.delete,
    ("C", False): LSR1_OT_place_keypoints.toggle,
    ("S", False): LSR1_OT_place_keypoints.swap,
    ("Z", True): LSR1_OT_place_keypoints.undo,
}


def guided_order(names: tuple[str, ...]) -> list[int]:
    """The order in which a format's joints are asked for: trunk and limbs first, then the rest."""
    first = [names.index(name) for name in GUIDED if name in names]
    return first + [k for k in range(len(names)) if k not in first]


def _store_empty(scene: bpy.types.Scene) -> None:
    known = FORMATS[NEW_LAYOUT]
    empty = keypoints_2d(np.zeros((len(known), 2)), np.zeros((1, len(known))), known)
    store(scene, empty, render_size(scene))
    # Of a clip they are the points of this frame.
    scene.lsr1.keypoints.start_frame, scene.lsr1.keypoints.offset = scene.frame_current, 0
