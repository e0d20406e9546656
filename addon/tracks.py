"""The people of a keypoint file as tracks in the scene: chosen, cut and merged by hand.

The track that is chosen is the scene's keypoints, which are drawn and edited; the others wait in the list of
people, in custom properties, so that they are saved, undone and copied, too. The list's copy of the chosen
one is brought up to date when another is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import bpy
import numpy as np

from ..lsr1_solver import FitError, Keypoints2D, keypoints_2d
from .keypoint_store import frame_count, has_keypoints, layout, put_arrays, take_arrays


def list_people(
    scene: bpy.types.Scene,
    people: Sequence[Keypoints2D],
    chosen: int,
    by_hand: Sequence[np.ndarray] | None = None,
) -> None:
    """Make these the scene's tracks; ``chosen`` is the scene's keypoints already. ``by_hand`` [B, K] each."""
    held = scene.lsr1.keypoints
    held.people.clear()
    for index, person in enumerate(people):
        item = held.people.add()
        placed = np.zeros(person.confidence.shape) if by_hand is None else by_hand[index]
        _fill(item, person.xy, person.confidence, placed)
        if person.image_size is not None:
            item["picture_size"] = person.image_size
    _number(scene)
    held.person = chosen + 1
    if chosen < len(held.people):
        held.people[chosen].use = True


def choose_track(scene: bpy.types.Scene, index: int) -> None:
    """Make a track the scene's keypoints; the one that was stays as it was edited."""
    held = scene.lsr1.keypoints
    _write_back(scene)
    _take_out(scene, index)
    if used_tracks(scene) == [held.person - 1]:
        # The only one that was to be fitted was the one that was chosen.
        for number, person in enumerate(held.people):
            person.use = number == index
    held.person, held.active = index + 1, -1


def track_keypoints(scene: bpy.types.Scene, index: int) -> Keypoints2D:
    """The keypoints of a track, all rows."""
    xy, confidence, _ = track_arrays(scene, index)
    return keypoints_2d(xy, confidence, layout(scene), image_size=tuple(scene.lsr1.keypoints.size))


def used_tracks(scene: bpy.types.Scene) -> list[int]:
    """The tracks that Fit Clip fits: those that are ticked, else the chosen one."""
    held = scene.lsr1.keypoints
    ticked = [i for i, person in enumerate(held.people) if person.use]
    return ticked or [max(held.person - 1, 0)]


def cut_track(scene: bpy.types.Scene, row: int) -> int:
    """Cut the chosen track: from ``row`` on it is a track of its own, whose index is returned.

    FitError where nothing is on one side.
    """
    held = scene.lsr1.keypoints
    index = _chosen(scene)
    xy, confidence, by_hand = track_arrays(scene, index)
    before, after = confidence.copy(), confidence.copy()
    before[row:], after[:row] = 0, 0
    if not (before.any() and after.any()):
        raise FitError("There is nothing to cut off: go to a frame in the middle of the track")
    _write_back(scene)
    first = np.arange(len(xy))[:, None] < row
    _fill(held.people[index], _where_seen(xy, before), before, by_hand & first)
    other = held.people.add()
    _fill(other, _where_seen(xy, after), after, by_hand & ~first)
    _number(scene)
    _take_out(scene, index)
    return len(held.people) - 1


def merge_tracks(scene: bpy.types.Scene, others: Iterable[int]) -> None:
    """Add other tracks to the chosen one, which keeps its own keypoints where both have them."""
    held = scene.lsr1.keypoints
    index = _chosen(scene)
    gone = sorted(set(others) - {index}, reverse=True)
    if not gone:
        raise FitError("Tick the tracks that are the same person as the chosen one, then merge")
    arrays = track_arrays(scene, index)
    for other in reversed(gone):
        empty = ~arrays[1].any(axis=1)
        for array, more in zip(arrays, track_arrays(scene, other), strict=True):
            array[empty] = more[empty]
    _write_back(scene)
    _fill(held.people[index], *arrays)
    for other in gone:
        held.people.remove(other)
    index -= sum(other < index for other in gone)
    _number(scene)
    held.person = index + 1
    held.people[index].use = True
    _take_out(scene, index)


def _chosen(scene: bpy.types.Scene) -> int:
    held = scene.lsr1.keypoints
    if not has_keypoints(scene) or not 0 < held.person <= len(held.people):
        raise FitError("No track is chosen: import keypoints, and choose one of the people")
    return held.person - 1


def track_arrays(scene: bpy.types.Scene, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Copies of a track's points [B, K, 2], confidences [B, K], and which were placed by hand [B, K]."""
    held = scene.lsr1.keypoints
    chosen = index == held.person - 1 or not held.people
    return take_arrays(held if chosen else held.people[index], frame_count(scene))


def _where_seen(xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return np.where(confidence[..., None] > 0, xy, 0.0)


def _fill(
    person: bpy.types.PropertyGroup, xy: np.ndarray, confidence: np.ndarray, by_hand: np.ndarray
) -> None:
    """Give a track its arrays [B, K, 2], [B, K] and [B, K], and its line in the list."""
    put_arrays(person, xy, confidence, by_hand)
    rows = np.flatnonzero(confidence.any(axis=1))
    person.first, person.last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    person.summary = _summary(xy, confidence)


def _summary(xy: np.ndarray, confidence: np.ndarray) -> str:
    """One line about a person: where in the picture, how sure, how long."""
    seen = confidence > 0
    if not seen.any():
        return "nobody"
    low, high = xy[seen].min(axis=0), xy[seen].max(axis=0)
    frames = f", {int(seen.any(axis=1).sum())} frames" if len(xy) > 1 else ""
    width, height = high - low
    place = f"{width:.0f} x {height:.0f} at {low[0]:.0f}, {low[1]:.0f}"
    return f"{place}, {confidence[seen].mean():.0%} sure{frames}"


def _number(scene: bpy.types.Scene) -> None:
    """Number the list; a number given before is replaced."""
    for number, person in enumerate(scene.lsr1.keypoints.people, start=1):
        person.summary = f"{number}: {person.summary.split(': ', 1)[-1]}"


def _write_back(scene: bpy.types.Scene) -> None:
    """The scene's keypoints, as they were edited, back into the list."""
    held = scene.lsr1.keypoints
    if has_keypoints(scene) and 0 < held.person <= len(held.people):
        _fill(held.people[held.person - 1], *track_arrays(scene, held.person - 1))
        _number(scene)


def _take_out(scene: bpy.types.Scene, index: int) -> None:
    """A track of the list becomes the scene's keypoints, in its own picture's size where that is known."""
    held = scene.lsr1.keypoints
    person = held.people[index]
    put_arrays(held, *take_arrays(person, frame_count(scene)))
    if "picture_size" in person:
        held.size, held.size_is_assumed = tuple(person["picture_size"]), False
