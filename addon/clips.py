"""A clip's fit in Blender: from the scene to a problem, from its states to a take, and back to how it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np

from ..lsr1_solver import MINIMIZERS, FitError, FitProblem, FitState, Keypoints2D, Weights, fit
from ..lsr1_solver.problem import SHAPE
from .camera_path import CameraPath, camera_path
from .fits import picture_view, square_keypoints
from .footage import content, moving_picture
from .holding import pins_at
from .locked import LockedBones, locked_bones
from .rig import rig_of
from .takes import read_contacts
from .timing import check_range, clip_rate, row_frames
from .tracks import track_keypoints

_SAME = 1e-6
# Names of folders that say what is in them and not whose.
_SAY_NOTHING = {"", "keypoints", "json", "openpose", "output", "poses", "results"}


@dataclass(frozen=True, eq=False)
class ClipFit:
    """A track's frames as a problem, and what its answer needs to be keyed.

    ``frames`` [B] are scene frames, ``locked`` what stays of the body's motion, ``keep_shape`` whether its
    shape does, too.
    """

    name: str
    path: CameraPath
    problem: FitProblem
    frames: np.ndarray
    minimizer: str
    steps: int
    locked: LockedBones
    keep_shape: bool

    def states(self) -> Iterator[FitState]:
        """The fit, step by step."""
        minimizer = MINIMIZERS[self.minimizer]
        fixed = frozenset({SHAPE} if self.keep_shape else ())
        problem = replace(self.problem, fixed=fixed, held=self.locked.held)
        if not np.isfinite(problem.firmness).any():
            yield from fit(problem, minimizer, one_shape=True, max_iterations=self.steps)
            return
        # Read first: what is held is then as it was.
        *_, read = fit(self.problem, minimizer, max_iterations=0)
        start = self.locked.into(problem.body, read.pose, keep_shape=self.keep_shape)
        yield from fit(problem, minimizer, initial=start, one_shape=True, max_iterations=self.steps)


def wanted_rows(scene: bpy.types.Scene, frames: np.ndarray) -> np.ndarray:
    """Which rows at scene frames [B] the range in the panel takes in. -> [B] booleans.

    FitError as ``check_range``.
    """
    clip = scene.lsr1.clip
    first, last = {
        "KEYPOINTS": (-np.inf, np.inf),
        "SCENE": (scene.frame_preview_start, scene.frame_preview_end)
        if scene.use_preview_range
        else (scene.frame_start, scene.frame_end),
        "CUSTOM": (clip.first, clip.last),
    }[clip.frame_range]
    check_range(first, last)
    return (frames >= first - _SAME) & (frames <= last + _SAME)


def track_in_range(scene: bpy.types.Scene, track: int) -> tuple[Keypoints2D, np.ndarray]:
    """A track's keypoints [B] in the range, from where the person comes to where it has gone, and their scene
    frames [B]. FitError where there are none.
    """
    keypoints = track_keypoints(scene, track)
    frames = row_frames(scene, len(keypoints))
    seen = np.flatnonzero(keypoints.confidence.any(axis=1))
    rows = np.flatnonzero(wanted_rows(scene, frames))
    # Before a person comes and after it has gone there is nothing to bridge.
    rows = rows[(rows >= seen[0]) & (rows <= seen[-1])] if len(seen) else rows[:0]
    if not len(rows):
        raise FitError(
            f"Track {track + 1} has no keypoints in the range: it is at frames "
            f"{frames[seen[0]]:.0f} to {frames[seen[-1]]:.0f}"
            if len(seen)
            else f"Track {track + 1} has no keypoints"
        )
    chosen = slice(int(rows[0]), int(rows[-1]) + 1)
    return keypoints.frames(chosen), frames[chosen]


def check_tracks(scene: bpy.types.Scene, wanted: Sequence[int]) -> None:
    """FitError where tracks could not all be fitted: before the first takes its time."""
    held, owners = scene.lsr1.keypoints, {}
    for track in wanted:
        track_in_range(scene, track)
        body = held.people[track].body if track < len(held.people) else None
        if body is not None and body.name in scene.objects and owners.setdefault(body, track) != track:
            raise FitError(
                f"Tracks {owners[body] + 1} and {track + 1} move the same body, {body.name}: if they are one "
                "person, press Merge Ticked, else choose another body"
            )


def clip_fit(
    context: bpy.types.Context, armature: bpy.types.Object, track: int, *, keep_contacts: bool = False
) -> ClipFit:
    """The fit of a track that the scene's keypoints, camera and settings describe.

    With ``keep_contacts`` feet stand where the armature's take says so. FitError where something is missing:
    frames in the range, a camera, usable points, the right picture size.
    """
    scene, settings, clip = context.scene, context.scene.lsr1.settings, context.scene.lsr1.clip
    keypoints, frames = track_in_range(scene, track)
    view, rig = picture_view(context), rig_of(armature)
    path = camera_path(context, view, frames, armature)
    # What is said of frames is said of the scene's.
    numbered = replace(keypoints, frame_numbers=np.round(frames).astype(int))
    problem = FitProblem(
        rig.body,
        path.camera,
        square_keypoints(view, numbered),
        weights=Weights(temporal=clip.smoothness, feet=clip.feet),
        frame_rate=clip_rate(scene),
        camera_to_world=path.solver_places(rig.scale),
        contacts=read_contacts(armature, frames) if keep_contacts else None,
        pins=pins_at(scene, armature, frames, path.to_world),
    )
    return ClipFit(
        take_name(scene, track),
        path,
        problem,
        frames,
        settings.minimizer,
        settings.steps,
        locked_bones(armature, frames, scene.frame_current_final, path.on(armature)),
        settings.keep_shape or not armature.lsr1_body.is_ours,
    )


def take_name(scene: bpy.types.Scene, track: int) -> str:
    """What a take of a track is called: the clip's name, and the track's number where there are several."""
    held, picture = scene.lsr1.keypoints, moving_picture(scene)
    source = Path(bpy.path.abspath(held.source)) if held.source else Path()
    if picture is not None:
        shown = content(picture)
        name = Path(shown.filepath.replace("\\", "/") or shown.name).stem
        # The number of an image is none of the clip's.
        name = re.sub(r"[\W_]*\d*$", "", name) if shown.source == "SEQUENCE" else name
    elif source.is_dir():
        name = source.parent.name if source.name.lower() in _SAY_NOTHING else source.name
    else:
        # Without what detectors add to it.
        name = re.sub(r"[\W_]*keypoints$", "", source.stem)
    name = name or "Clip"
    return f"{name} {track + 1}" if len(held.people) > 1 else name
