"""Re-fit: from the pose that the animator has changed to a problem, and from its answer to some keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import MINIMIZERS, FitError, FitProblem, FitState, Weights, fit
from ..lsr1_solver.body_model import BodyPose
from ..lsr1_solver.problem import FEWEST_KEYPOINTS, PARTS, PLACE, SHAPE
from ..lsr1_solver.refine import LIMBS, refit_problem
from .between_rows import EditsBetween, edits_between
from .body import shown_betas
from .bone_change import change_to, key_as_shown
from .bone_motion import (
    BoneMotion,
    check_plays_in_scene,
    is_keyed,
    keyed_parts,
    read_bones,
    recall,
    remember,
)
from .camera_path import CameraPath, camera_path
from .edits import changed_by_hand
from .fits import picture_view, square_keypoints
from .holding import locked_parts, pins_at
from .keypoint_store import frame_count, keypoints_at
from .known import Known, known
from .rig import rig_of
from .timing import check_range, clip_rate, nearest_row, row_frames, rows_within
from .tracks import track_arrays, track_keypoints

# Frames on either side that show the motion which the new frames must go on with.
_CONTEXT = 6
# An edit as a hint, radians: one standard deviation.
_HINT = 0.02
# How far a correction turns joints (radians) and moves the place (metres) next to its frame.
_FALLOFF = 0.3


@dataclass(frozen=True, eq=False)
class Refit:
    """A part of a clip, or a still, as a problem that holds what must not change.

    Objects may be freed between two ticks: of the ``armature`` there is what finds it again. ``frames`` [B]
    scene frames, ``motion`` the bones as they are there, ``written`` as the last fit left them, ``start`` the
    pose in camera axes, ``changes`` [B, 26] which of PARTS may change, ``edited`` those that were changed by
    hand, some of them ``between`` two frames.
    """

    armature: Known[bpy.types.Object]
    path: CameraPath
    problem: FitProblem
    frames: np.ndarray
    motion: BoneMotion
    written: BoneMotion
    start: BodyPose
    changes: np.ndarray
    edited: np.ndarray
    between: EditsBetween
    minimizer: str
    steps: int

    def states(self) -> Iterator[FitState]:
        """The fit, step by step."""
        minimizer = MINIMIZERS[self.minimizer]
        yield from fit(self.problem, minimizer, initial=self.start, max_iterations=self.steps)

    def still(self, row: int) -> Refit:
        """One of the frames as a picture of its own."""
        one = slice(row, row + 1)
        problem = replace(self.problem.frames(one), frame_rate=None, camera_to_world=None)
        return replace(
            self,
            path=self.path.still(row),
            problem=problem,
            frames=self.frames[one],
            motion=self.motion.rows(one),
            written=self.written.rows(one),
            start=self.start.frames(one),
            changes=self.changes[one],
            edited=self.edited[one],
            between=replace(self.between, taken=self.between.taken[one]),
        )

    def accept(self, context: bpy.types.Context, pose: BodyPose) -> str:
        """Write what may change, and nothing else. Returns a line for the user.

        FitError where the armature is no longer in the scene.
        """
        scene, armature = context.scene, self.armature.still_in(context.scene)
        now = scene.frame_current_final
        rows = row_frames(scene, frame_count(scene))
        still = self.between.still(armature, rows, span(scene), keep=scene.lsr1.refine.edits == "LOCK")
        chosen, here = self.changes.any(axis=1), nearest_row(self.frames, now)
        # An edit that was never keyed would be lost with the next frame.
        if here is not None and chosen[here]:
            key_as_shown(armature, (self.edited & ~self.changes)[here], now, still.frames)
        changes = self.changes | (self.between.taken & chosen[:, None])
        change = change_to(armature, pose, self.motion, self.frames, changes, self.path.on(armature))
        change.write(armature, now, still)
        # What is kept by hand stays an edit; the rest is now what the fit wrote.
        fresh = read_bones(armature, self.frames, now)
        mine = self.changes & ~self.edited
        basis = np.where(mine[:, :24, None, None], fresh.basis, self.written.basis)
        place = np.where(mine[:, PARTS.index(PLACE), None], fresh.location, self.written.location)
        remember(armature, self.frames, BoneMotion(basis, place))
        count = int(self.changes.any(axis=1).sum())
        names = sorted({PARTS[part].replace("_", " ") for _, part in np.argwhere(self.edited)})
        by_hand = f", kept by hand: {', '.join(names)}" if names else ""
        return f"Fitted {count} frame{'s' if count > 1 else ''} again{by_hand}"


def track_of(scene: bpy.types.Scene, armature: bpy.types.Object) -> int:
    """The track that a body belongs to; the chosen one where none says so."""
    held = scene.lsr1.keypoints
    own = [index for index, person in enumerate(held.people) if person.body == armature]
    return own[0] if own else max(held.person - 1, 0)


def span(scene: bpy.types.Scene) -> tuple[float, float]:
    """The first and the last scene frame that the panel says may change. FitError as ``check_range``."""
    refine, now = scene.lsr1.refine, scene.frame_current_final
    if refine.span == "RANGE":
        check_range(refine.first, refine.last)
        return float(refine.first), float(refine.last)
    far = refine.falloff if refine.span == "AROUND" else 0
    return now - far, now + far


def free_parts(limbs: set[str]) -> set[str]:
    """The names of PARTS that the panel's limbs stand for."""
    return {part for limb in limbs for part in LIMBS.get(limb, (limb,))}


