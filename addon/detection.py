"""What was detected joins what the scene has: points placed by hand win, detection fills the rest.

Everything here is counted in scene frames at which the picture behind the camera shows its own frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import FitError, KeypointFormat, Keypoints2D
from ..lsr1_solver.keypoints import BLAZEPOSE_33
from ..lsr1_solver.tracking import LONGEST_GAP, assign, person_sizes
from .keypoint_store import clear, frame_count, has_keypoints, layout, store
from .shown_picture import ShownPicture
from .timing import clip_times, set_clip_times
from .tracks import list_people, track_arrays

# Farther from a track than this, in sizes of the person, is somebody else; more for each frame between them.
_GATE, _GATE_GROWTH = 0.4, 0.25
# A format with all of these has a place for what the detector finds.
_LIMBS = frozenset(
    f"coco_{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


@dataclass(frozen=True, eq=False)
class Track:
    """A person's points ``xy`` [B, K, 2], ``confidence`` [B, K], and which are ``by_hand`` [B, K]."""

    xy: np.ndarray
    confidence: np.ndarray
    by_hand: np.ndarray

    def spread(self, before: int, rows: int) -> Track:
        """The same over more rows, ``before`` of them before the first."""

        def wider(array: np.ndarray) -> np.ndarray:
            found = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
            found[before : before + len(array)] = array
            return found

        return Track(wider(self.xy), wider(self.confidence), wider(self.by_hand))

    def only(self, these: np.ndarray) -> Track:
        """Without the points that are not among ``these`` [B, K]."""
        return Track(
            np.where(these[..., None], self.xy, 0.0),
            np.where(these, self.confidence, 0.0),
            self.by_hand & these,
        )

    def filled(self, other: Track, free: np.ndarray) -> Track:
        """With another's points where this one is ``free`` [B, K]."""
        return Track(
            np.where(free[..., None], other.xy, self.xy),
            np.where(free, other.confidence, self.confidence),
            np.where(free, other.by_hand, self.by_hand),
        )

    def laid_out(self, own: KeypointFormat, wanted: KeypointFormat) -> Track:
        """The points of one format in the order of another; those that it lacks are left out."""
        if own.names == wanted.names:
            return self
        place = {joint: k for k, joint in reversed(list(enumerate(own.joints))) if joint is not None}
        pairs = [(k, place[joint]) for k, joint in enumerate(wanted.joints) if joint in place]
        to, of = (list(column) for column in zip(*pairs, strict=True)) if pairs else ([], [])
        rows, count = len(self.xy), len(wanted)
        xy, confidence = np.zeros((rows, count, 2)), np.zeros((rows, count))
        by_hand = np.zeros((rows, count), dtype=bool)
        xy[:, to], confidence[:, to], by_hand[:, to] = (
            array[:, of] for array in (self.xy, self.confidence, self.by_hand)
        )
        return Track(xy, confidence, by_hand)


@dataclass(frozen=True, eq=False)
class Joined:
    """Tracks in one format. ``came_from``: the earlier track of each, None where it is new; ``found_in``:
    the track of each person found.
    """

    format: KeypointFormat
    tracks: list[Track]
    came_from: list[int | None]
    found_in: list[int]


def join(
    before: Sequence[Track], known: KeypointFormat, found: Sequence[Track], rows: np.ndarray, *, alone: bool
) -> Joined:
    """Put people ``found`` (in BLAZEPOSE_33) at ``rows`` [B] into earlier tracks of a format.

    Who lies where a track is continues it. At these rows the found points replace the track's, except for
    those by hand; a track whose person was not found loses them there, unless only one person was looked
    for (``alone``). FitError where what stays is of a format that has no place for what was found.
    """
    alike = [track.laid_out(known, BLAZEPOSE_33) for track in before]
    continued = _same_people(alike, found)
    kept = [
        track.only(~rows[:, None] | track.by_hand) if index in continued or not alone else track
        for index, track in enumerate(before)
    ]
    format = _common_format(known, kept)
    tracks: list[Track] = []
    came_from: list[int | None] = []
    found_in = [-1] * len(found)
    for index, own in enumerate(kept):
        track, person = own.laid_out(known, format), continued.get(index)
        if person is not None:
            free = rows[:, None] & ~track.by_hand
            track = track.filled(found[person].laid_out(BLAZEPOSE_33, format), free)
        if not track.confidence.any():
            continue
        if person is not None:
            found_in[person] = len(tracks)
        tracks.append(track)
        came_from.append(index)
    for person, track in enumerate(found):
        if person not in continued.values():
            found_in[person] = len(tracks)
            tracks.append(track.laid_out(BLAZEPOSE_33, format))
            came_from.append(None)
    return Joined(format, tracks, came_from, found_in)


