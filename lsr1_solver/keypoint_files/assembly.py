"""From what a file holds to people: frames in order, formats, pixels, tracks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ..errors import FitError
from ..keypoint_formats import BODY_25, KeypointFormat, format_of_names
from ..keypoints import Keypoints2D, keypoints_2d
from ..tracking import link_people, person_sizes
from .numbering import number_frames
from .openpose import FAMILY as OPENPOSE
from .openpose import body_25_variant
from .records import Clip, Person

_log = logging.getLogger(__name__)

# Numbers that all tracks together may take: 4 GB.
_MOST_NUMBERS = 500_000_000
# Half of all coordinates are smaller in fractions of a picture: points beside it are few.
_LARGEST_FRACTION = 4.0


def people_as_tracks(
    clip: Clip,
    place: str,
    image_size: tuple[int, int] | None,
    chosen: KeypointFormat | None,
    person: int | None,
) -> list[Keypoints2D]:
    """The people of a clip by prominence (frames seen times size), all with the same frames.

    Raises FitError where there is nobody, where counts of keypoints disagree with the format, where
    fractions of a picture come without its size, and where ``person`` is out of range.
    """
    numbering = number_frames([frame.label for frame in clip.frames], place)
    found: list[tuple[int, Person]] = []
    for index, number in zip(numbering.order, numbering.numbers, strict=True):
        found.extend((int(number), someone) for someone in clip.frames[index].people)
    if not found:
        raise FitError(f"{place} shows no person in any of its {len(clip.frames)} frames.")
    layout = _layout(clip, [someone for _, someone in found], place, chosen)
    size = image_size or clip.image_size
    points_3d, weights_3d = _third_dimension([someone for _, someone in found])
    detections = keypoints_2d(
        _pixels(np.stack([someone.points for _, someone in found]), clip, place, size),
        np.stack([someone.points[:, 2] for _, someone in found]),
        layout,
        image_size=size,
        frame_numbers=np.array([number for number, _ in found]),
        xyz=points_3d,
        xyz_confidence=weights_3d,
    )
    seen = np.flatnonzero(detections.present)
    if not len(seen):
        raise FitError(f"{place} shows no keypoint of any person: every one is marked as missing.")
    tracks = _tracks(detections.frames(seen), [found[i][1].track for i in seen], clip, numbering.is_clip)
    return laid_out(detections.frames(seen), tracks, numbering.numbers, place, person)


def _layout(
    clip: Clip, people: Sequence[Person], place: str, chosen: KeypointFormat | None
) -> KeypointFormat:
    """The format of the clip's people; an explicit choice wins where the counts agree."""
    count = len(people[0].points)
    for someone in people:
        wanted = count if chosen is None else len(chosen)
        if len(someone.points) != wanted:
            right = "those before it" if chosen is None else chosen.name
            raise FitError(f"{someone.place} has {len(someone.points)} points; {right} has {wanted}.")
    if chosen is not None:
        return chosen
    if len(clip.names) == count:
        return format_of_names(clip.names)
    known = clip.formats.get(count)
    if known is None:
        right = ", ".join(f"{n} ({f.name})" for n, f in sorted(clip.formats.items()))
        raise FitError(
            f"{people[0].place} has {count} points, which is no {clip.family} format; right is {right}."
        )
    if known is BODY_25 and clip.family == OPENPOSE:
        return body_25_variant([someone.points for someone in people], place)
    return known


def _pixels(points: np.ndarray, clip: Clip, place: str, size: tuple[int, int] | None) -> np.ndarray:
    """``points`` [N, K, 3] (x, y, confidence) in pixels [N, K, 2]; x goes by the width and y by the height.

    Fractions are told by their size: nobody is seen in a picture of four pixels.
    """
    xy = points[..., :2]
    seen = xy[np.isfinite(points).all(axis=2) & (points[..., 2] > 0)]
    if not seen.size or np.median(np.abs(seen)) > _LARGEST_FRACTION:
        return xy
    if size is None:
        raise FitError(
            f"{place} gives points as fractions of the picture and not the picture's size; "
            "right is image_size=(width, height) in pixels."
        )
    if clip.family == OPENPOSE and seen.min() < 0:
        # It finds nothing beside the picture: these go from -1 to 1 (--keypoint_scale 4).
        xy = (xy + 1) / 2
    return xy * np.array(size, dtype=np.float64)


