"""Reach: drag the body's joints over the picture; and Depths, which says what to look at first."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy
import numpy as np

from ...lsr1_solver import SMPL_JOINT_NAMES
from ..bone_motion import is_keyed
from ..depths import note_depths
from ..fits import restore
from ..footage import render_size, scene_view
from ..known import Known, known
from ..overlay import show_handles
from ..overlay_layers import Handles
from ..reaching import Drag, Dragged, wants_keys
from ..reprojection import joints_seen
from .common import (
    body_to_change,
    out_of_edit_modes,
    over_panel,
    ready_to_fit,
    redraw,
    target,
    told,
)
from .over_picture import PASSED_ON, OverPicture, in_camera_view
from .own_scene import or_called_off

_NEAR = 16.0  # pixels of the screen within which a click takes hold of a joint
_STEP = 0.02  # metres of the body that a turn of the wheel moves the joint
# Pixels of the screen that the mouse moves by itself when it is pressed.
_STILL = 2.0
_AWAY = {"WHEELUPMOUSE": _STEP, "WHEELDOWNMOUSE": -_STEP}
_KEYS = "drag: a joint   Ctrl+Z: back   Enter: done   Esc: bring everything back"
_DRAG_KEYS = "wheel: farther or nearer   release: keep   Esc: let it go back"


class LSR1_OT_reach(OverPicture, bpy.types.Operator):
    """Drag a joint over the picture, and the body follows as bodies do; locked bones stay as they are. \