def _common_format(known: KeypointFormat, kept: Sequence[Track]) -> KeypointFormat:
    """The detector's format, or, where that has no place for what is kept, the format that it is in."""
    used = np.zeros(len(known), dtype=bool)
    for track in kept:
        used |= ((track.confidence > 0) | track.by_hand).any(axis=0)
    if known.names == BLAZEPOSE_33.names or all(
        known.joints[k] is not None and known.joints[k] in BLAZEPOSE_33.joints for k in np.flatnonzero(used)
    ):
        return BLAZEPOSE_33
    if not _LIMBS.issubset(known.joints):
        raise FitError(
            f"Keypoints that stay are of the format {known.name}, which has no place for detected ones: "
            "detect all of their frames, or press Clear first"
        )
    return known


def _same_people(before: Sequence[Track], found: Sequence[Track]) -> dict[int, int]:
    """Which track each person found continues, track to person; both in one format."""
    cost = np.array([[_apart(track, person) for person in found] for track in before])
    if not cost.size:
        return {}
    chosen = assign(np.minimum(cost, 1.0))
    return {track: person for track, person in enumerate(chosen) if person >= 0 and cost[track, person] < 1}


def _apart(track: Track, person: Track) -> float:
    """How far apart two are where both are seen, or else where they come closest in time; 1 is too far."""
    rows, others = (np.flatnonzero(t.confidence.any(axis=1)) for t in (track, person))
    if not len(rows) or not len(others):
        return np.inf
    common = np.intersect1d(rows, others)
    gap = 0
    if len(common):
        rows = others = common
    else:
        between = np.abs(rows[:, None] - others)
        row, other = np.unravel_index(between.argmin(), between.shape)
        gap = int(between[row, other])
        rows, others = rows[[row]], others[[other]]
    if gap > LONGEST_GAP:
        return np.inf
    a, b = track.confidence[rows], person.confidence[others]
    size = np.maximum(person_sizes(track.xy[rows], a), person_sizes(person.xy[others], b))
    distance = np.linalg.norm(track.xy[rows] - person.xy[others], axis=-1) / size[:, None]
    weight = a * b
    if not weight.any():
        return np.inf
    return float((weight * distance).sum() / weight.sum() / (_GATE * (1 + _GATE_GROWTH * gap)))


def first_frame(scene: bpy.types.Scene, picture: ShownPicture) -> int:
    """The scene frame of the picture that the first row of the scene's keypoints belongs to.

    Rows are frames of the video, whatever the rate at which they are keyed.
    """
    held = scene.lsr1.keypoints
    if not picture.moves and frame_count(scene) == 1:
        return scene.frame_current
    return held.start_frame + held.offset


def to_be_replaced(scene: bpy.types.Scene, picture: ShownPicture, first: int, last: int) -> int:
    """How many tracks have points at these scene frames that were not placed by hand."""
    if not has_keypoints(scene):
        return 0
    start = first_frame(scene, picture)
    rows = slice(max(first - start, 0), max(last - start + 1, 0))
    arrays = [track_arrays(scene, index) for index in _indices(scene)]
    return sum(bool(((confidence > 0) & ~by_hand)[rows].any()) for _, confidence, by_hand in arrays)


