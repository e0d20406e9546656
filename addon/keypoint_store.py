"""The scene's keypoints: arrays in custom properties, so that they are saved, undone and copied with it."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from ..lsr1_solver import FORMATS, FitError, KeypointFormat, Keypoints2D, keypoints_2d
from ..lsr1_solver.keypoint_formats import format_of_names
from .timing import nearest_row, row_frames

_XY, _CONFIDENCE = "xy", "confidence"
# Points that were placed, moved, weighted or taken away by hand, which no detection changes.
BY_HAND = "by_hand"
_HELD = (_XY, _CONFIDENCE, BY_HAND)
_SAID = ("layout", "names", "active", "start_frame", "offset")


def store(
    scene: bpy.types.Scene,
    keypoints: Keypoints2D,
    size: tuple[int, int],
    by_hand: np.ndarray | None = None,
) -> None:
    """Make these the scene's keypoints; ``size`` of the picture that they belong to, ``by_hand`` [B, K]."""
    held = scene.lsr1.keypoints
    held.layout, held.names = keypoints.format.name, "\n".join(keypoints.format.names)
    held.size = size
    placed = np.zeros(keypoints.confidence.shape) if by_hand is None else by_hand
    put_arrays(held, keypoints.xy, keypoints.confidence, placed)
    held.active = -1


def put_arrays(
    owner: bpy.types.PropertyGroup, xy: np.ndarray, confidence: np.ndarray, by_hand: np.ndarray
) -> None:
    """Give the scene's keypoints, or a track, its arrays [B, K, 2], [B, K] and [B, K]."""
    for name, array, kind in (
        (_XY, xy, np.float64),
        (_CONFIDENCE, confidence, np.float64),
        (BY_HAND, by_hand, np.int32),
    ):
        # Blender 5.0 may end where an array is replaced by one of another length.
        if name in owner:
            del owner[name]
        owner[name] = np.ascontiguousarray(array, dtype=kind).ravel()


