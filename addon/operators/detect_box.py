"""Detect in Box: one person, around whom a box is dragged in the camera view."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy
import numpy as np
from bpy.props import FloatVectorProperty

from ...lsr1_solver import FitError
from ..box_overlay import DrawnBox
from ..shown_picture import Frame, ShownPicture, shown_picture
from .common import told
from .detect import Detecting, can_detect, wanted_frames
from .over_picture import PASSED_ON, OverPicture
from .own_scene import or_called_off

_SMALLEST = 8.0  # pixels of the screen: less is a click
_DRAG = (
    "Drag a box around a person",
    "A track that is there is detected again, points placed by hand stay   Esc: cancel",
)


class LSR1_OT_detect_in_box(Detecting, OverPicture, bpy.types.Operator):
    """Drag a box around one person in the camera view: that person is detected, and in a clip followed \
both ways from this frame. Other tracks stay. Esc cancels"""

    bl_idname = "lsr1.detect_in_box"
    bl_label = "Detect in Box"
    bl_options = {"REGISTER", "UNDO"}

    box: FloatVectorProperty(
        name="Box",
        description="Left, top, right and bottom, in pixels of the picture from its top left",
        size=4,
        options={"HIDDEN", "SKIP_SAVE"},
    )

    # The scene frame in which it was drawn.
    _drawn_at: int
    # While it is dragged.
    _drawn: DrawnBox | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With OpenCV and a picture."""
        return can_detect(cls, context)

    def chosen_frames(self, scene: bpy.types.Scene, picture: ShownPicture) -> tuple[int, int]:
        """Those that the panel asks for, and in a clip the one in which the box was drawn."""
        if not picture.moves:
            return picture.first, picture.last
        now = scene.frame_current
        if not picture.first <= now <= picture.last:
            raise FitError(
                f"The clip is at frames {picture.first} to {picture.last}: go to one of them for the box"
            )
        first, last = wanted_frames(scene, picture)
        return min(first, now), max(last, now)

    def ways(self) -> Iterator[Iterator[Frame]]:
        """From the frame in which the box was drawn on, and then back from there."""
        # The frame of the box, and its picture: from there it goes back.
        began: list[tuple[int, np.ndarray]] = []

        def on() -> Iterator[Frame]:
            for frame in self._picture.frames(self._drawn_at, self._last):
                if frame is not None and not began:
                    began.append(frame)
                yield frame

        yield on()
        if began and self._first < began[0][0]:
            yield self._picture.frames_back(self._first, began[0])

    def begin(self, context: bpy.types.Context) -> None:
        """As always, around the box."""
        if not any(self.box):
            raise FitError("There is no box: give left, top, right and bottom in pixels of the picture")
        self._around, self._drawn_at = tuple(self.box), context.scene.frame_current
        super().begin(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Look through the camera and wait for the box."""
        if any(self.box) or bpy.app.background or context.window is None:
            return super().invoke(context, event)
        if context.area is None or context.area.type != "VIEW_3D":
            self.report({"ERROR"}, "The box is drawn in a 3D view: press Detect in Box there")
            return {"CANCELLED"}
        self.look(context)
        self._drawn = DrawnBox(self._region)
        context.window.cursor_modal_set("CROSSHAIR")
        self.say(context, *_DRAG)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    @or_called_off
    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """The mouse draws; after that the work goes on in slices."""
        drawn = self._drawn
        if drawn is None:
            return super().modal(context, event)
        lost = self.lost(context)
        if lost:
            return self.leave(context, lost)
        if event.value == "PRESS" and event.type in {"ESC", "RIGHTMOUSE"}:
            self.cancel(context)
            return {"CANCELLED"}
        if event.type in PASSED_ON or not (drawn.is_begun or self.is_inside(context, event)):
            return {"PASS_THROUGH"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            drawn.begin(self.mouse(event))
        elif drawn.is_begun and event.type in {"LEFTMOUSE", "MOUSEMOVE"}:
            drawn.drag(self.mouse(event))
            self._region.tag_redraw()
            if event.value == "RELEASE":
                return self._begin_within(context, drawn)
        return {"RUNNING_MODAL"}

    def _begin_within(self, context: bpy.types.Context, drawn: DrawnBox) -> set[str]:
        """The box is drawn: detect what is in it, or wait for another where it was but a click."""
        low, high = drawn.corners
        if min(high - low) < _SMALLEST:
            drawn.forget()
            return {"RUNNING_MODAL"}
        self._stop_drawing(context)
        with told(self):
            frame = self.frame(context, shown_picture(context.scene).size)
            if frame is None:
                raise FitError("The box was not drawn in the camera's view: press Detect in Box again")
            ends = frame.to_picture(np.stack([low, high]))
            self.box = (*ends.min(axis=0), *ends.max(axis=0))
            return self.start(context, is_modal=True)
        return {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring everything back."""
        if self._drawn is not None:
            self._stop_drawing(context)
        else:
            super().cancel(context)

    def _stop_drawing(self, context: bpy.types.Context) -> None:
        if self._drawn is not None:
            self._drawn.remove()
            self._drawn = None
            context.window.cursor_modal_restore()
            self.fall_silent(context)