def check_room(scene: bpy.types.Scene, picture: ShownPicture, first: int, last: int, *, alone: bool) -> None:
    """FitError, before any work, where what is found at these frames could not join the scene's keypoints.

    They are of another picture (one that was moved is the same), or those that stay are of a format that has
    no place for detected ones.
    """
    if not has_keypoints(scene):
        return
    held = scene.lsr1.keypoints
    was, now = (bpy.path.basename(path) for path in (held.source, picture.path))
    if held.source and not held.read_as and was != now:
        raise FitError(
            f"The keypoints were detected in another picture, {was}: open it again, or press Clear"
        )
    tracks, start = _tracks(scene, picture), first_frame(scene, picture)
    frames = start + np.arange(len(tracks[0].xy))
    outside = (frames < first) | (frames > last)
    kept = tracks if alone else [track.only(outside[:, None] | track.by_hand) for track in tracks]
    _common_format(layout(scene), kept)


def keep_detection(
    scene: bpy.types.Scene, picture: ShownPicture, people: Sequence[Keypoints2D], *, alone: bool = False
) -> int:
    """Make people, all with the same scene frames as numbers, the scene's tracks, beside those that it has.

    -> how many points placed by hand are among them. FitError as ``join``; nothing has changed then.
    """
    held, numbers = scene.lsr1.keypoints, people[0].numbers
    before = _tracks(scene, picture) if has_keypoints(scene) else []
    start = first_frame(scene, picture) if before else int(numbers[0])
    end = start + len(before[0].xy) - 1 if before else int(numbers[-1])
    first, last = min(start, int(numbers[0])), max(end, int(numbers[-1]))
    count = last - first + 1
    rows = np.zeros(count, dtype=bool)
    rows[numbers - first] = True
    found = [
        Track(p.xy, p.confidence, np.zeros(p.confidence.shape, dtype=bool)).spread(numbers[0] - first, count)
        for p in people
    ]
    earlier = [track.spread(start - first, count) for track in before]
    known = layout(scene) if before else BLAZEPOSE_33
    joined = join(earlier, known, found, rows, alone=alone)
    times = clip_times(scene) if before and (first, last) == (start, end) else None
    chosen = joined.found_in[0] if alone or not before else _still_chosen(scene, joined)
    _store(scene, picture, joined, chosen)
    held.start_frame, held.offset, held.first_number = first, 0, picture.number_at(first)
    if picture.frame_rate is not None:
        held.frame_rate = picture.frame_rate
    set_clip_times(scene, times)
    return int(sum((track.by_hand & (track.confidence > 0)).sum() for track in joined.tracks))


def _indices(scene: bpy.types.Scene) -> range:
    return range(max(1, len(scene.lsr1.keypoints.people)))


def _tracks(scene: bpy.types.Scene, picture: ShownPicture) -> list[Track]:
    """The scene's tracks, in pixels of this picture."""
    held, tracks = scene.lsr1.keypoints, []
    for index in _indices(scene):
        track = Track(*track_arrays(scene, index))
        size = held.size
        if index < len(held.people) and index != held.person - 1:
            size = held.people[index].get("picture_size", size)
        factor = np.array(picture.size) / np.array(size)
        tracks.append(replace(track, xy=track.xy * factor))
    return tracks


def _still_chosen(scene: bpy.types.Scene, joined: Joined) -> int:
    chosen = max(scene.lsr1.keypoints.person - 1, 0)
    return joined.came_from.index(chosen) if chosen in joined.came_from else 0


def _store(scene: bpy.types.Scene, picture: ShownPicture, joined: Joined, chosen: int) -> None:
    """Replace the scene's tracks; each that went on keeps its body and its tick."""
    held = scene.lsr1.keypoints
    marks = [(person.use, person.body) for person in held.people]
    people = [Keypoints2D(track.xy, track.confidence, joined.format, picture.size) for track in joined.tracks]
    clear(scene)
    by_hand = [track.by_hand for track in joined.tracks]
    store(scene, people[chosen], picture.size, by_hand[chosen])
    list_people(scene, people, chosen, by_hand)
    held.source, held.read_as, held.size_is_assumed = picture.path, "", False
    for person, origin in zip(held.people, joined.came_from, strict=True):
        if origin is not None and origin < len(marks):
            person.use, person.body = marks[origin]
    held.people[chosen].use = True