def take_arrays(owner: bpy.types.PropertyGroup, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copies of what ``put_arrays`` gave. -> [B, K, 2], [B, K], [B, K] booleans."""
    xy, confidence = np.array(owner[_XY]), np.array(owner[_CONFIDENCE])
    by_hand = np.array(owner[BY_HAND]) if BY_HAND in owner else np.zeros(confidence.shape)
    return xy.reshape(frames, -1, 2), confidence.reshape(frames, -1), by_hand.reshape(frames, -1) > 0


def clear(scene: bpy.types.Scene) -> None:
    """Take all keypoints out of the scene."""
    held = scene.lsr1.keypoints
    for name in (_XY, _CONFIDENCE, BY_HAND):
        if name in held:
            del held[name]
    held.layout = held.names = held.source = ""
    held.people.clear()
    held.active = -1


def has_keypoints(scene: bpy.types.Scene) -> bool:
    """Whether the scene has keypoints. Cheap."""
    held = scene.lsr1.keypoints
    return bool(held.layout) and _CONFIDENCE in held


def layout(scene: bpy.types.Scene) -> KeypointFormat:
    """The format of the scene's keypoints."""
    held = scene.lsr1.keypoints
    known = FORMATS.get(held.layout)
    return known if known is not None else format_of_names(held.names.split("\n"))


def frame_count(scene: bpy.types.Scene) -> int:
    """Frames that the scene's keypoints have, 0 without any."""
    if not has_keypoints(scene):
        return 0
    held = scene.lsr1.keypoints
    return len(held[_CONFIDENCE]) // (held.names.count("\n") + 1)


def row_at(scene: bpy.types.Scene, frame: float) -> int | None:
    """Which row of the keypoints a scene frame shows; a still's are there in every frame."""
    count = frame_count(scene)
    return 0 if count == 1 else nearest_row(row_frames(scene, count), frame)


def points_at(scene: bpy.types.Scene, frame: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Keypoints [K, 2] in pixels and confidences [K] of a scene frame, or None."""
    row = row_at(scene, frame)
    if row is None:
        return None
    held = scene.lsr1.keypoints
    xy = np.array(held[_XY]).reshape(frame_count(scene), -1, 2)
    return xy[row], np.array(held[_CONFIDENCE]).reshape(len(xy), -1)[row]


def keypoints_at(scene: bpy.types.Scene, frame: float) -> Keypoints2D:
    """The keypoints of a scene frame. FitError where there are none."""
    if not has_keypoints(scene):
        raise FitError("There are no keypoints: press Detect, Import or Place Keypoints")
    found = points_at(scene, frame)
    if found is None:
        frames = row_frames(scene, frame_count(scene))
        raise FitError(
            f"There are no keypoints at frame {frame:g}: they are at frames {frames[0]:.0f} to "
            f"{frames[-1]:.0f}"
        )
    return keypoints_2d(found[0], found[1][None], layout(scene), image_size=tuple(scene.lsr1.keypoints.size))


def set_point(
    scene: bpy.types.Scene, frame: float, index: int, xy: Sequence[float] | None, confidence: float
) -> None:
    """Change one keypoint of a scene frame by hand; ``xy`` None leaves it where it is."""
    row = row_at(scene, frame)
    if row is None:
        return
    held = scene.lsr1.keypoints
    place = row * (held.names.count("\n") + 1) + index
    held[_CONFIDENCE][place] = confidence
    if BY_HAND not in held:
        held[BY_HAND] = np.zeros(len(held[_CONFIDENCE]), dtype=np.int32)
    held[BY_HAND][place] = 1
    if xy is not None:
        held[_XY][2 * place], held[_XY][2 * place + 1] = xy


def swap_sides(scene: bpy.types.Scene, frame: float) -> None:
    """Exchange left and right in a scene frame."""
    row, held = row_at(scene, frame), scene.lsr1.keypoints
    if row is None:
        return
    arrays = take_arrays(held, frame_count(scene))
    for array in arrays:
        array[row] = array[row][list(layout(scene).mirror)]
    put_arrays(held, *arrays)


def scale(scene: bpy.types.Scene, size: tuple[int, int]) -> None:
    """Scale the keypoints of all people from their picture's size to another."""
    held = scene.lsr1.keypoints
    factor = np.array(size) / np.array(held.size)
    for holder in (held, *(person for person in held.people if _XY in person)):
        holder[_XY] = (np.array(holder[_XY]).reshape(-1, 2) * factor).ravel()
        if "picture_size" in holder:
            holder["picture_size"] = size
    held.size = size


def middle(scene: bpy.types.Scene) -> tuple[float, float]:
    """Where half of the keypoints lie farther left, and half higher, pixels."""
    held = scene.lsr1.keypoints
    xy = np.array(held[_XY]).reshape(-1, 2)[np.array(held[_CONFIDENCE]) > 0]
    return (float(np.median(xy[:, 0])), float(np.median(xy[:, 1]))) if len(xy) else (0.0, 0.0)


def reach(scene: bpy.types.Scene) -> tuple[float, float]:
    """How far right and down the keypoints go, pixels."""
    held = scene.lsr1.keypoints
    seen = np.array(held[_CONFIDENCE]) > 0
    xy = np.array(held[_XY]).reshape(-1, 2)[seen]
    return (float(xy[:, 0].max()), float(xy[:, 1].max())) if len(xy) else (0.0, 0.0)


def held_points(scene: bpy.types.Scene) -> dict[str, object]:
    """The keypoints as plain values, for ``put_back``."""
    held = scene.lsr1.keypoints
    arrays = {name: np.array(held[name]) for name in _HELD if name in held}
    return {**arrays, **{name: getattr(held, name) for name in _SAID}, "size": tuple(held.size)}


def put_back(scene: bpy.types.Scene, numbers: dict[str, object]) -> None:
    """The keypoints as ``held_points`` found them."""
    held = scene.lsr1.keypoints
    for name in _HELD:
        if name in numbers:
            held[name] = numbers[name]
        elif name in held:
            del held[name]
    for name in (*_SAID, "size"):
        setattr(held, name, numbers[name])
