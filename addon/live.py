"""Live: the pose follows a keypoint while it is dragged."""

from __future__ import annotations

from dataclasses import replace

import bpy

from ..lsr1_solver import FitError, FitState, FitStatus
from .body import joints_to_shape
from .depths import renew_depths
from .fits import SceneFit, Snapshot, accept, restore, scene_fit, show_state, snapshot, square_keypoints
from .keypoint_store import keypoints_at
from .known import known

# Steps from one place of the mouse to the next: the pose is never far away.
_STEPS = 3


class LiveFit:
    """Fits of one drag, each begun where the last one ended."""

    def __init__(self, context: bpy.types.Context, armature: bpy.types.Object) -> None:
        """Remember the body as it is."""
        self.before: Snapshot = snapshot(context.scene, armature)
        self._armature = known(armature)
        self._state: FitState | None = None
        self._job: SceneFit | None = None
        # A body that was never fitted may be far off: then the first fit looks in all directions.
        self._known = context.scene.lsr1.result.iteration > 0

    def update(self, context: bpy.types.Context) -> bool:
        """Bring the pose up to the keypoints; False where they are too few for a fit."""
        armature = self._armature.among(context.scene.objects)
        if armature is None:
            return False
        try:
            job = self._next_job(context, armature)
            for state in job.states():
                self._state = state
        except FitError:
            return False
        self._known, self._job = True, job
        show_state(context, job, self._state)
        return True

    def _next_job(self, context: bpy.types.Context, armature: bpy.types.Object) -> SceneFit:
        """The fit for the keypoints as they are now; camera and body stay the same during a drag."""
        scene = context.scene
        if self._job is None or self._state is None:
            job = scene_fit(context, armature)
        else:
            points = square_keypoints(self._job.view, keypoints_at(scene, scene.frame_current_final))
            problem = replace(self._job.problem, keypoints=points)
            job = replace(self._job, problem=problem, start=self._state.pose)
        return replace(job, start_here=True, steps=_STEPS) if self._known else job

    @property
    def is_settled(self) -> bool:
        """Whether more steps would change nothing."""
        return self._state is not None and self._state.status is FitStatus.CONVERGED

    def accept(self, context: bpy.types.Context) -> str:
        """Keep the pose."""
        if self._job is None or self._state is None:
            return ""
        words = accept(context, self._job, self._state)
        renew_depths(context, self._armature.still_in(context.scene))
        return words

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring the pose back, and the rest bones that an accepted drag had moved."""
        restore(self.before)
        armature = self._armature.among(bpy.data.objects)
        if armature is not None:
            joints_to_shape(context, armature)