def refit(context: bpy.types.Context, armature: bpy.types.Object) -> Refit:
    """The re-fit that the panel describes.

    FitError where something is missing: frames in the range, keypoints, a camera, limbs that may change.
    """
    scene, refine = context.scene, context.scene.lsr1.refine
    if not refine.limbs:
        raise FitError("Nothing may change: choose limbs in the panel Refine")
    job = scene_problem(context, armature, *span(scene))
    return narrowed(scene, armature, job, free_parts(refine.limbs), freedom(scene, job.frames))


def narrowed(
    scene: bpy.types.Scene, armature: bpy.types.Object, job: Refit, parts: set[str], free: np.ndarray
) -> Refit:
    """The job in which ``parts`` alone may change, in frames as ``free`` [B] as ``freedom`` says; edits are
    kept as the panel says, and what is locked stays. FitError where nothing is left.
    """
    sigma = _HINT if scene.lsr1.refine.edits == "HINT" else 0.0
    held = np.minimum(job.problem.firmness, free[:, None])
    held[locked_parts(armature, job.frames)] = 0.0
    problem = refit_problem(replace(job.problem, held=held), job.edited, free=parts, sigma=sigma)
    changes = problem.firmness > 0
    if not changes.any():
        raise FitError("All that may change is locked or was changed by hand: unlock bones, or choose more")
    return replace(job, problem=problem, changes=changes)


def freedom(scene: bpy.types.Scene, frames: np.ndarray) -> np.ndarray:
    """How freely the panel lets frames change: inf wholly, 0 not at all, and where a correction dies away one
    standard deviation (radians, metres). ``frames`` [B], the only one of a still or some of a clip. -> [B].
    """
    refine, now = scene.lsr1.refine, scene.frame_current_final
    if len(frames) == 1:
        return np.full(1, np.inf)
    inside = rows_within(frames, *span(scene))
    row = nearest_row(frames, now)
    if refine.span != "RANGE" and row is not None:
        inside[row] = True
    free = np.where(inside, np.inf, 0.0)
    return np.minimum(free, _fading(frames, now, refine.falloff)) if refine.span == "AROUND" else free


def _fading(frames: np.ndarray, centre: float, falloff: int) -> np.ndarray:
    """How freely frames [B] may follow a correction: wholly at the centre, not at all at the end. -> [B]."""
    distance = np.abs(frames - centre)
    fading = _FALLOFF * np.maximum(1 - distance / (falloff + 1), 0.0)
    return np.where(distance <= max(0.5, distance.min()), np.inf, fading)


def scene_problem(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    first: float,
    last: float,
    *,
    around: int = _CONTEXT,
) -> Refit:
    """The frames from first to last and ``around`` so many more on either side as a problem in which the
    shape stays; all else is still free. One frame where the body's bones have no keys.

    FitError as ``scene_fit``.
    """
    check_plays_in_scene(armature)
    scene, settings, clip = context.scene, context.scene.lsr1.settings, context.scene.lsr1.clip
    view, rig, now = picture_view(context), rig_of(armature), scene.frame_current_final
    rows = _rows(scene, armature, first, last, around)
    if rows is None:
        frames, keypoints = np.array([float(now)]), keypoints_at(scene, now)
        every, rate = frames, None
    else:
        every = row_frames(scene, frame_count(scene))
        frames = every[rows]
        keypoints = track_keypoints(scene, track_of(scene, armature)).frames(rows)
        rate = clip_rate(scene) if len(frames) > 1 else None
    path = camera_path(context, view, frames, armature)
    numbered = replace(keypoints, frame_numbers=np.round(frames).astype(int))
    motion, keyed = read_bones(armature, frames, now), keyed_parts(armature, frames, now)
    written, betas = recall(armature, frames, motion), shown_betas(armature)
    edited = changed_by_hand(armature, frames, written, motion) & keyed
    done = edited | locked_parts(armature, frames)
    between, motion = edits_between(armature, frames, written, motion, done, now, every)
    problem = FitProblem(
        rig.body,
        path.camera,
        square_keypoints(view, numbered),
        weights=Weights(temporal=clip.smoothness, feet=clip.feet),
        fixed=frozenset({SHAPE}),
        frame_rate=rate,
        camera_to_world=path.solver_places(rig.scale),
        pins=pins_at(scene, armature, frames, path.to_world),
    )
    start = motion.pose(rig, betas, path.on(armature))
    free = np.ones_like(edited)
    return Refit(
        known(armature),
        path,
        problem,
        frames,
        motion,
        written,
        start,
        free,
        edited | between.taken,
        between,
        settings.minimizer,
        settings.steps,
    )


def _rows(
    scene: bpy.types.Scene, armature: bpy.types.Object, first: float, last: float, around: int
) -> slice | None:
    """The rows of the keypoints from one scene frame to another, and some ``around``; None: a still.

    In a gap they reach to where the person is seen again. FitError where there are none.
    """
    count = frame_count(scene)
    if count < 2 or not is_keyed(armature):
        return None
    frames = row_frames(scene, count)
    found = np.flatnonzero(rows_within(frames, first, last))
    if not len(found):
        raise FitError(
            f"There are no keypoints from frame {first:.0f} to {last:.0f}: they are at frames "
            f"{frames[0]:.0f} to {frames[-1]:.0f}"
        )
    begin, end = max(int(found[0]) - around, 0), int(found[-1]) + around
    if around:
        confidence = track_arrays(scene, track_of(scene, armature))[1]
        seen = np.flatnonzero((confidence > 0).sum(axis=1) >= FEWEST_KEYPOINTS)
        begin = min([begin, *seen[seen <= found[0]][-1:].tolist()])
        end = max([end, *seen[seen >= found[-1]][:1].tolist()])
    return slice(begin, end + 1)
