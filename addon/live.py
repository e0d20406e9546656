"""Live: the pose follows a keypoint while it is dragged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import bpy

from ..lsr1_solver import FitError, FitState, FitStatus
from .body import joints_to_shape
from .depths import renew_depths
from .fits import (
    SceneFit,
    Snapshot,
    accept,
    note_figures,
    restore,
    scene_fit,
    show_state,
    snapshot,
    square_keypoints,
)
from .keypoint_store import keypoints_at
from .known import known

# Steps from one place of the mouse to the next: the pose is never far away.
_STEPS = 3


@dataclass(frozen=True, eq=False)
class _Shown:
    """A state that is on the bones, and the fit that it is of."""

    job: SceneFit
    state: FitState


@dataclass(frozen=True, eq=False)
class LiveMark:
    """A place to go back to: how the body was ``before`` a drag, and what Live had ``shown`` by then."""

    before: Snapshot
    shown: _Shown | None


class LiveFit:
    """Fits of the drags at one frame, each begun where the last one ended. Until ``accept`` all is a preview:
    nothing is keyed, and the rest bones stay.
    """

    def __init__(self, context: bpy.types.Context, armature: bpy.types.Object) -> None:
        """Remember the body as it is."""
        self._before: Snapshot = snapshot(context.scene, armature)
        self._armature = known(armature)
        self._shown: _Shown | None = None
        self._is_dragging = False
        # A body that was never fitted may be far off: then the first fit looks in all directions.
        self._known = context.scene.lsr1.result.iteration > 0

    def is_elsewhere(self, context: bpy.types.Context) -> bool:
        """Whether the scene is at another frame by now."""
        return context.scene.frame_current_final != self._before.frame

    def mark(self, context: bpy.types.Context) -> LiveMark | None:
        """What ``go_back`` goes back to; None where the body is gone."""
        armature = self._armature.among(context.scene.objects)
        return None if armature is None else LiveMark(snapshot(context.scene, armature), self._shown)

    def go_back(self, mark: LiveMark) -> None:
        """The body as it was then."""
        restore(mark.before)
        self._shown, self._is_dragging = mark.shown, False

    def update(self, context: bpy.types.Context) -> bool:
        """Bring the pose up to the keypoints; False where they are too few for a fit, or the body is none."""
        armature = self._armature.among(context.scene.objects)
        if armature is None:
            return False
        try:
            job = self._next_job(context, armature)
            *_, last = job.states()
            show_state(context, job, last)
        except FitError:
            return False
        self._known = self._is_dragging = True
        self._shown = _Shown(job, last)
        return True

    def _next_job(self, context: bpy.types.Context, armature: bpy.types.Object) -> SceneFit:
        """The fit for the keypoints as they are now; camera and body stay the same during a drag."""
        scene, shown = context.scene, self._shown
        if shown is None or not self._is_dragging:
            job = scene_fit(context, armature)
        else:
            points = square_keypoints(shown.job.view, keypoints_at(scene, scene.frame_current_final))
            problem = replace(shown.job.problem, keypoints=points)
            job = replace(shown.job, problem=problem, start=shown.state.pose)
        return replace(job, start_here=True, steps=_STEPS) if self._known else job

    @property
    def is_settled(self) -> bool:
        """Whether more steps would change nothing."""
        return self._shown is not None and self._shown.state.status is FitStatus.CONVERGED

    def release(self, context: bpy.types.Context) -> None:
        """The end of a drag: the pose is brought up to the keypoints a last time, and the panel's figures."""
        if self.update(context) and self._shown is not None:
            note_figures(context.scene, self._shown.job, self._shown.state)
        self._is_dragging = False

    def accept(self, context: bpy.types.Context) -> str:
        """Keep the pose, where it is still Live's that is shown: a fit in between has kept its own."""
        if self._shown is None or not context.scene.lsr1.result.is_preview:
            return ""
        armature = self._armature.among(context.scene.objects)
        if armature is None:
            self.cancel(context)
            return ""
        words = accept(context, self._shown.job, self._shown.state)
        renew_depths(context, armature)
        return words

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring the pose back, and the rest bones where a fit in between has moved them."""
        restore(self._before)
        armature = self._armature.among(bpy.data.objects)
        if armature is not None:
            # Its bones may be others by now.
            with suppress(FitError):
                joints_to_shape(context, armature)
