"""Fit Pose: a modal operator that asks the solver for states until its time slice is spent."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy

from ...lsr1_solver import FitState
from ..depths import renew_depths
from ..fits import (
    SceneFit,
    Snapshot,
    accept,
    fitted_body,
    restore,
    scene_fit,
    show_state,
    snapshot,
    unseen_hips,
)
from .common import ready_to_fit, redraw, target
from .modal import InSlices


class LSR1_OT_fit_pose(InSlices, bpy.types.Operator):
    """Fit the body to the keypoints of this frame. Esc cancels and brings everything back"""

    bl_idname = "lsr1.fit_pose"
    bl_label = "Fit Pose"
    bl_options = {"REGISTER", "UNDO"}
    of_one_frame = True
    cancelled = "Fit cancelled: everything is as it was"

    _job: SceneFit
    _states: Iterator[FitState]
    _before: Snapshot
    _last: FitState | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and keypoints, outside the modes that edit."""
        return ready_to_fit(cls, context)

    def begin(self, context: bpy.types.Context) -> None:
        """The problem that the scene describes."""
        armature = target(context)
        self._job = scene_fit(context, armature)
        self._before = snapshot(context.scene, armature)
        self._states = self._job.states()
        if unseen_hips(self._job.problem):
            self.report(
                {"WARNING"}, "No hip is among the keypoints: legs and distance are guessed. Place the hips"
            )

    def step(self, context: bpy.types.Context) -> bool:
        """One state more; False after the last."""
        state = next(self._states, None)
        self._last = state or self._last
        return state is not None

    def show(self, context: bpy.types.Context) -> None:
        """The pose as far as it has come."""
        show_state(context, self._job, self._last)

    def finish(self, context: bpy.types.Context) -> None:
        """The last state is the pose."""
        self.report({"INFO"}, accept(context, self._job, self._last))
        renew_depths(context, fitted_body(context.scene, self._job))

    def give_up(self, context: bpy.types.Context, scene: bpy.types.Scene | None) -> None:
        """The body as it was."""
        restore(self._before)


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