def _third_dimension(people: Sequence[Person]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """3D points and their confidences where any person has them, missing for the others."""
    if all(someone.points_3d is None for someone in people):
        return None, None
    blank = np.full((len(people[0].points), 4), np.nan)
    points = np.stack([blank if p.points_3d is None else p.points_3d for p in people])
    return points[..., :3], points[..., 3]


def _tracks(
    detections: Keypoints2D, identities: Sequence[int | str | None], clip: Clip, is_clip: bool
) -> np.ndarray:
    """[N] the track of each detection: the file's own identities where all have one, else by pose."""
    frames = detections.frame_numbers
    assert frames is not None
    if clip.pictures or not is_clip:
        return np.arange(len(detections))
    pairs = list(zip(frames.tolist(), identities, strict=True))
    if None not in identities and len(set(pairs)) == len(pairs):
        numbers = {name: i for i, name in enumerate(dict.fromkeys(identities))}
        return np.array([numbers[name] for name in identities])
    points, weights = _where_seen(detections)
    return link_people(points, weights, frames)


def _where_seen(detections: Keypoints2D) -> tuple[np.ndarray, np.ndarray]:
    """Points and confidences to match by: the picture's, or those in space where there is no picture."""
    if (
        detections.xyz is not None
        and detections.xyz_confidence is not None
        and not detections.confidence.any()
    ):
        return detections.xyz, detections.xyz_confidence
    return detections.xy, detections.confidence


def laid_out(
    detections: Keypoints2D, tracks: np.ndarray, numbers: np.ndarray, place: str, person: int | None
) -> list[Keypoints2D]:
    """One Keypoints2D a track, each over all frames from the first number to the last."""
    sizes = person_sizes(*_where_seen(detections))
    prominence = np.bincount(tracks, weights=sizes)
    ranking = np.argsort(-prominence, kind="stable")
    if person is not None:
        if not 0 <= person < len(ranking):
            raise FitError(
                f"{place} shows {len(ranking)} people; person is 0 to {len(ranking) - 1}, not {person}."
            )
        ranking = ranking[person : person + 1]
    frame_numbers = np.arange(numbers[0], numbers[-1] + 1)
    if len(ranking) * len(frame_numbers) * len(detections.format) * 3 > _MOST_NUMBERS:
        raise FitError(
            f"{place} shows {len(ranking)} people in {len(frame_numbers)} frames, too many to hold at once; "
            "right is one person at a time (person=0 is the most prominent), or a part of the file."
        )
    _log.info(
        "%s: %d people in %d frames, %s", place, len(prominence), len(frame_numbers), detections.format.name
    )
    return [_one(detections.frames(np.flatnonzero(tracks == t)), frame_numbers) for t in ranking]


def _one(seen: Keypoints2D, frame_numbers: np.ndarray) -> Keypoints2D:
    """A person's detections spread over all frames; the others are gaps."""
    assert seen.frame_numbers is not None
    rows = seen.frame_numbers - frame_numbers[0]

    def spread(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        full = np.zeros((len(frame_numbers), *values.shape[1:]))
        # Parts of a person that were detected apart have different keypoints, and missing ones are 0.
        np.add.at(full, rows, values)
        return full

    xy, confidence = spread(seen.xy), spread(seen.confidence)
    assert xy is not None and confidence is not None
    return Keypoints2D(
        xy,
        confidence,
        seen.format,
        seen.image_size,
        frame_numbers.copy(),
        spread(seen.xyz),
        spread(seen.xyz_confidence),
    )