Enter keeps, Esc brings everything back"""

    bl_idname = "lsr1.reach"
    bl_label = "Reach"
    # Every drag is an undo step of its own.
    bl_options = {"REGISTER"}

    _body: Known[bpy.types.Object]
    _done: list[Dragged]
    _drag: Drag | None = None
    # The joint under the mouse or in the hand.
    _joint: str | None = None
    # From the mouse to the joint in the hand, and where the mouse took hold of it: pixels of the render.
    _offset: np.ndarray
    _held_at: np.ndarray
    _moved: bool

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """In a 3D view, with a camera and a body."""
        return (
            in_camera_view(cls, context, "Joints are dragged")
            and body_to_change(cls, context)
            and out_of_edit_modes(cls, context)
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Look through the camera and wait for the mouse."""
        armature = target(context)
        with told(self):
            joints_seen(armature, scene_view(context.scene, context.evaluated_depsgraph_get()))
            self.look(context)
            self._body, self._done = known(armature), []
            context.window_manager.modal_handler_add(self)
            context.scene.lsr1.result.is_running = True
            self._say(context)
            return {"RUNNING_MODAL"}
        return {"CANCELLED"}

    @or_called_off
    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Every event: the mouse, the wheel or a key."""
        armature = self._body.among(context.scene.objects)
        gone = "" if armature else f"{self._body.name} is no longer in the scene"
        lost = self.lost(context) or self.frame_lost(context) or gone
        if armature is None or lost:
            return self.leave(context, lost)
        if not context.scene.lsr1.result.is_running:
            self.cancel(context)
            return {"CANCELLED"}
        if self._drag is not None:
            self._go_on(context, event, self._drag, armature)
            return {"RUNNING_MODAL"}
        if event.type in PASSED_ON:
            return {"PASS_THROUGH"}
        if not self.is_inside(context, event):
            mouse = event.type in {"LEFTMOUSE", "MOUSEMOVE"} and over_panel(context, event)
            return {"PASS_THROUGH"} if mouse else {"RUNNING_MODAL"}
        if event.type == "MOUSEMOVE":
            self._point_at(context, event, armature)
        elif event.value == "PRESS" and event.type == "LEFTMOUSE":
            self._point_at(context, event, armature)
            self._take_hold(context, event, armature)
        elif event.value == "PRESS" and event.type in {"RET", "NUMPAD_ENTER", "RIGHTMOUSE"}:
            return self._end(context, armature)
        elif event.value == "PRESS" and event.type == "ESC":
            self.cancel(context)
            return {"CANCELLED"}
        elif event.value == "PRESS" and event.type == "Z" and event.ctrl and self._done:
            restore(self._done.pop().before)
            self._say(context)
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """The body as it was before the tool."""
        if self._drag is not None:
            restore(self._drag.before)
        if self._done:
            restore(self._done[0].before)
        self._stop(context)

    def _stop(self, context: bpy.types.Context) -> None:
        self._drag = None
        own = self.own_scene()
        if own is not None:
            own.lsr1.result.is_running = False
        show_handles(None)
        self.fall_silent(context)

    def _end(self, context: bpy.types.Context, armature: bpy.types.Object) -> set[str]:
        """Keep the drags: each is keyed if asked, and an undo step."""
        self._stop(context)
        scene, keyed = context.scene, wants_keys(context.scene)
        for done in self._done:
            done.keep(context, armature)
            bpy.ops.ed.undo_push(message=f"Reach: {done.joint.replace('_', ' ')}")
        if not self._done:
            return {"CANCELLED"}
        count, what = len(self._done), "not keyed"
        if keyed:
            what = f"keyed at frame {scene.frame_current_final:g}"
        elif is_keyed(armature):
            what = "not keyed: key the bones before the frame changes, or switch Auto Keying on"
        self.report({"INFO"}, f"{count} joint{'s' if count > 1 else ''} dragged, {what}")
        return {"FINISHED"}

    def _point_at(
        self, context: bpy.types.Context, event: bpy.types.Event, armature: bpy.types.Object
    ) -> None:
        """Find the joint under the mouse, and where it is from there."""
        frame, joint = self.frame(context, render_size(context.scene)), None
        if frame is not None:
            view = scene_view(context.scene, context.evaluated_depsgraph_get())
            xy, mouse = joints_seen(armature, view)[0], self.mouse(event)
            away = np.linalg.norm(frame.to_region(xy) - mouse, axis=1)
            away[~np.isfinite(away)] = np.inf
            nearest = int(np.argmin(away))
            joint = SMPL_JOINT_NAMES[nearest] if away[nearest] < _NEAR else None
            self._offset, self._held_at = xy[nearest] - frame.to_picture(mouse), mouse
        if joint != self._joint:
            self._joint = joint
            self._say(context)

    def _take_hold(
        self, context: bpy.types.Context, event: bpy.types.Event, armature: bpy.types.Object
    ) -> None:
        if self._joint is not None:
            with told(self):
                self._drag, self._moved = Drag(context, armature, self._joint), False
            self._say(context)

    def _go_on(
        self, context: bpy.types.Context, event: bpy.types.Event, drag: Drag, armature: bpy.types.Object
    ) -> None:
        """An event while a joint is in the hand."""
        if event.type in _AWAY:
            drag.farther += _AWAY[event.type]
            self._moved = True
        elif event.type == "MOUSEMOVE":
            self._moved |= float(np.linalg.norm(self.mouse(event) - self._held_at)) >= _STILL
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._drag = None
            if self._moved:
                self._done.append(drag.end(context, armature))
        elif event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            self._drag = None
            restore(drag.before)
        frame = self.frame(context, render_size(context.scene))
        if self._drag is not None and self._moved and frame is not None:
            drag.to(armature, frame.to_picture(self.mouse(event)) + self._offset)
        self._say(context)

    def _say(self, context: bpy.types.Context) -> None:
        """The joint under the mouse, and what can be done."""
        show_handles(Handles(self._body, self._joint))
        what = self._joint.replace("_", " ").capitalize() if self._joint else "Point at a joint of the body"
        if self._drag is None:
            return self.say(context, what, _KEYS)
        if self._drag.farther:
            what += f", {100 * self._drag.farther:+.0f} cm from the camera"
        return self.say(context, what, _DRAG_KEYS)


class LSR1_OT_find_depths(bpy.types.Operator):
    """Find how sure the depth of each limb is at this frame: keypoints say little of what points at the \
camera or is not seen"""

    bl_idname = "lsr1.find_depths"
    bl_label = "How Sure Is Depth"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and keypoints."""
        return ready_to_fit(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Find it."""
        with told(self):
            note_depths(context, target(context))
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}
