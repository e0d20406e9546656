"""What a fit has to say for itself: figures of the clip, of every frame and of every keypoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from .body_model import posed_joints
from .contacts import point_slides
from .fit_state import FitState
from .quality import ClipQuality, FittedClip, clip_quality

# How many of the worst frames a summary names.
NAMED = 3


class FrameReport(TypedDict):
    """One frame: its number in the file, whether it has a pose of its own, its error, and its keypoints that
    are missing, that were dropped as outliers, and whose sides were found swapped and put right; the mean
    confidence of those used; in a clip the way of standing feet and the speed of the fastest joint. What is
    wrong with it in ``reasons``, and how bad that is: 0 nothing, 1 a measure at its limit.
    """

    frame: int
    fitted: bool
    reprojection_pixels: float | None
    reprojection_percent: float | None
    energy: float | None
    missing: list[str]
    dropped: list[str]
    swapped: list[str]
    confidence: float | None
    foot_slide_mm: float | None
    metres_per_second: float | None
    reasons: list[str]
    badness: float


class Report(TypedDict):
    """The whole fit. Percentages are of the person's height in the picture."""

    format: str
    camera: str
    focal_length_pixels: float
    field_of_view_degrees: float
    image_size: list[int]
    minimizer: str
    status: str
    iterations: int
    seconds: float
    frames_fitted: int
    frames_bridged: list[int]
    reprojection_pixels: float
    reprojection_percent: float
    joint_pixels: dict[str, float]
    worst_frames: list[int]
    frames: list[FrameReport]


def report(state: FitState, minimizer: str, seconds: float) -> Report:
    """The figures of a fit, as plain numbers."""
    problem = state.view.problem
    keypoints, camera = problem.keypoints, problem.camera
    error = state.reprojection_error
    by_joint = {
        name: float(np.nanmean(column))
        for name, column in zip(keypoints.format.names, error.T, strict=True)
        if np.isfinite(column).any()
    }
    quality = state_quality(state)
    frames = [_frame(state, quality, b) for b in range(len(keypoints))]
    return {
        "format": keypoints.format.name,
        "camera": camera.source,
        "focal_length_pixels": float(np.ravel(camera.focal_length)[0]),
        "field_of_view_degrees": camera.field_of_view,
        "image_size": list(camera.image_size),
        "minimizer": minimizer,
        "status": state.status.value,
        "iterations": state.iteration,
        "seconds": seconds,
        "frames_fitted": int(state.fitted.sum()),
        "frames_bridged": [frame["frame"] for frame in frames if not frame["fitted"]],
        "reprojection_pixels": float(np.nanmean(error)),
        "reprojection_percent": state.reprojection_percent,
        "joint_pixels": dict(sorted(by_joint.items(), key=lambda item: -item[1])),
        "worst_frames": keypoints.numbers[quality.worst()].tolist(),
        "frames": frames,
    }


def state_quality(state: FitState) -> ClipQuality:
    """How good each frame of a fit is; of a clip its motion counts, too."""
    problem, found = state.view.problem, state.clip
    keypoints = problem.keypoints
    judged = FittedClip(
        state.reprojection_error,
        keypoints.confidence,
        state.person_height,
        state.fitted,
        keypoints.numbers,
    )
    if found is not None:
        joints = posed_joints(problem.body, state.pose)
        if problem.camera_to_world is not None:
            turn, place = problem.camera_to_world[:, :3, :3], problem.camera_to_world[:, :3, 3]
            joints = joints @ np.swapaxes(turn, -1, -2) + place[:, None]
        judged = replace(
            judged,
            frame_rate=problem.frame_rate,
            joints=joints,
            slides=point_slides(found.feet, found.contacts),
            cuts=found.cuts,
            unsure=found.unsure,
        )
    return clip_quality(judged)


def _frame(state: FitState, quality: ClipQuality, b: int) -> FrameReport:
    keypoints = state.view.problem.keypoints
    fitted = bool(state.fitted[b])
    return {
        "frame": int(keypoints.numbers[b]),
        "fitted": fitted,
        "reprojection_pixels": _known(quality.reprojection_pixels[b]),
        "reprojection_percent": _known(quality.reprojection_percent[b]),
        "energy": _known(state.loss[b]) if fitted else None,
        "missing": list(keypoints.missing(b)),
        "dropped": _names(state, state.dropped[b]),
        "swapped": _names(state, state.swapped[b]),
        "confidence": _known(quality.confidence[b]),
        "foot_slide_mm": _known(quality.slide_mm[b]),
        "metres_per_second": _known(quality.speed[b]),
        "reasons": list(quality.reasons[b]),
        "badness": float(quality.badness[b]),
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _names(state: FitState, chosen: np.ndarray) -> list[str]:
    names = state.view.problem.keypoints.format.names
    return [name for name, found in zip(names, chosen, strict=True) if found]


def summary(figures: Report) -> str:
    """A few lines for a person."""
    bridged = len(figures["frames_bridged"])
    lines = [
        f"{figures['frames_fitted']} frames fitted"
        + (f", {bridged} without keypoints bridged" if bridged else ""),
        f"camera        {figures['focal_length_pixels']:.0f} px focal length, "
        f"{figures['field_of_view_degrees']:.0f} degrees ({figures['camera']})",
        f"reprojection  {figures['reprojection_pixels']:.2f} px, "
        f"{figures['reprojection_percent']:.2f} % of the person's height",
        *_doubts(figures),
        *_worst(figures),
        f"time          {figures['seconds']:.2f} s ({figures['minimizer']}, {figures['status']})",
    ]
    return "\n".join(lines)


def _doubts(figures: Report) -> list[str]:
    """A line about keypoints that were not believed, where there are any."""
    dropped = sum(len(frame["dropped"]) for frame in figures["frames"])
    swapped = sum(bool(frame["swapped"]) for frame in figures["frames"])
    parts = [f"{dropped} outliers dropped"] * (dropped > 0)
    parts += [f"left and right of a limb exchanged in {swapped} frames"] * (swapped > 0)
    return [f"keypoints     {', '.join(parts)}"] if parts else []


def _worst(figures: Report) -> list[str]:
    """A line for each of the frames to look at first."""
    said = {frame["frame"]: "; ".join(frame["reasons"]) for frame in figures["frames"]}
    return [f"look at       frame {number}: {said[number]}" for number in figures["worst_frames"][:NAMED]]


def write_report(path: Path, figures: Report) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")
