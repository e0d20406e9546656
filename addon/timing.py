"""The frames of a video and those of the scene: which is shown when, at any two rates."""

from __future__ import annotations

import bpy
import numpy as np

from ..lsr1_solver import FitError

KEYS_AT_ITEMS = [
    ("FRAMES", "One Key per Video Frame", "Every frame of the video has a scene frame of its own"),
    (
        "TIME",
        "Real Time",
        "A second of the video takes a second of the scene: keys may lie between its frames",
    ),
]
# Television's rates are 1000/1001 of a whole number.
_TELEVISION = 1.001
# Rates nearer to one of those than this mean it: files give averages, and people two digits.
_SAME_RATE, _SAME_DIGITS = 5e-4, 1e-5
_SAME_FRAME = 1e-3
# Blender's timeline ends here.
LAST_FRAME = 1_048_574


def first_scene_frame(number: int, count: int) -> int:
    """The scene frame of the first of a clip's ``count`` frames, whose ``number`` a file says: that number.

    At 1 where it is lower, or where the timeline does not reach so far: it is the time of day then, or an id.
    """
    return max(1, number) if number + count - 1 <= LAST_FRAME else 1


def exact_rate(rate: float) -> float:
    """A rate in hertz as it was typed or measured, made exact: 29.97 is 30000/1001, 24.0001 is 24."""
    television = round(rate * _TELEVISION) / _TELEVISION
    whole = round(rate)
    if whole > 0 and abs(rate - whole) < _SAME_RATE:
        return float(whole)
    if abs(rate - television) < _SAME_RATE or abs(rate - round(television, 2)) < _SAME_DIGITS:
        return television
    return float(rate)


def scene_rate(scene: bpy.types.Scene) -> float:
    """Frames a second that the scene plays."""
    return exact_rate(scene.render.fps / scene.render.fps_base)


def set_scene_rate(scene: bpy.types.Scene, rate: float) -> None:
    """Play the scene at this rate, hertz, fractions and all."""
    fps = max(1, round(rate))
    scene.render.fps, scene.render.fps_base = fps, fps / rate


def go_to_frame(scene: bpy.types.Scene, frame: float) -> None:
    """Show a scene frame, fractions allowed."""
    whole = int(np.floor(frame))
    scene.frame_set(whole, subframe=frame - whole)


def clip_rate(scene: bpy.types.Scene) -> float:
    """Frames a second of the video that the keypoints belong to, the mean where they vary."""
    held = scene.lsr1.keypoints
    times = clip_times(scene)
    if times is None or len(times) < 2:
        return exact_rate(held.frame_rate)
    return (len(times) - 1) / float(times[-1] - times[0])


def clip_times(scene: bpy.types.Scene) -> np.ndarray | None:
    """[B] seconds of each row of the keypoints where the video's rate varies; None: it does not."""
    held = scene.lsr1.keypoints
    return np.array(held["times"]) if "times" in held else None


def set_clip_times(scene: bpy.types.Scene, times: np.ndarray | None) -> None:
    """Remember the seconds [B] of each row; None: the rate is the same all along."""
    held = scene.lsr1.keypoints
    if times is not None:
        held["times"] = np.ascontiguousarray(times, dtype=float)
    elif "times" in held:
        del held["times"]


def row_frames(scene: bpy.types.Scene, count: int) -> np.ndarray:
    """The scene frame of each of ``count`` rows of the keypoints, fractions allowed. -> [B], ascending.

    Keys are written there, and the overlay shows the row that is nearest.
    """
    held = scene.lsr1.keypoints
    rows = np.arange(count, dtype=float)
    if held.keys_at == "FRAMES":
        return held.start_frame + (rows + held.offset) * held.step
    times, rate = clip_times(scene), clip_rate(scene)
    seconds = rows / rate if times is None or len(times) != count else times - times[0]
    return held.start_frame + (held.offset / rate + seconds) * scene_rate(scene)


def nearest_row(frames: np.ndarray, frame: float) -> int | None:
    """The row [B] that a scene frame shows; None before the first and after the last."""
    if not len(frames):
        return None
    row = int(np.abs(frames - frame).argmin())
    apart = np.diff(frames[max(row - 1, 0) : row + 2])
    return row if abs(frames[row] - frame) <= max(0.5, apart.max(initial=0.0) / 2) else None


def check_range(first: float, last: float) -> None:
    """FitError where a range of scene frames ends before it begins."""
    if last < first:
        raise FitError(f"The last frame, {last:g}, is before the first, {first:g}: correct one")


def rows_within(frames: np.ndarray, first: float, last: float) -> np.ndarray:
    """Which rows, at scene frames [B], lie from one scene frame to another; where none does, those that are
    shown there. -> [B] booleans.
    """
    inside = (frames >= first - _SAME_FRAME) & (frames <= last + _SAME_FRAME)
    return inside if inside.any() else rows_between(frames, first, last)


def rows_between(frames: np.ndarray, first: float, last: float) -> np.ndarray:
    """Which rows, at scene frames [B], are shown from one scene frame to another. -> [B] booleans.

    Those in between, and those that are nearest to the first and the last: keys may lie between frames.
    """
    shown = (frames >= first - _SAME_FRAME) & (frames <= last + _SAME_FRAME)
    for edge in (first, last):
        row = nearest_row(frames, edge)
        if row is not None:
            shown[row] = True
    return shown
