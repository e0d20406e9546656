"""Fit Pose: a modal operator that asks the solver for states until its time slice is spent."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import time
from collections.abc import Iterator

import bpy

from ...lsr1_solver import FitError, FitState
from ..fits import SceneFit, Snapshot, accept, restore, scene_fit, show_state, snapshot, unseen_hips
from .common import (
    body_there,
    is_idle,
    keypoints_there,
    out_of_edit_modes,
    over_panel,
    redraw,
    sentence,
    target,
)

TIME_SLICE, TICK = 0.015, 0.01  # seconds
# The view may be turned while a fit runs; everything else waits.
PASSED_ON = {
    "MOUSEMOVE",
    "INBETWEEN_MOUSEMOVE",
    "MIDDLEMOUSE",
    "WHEELUPMOUSE",
    "WHEELDOWNMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
}


class LSR1_OT_fit_pose(bpy.types.Operator):
    """Fit the body to the keypoints of this frame. Esc cancels and brings everything back"""

    bl_idname = "lsr1.fit_pose"
    bl_label = "Fit Pose"
    bl_options = {"REGISTER", "UNDO"}

    _job: SceneFit
    _states: Iterator[FitState]
    _before: Snapshot
    _timer: bpy.types.Timer | None = None
    _last: FitState | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and keypoints, outside the modes that edit."""
        return (
            is_idle(cls, context)
            and body_there(cls, context)
            and keypoints_there(cls, context)
            and out_of_edit_modes(cls, context)
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The whole fit at once: for scripts, and where there is no window."""
        if not self._begin(context):
            return {"CANCELLED"}
        try:
            for state in self._states:
                self._last = state
            return self._end(context)
        except FitError as error:
            return self._fail(context, error)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin, and go on with every tick."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if not self._begin(context):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        context.scene.lsr1.result.is_running = True
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """A slice of the fit a tick; Esc or the panel's button gives up."""
        if event.type == "ESC" or not context.scene.lsr1.result.is_running:
            self.cancel(context)
            self.report({"INFO"}, "Fit cancelled: everything is as it was")
            return {"CANCELLED"}
        if event.type != "TIMER":
            passed = event.type in PASSED_ON or (event.type == "LEFTMOUSE" and over_panel(context, event))
            return {"PASS_THROUGH"} if passed else {"RUNNING_MODAL"}
        try:
            if self._slice():
                show_state(context, self._job, self._last)
                redraw(context)
                return {"RUNNING_MODAL"}
            self._stop(context)
            return self._end(context)
        except FitError as error:
            return self._fail(context, error)

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring everything back."""
        self._stop(context)
        restore(context.scene, self._before)
        redraw(context)

    def _begin(self, context: bpy.types.Context) -> bool:
        armature = target(context)
        try:
            self._job = scene_fit(context, armature)
        except FitError as error:
            self.report({"ERROR"}, sentence(error))
            return False
        self._before = snapshot(context.scene, armature)
        self._states = self._job.states()
        if unseen_hips(self._job.problem):
            self.report(
                {"WARNING"}, "No hip is among the keypoints: legs and distance are guessed. Place the hips"
            )
        return True

    def _slice(self) -> bool:
        """One state at least, more while there is time; False after the last."""
        deadline = time.perf_counter() + TIME_SLICE
        while (state := next(self._states, None)) is not None:
            self._last = state
            if time.perf_counter() > deadline:
                return True
        return False

    def _end(self, context: bpy.types.Context) -> set[str]:
        self.report({"INFO"}, accept(context, self._job, self._last))
        redraw(context)
        return {"FINISHED"}

    def _fail(self, context: bpy.types.Context, error: FitError) -> set[str]:
        self.cancel(context)
        self.report({"ERROR"}, sentence(error))
        return {"CANCELLED"}

    def _stop(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        context.scene.lsr1.result.is_running = False


class LSR1_OT_cancel_fit(bpy.types.Operator):
    """Stop the fit and bring everything back"""

    bl_idname = "lsr1.cancel_fit"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The fit's own operator sees this at its next tick."""
        context.scene.lsr1.result.is_running = False
        redraw(context)
        return {"FINISHED"}
