"""Frames in their order and with their numbers, from the names of files and pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import FitError

_DIGITS = re.compile(r"(\d+)")
_PICTURE_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp|exr|jp2)$", re.IGNORECASE)
# Numbers further apart than this are the ids of photos and no frames of a clip.
_LARGEST_STEP = 30
_LONGEST_HOLE = 10_000
_LARGEST_NUMBER = 2**53


@dataclass(frozen=True, eq=False)
class Numbering:
    """``order`` [N] indices of the frames in time; ``numbers`` [N] their numbers in that order, ascending.

    ``is_clip`` is False for pictures whose numbers lie too far apart for frames; they are numbered from 0.
    """

    order: np.ndarray
    numbers: np.ndarray
    is_clip: bool = True


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which 9.jpg stands before 10.jpg."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part)) if i % 2 else (1, part) for i, part in enumerate(parts) if part)


def number_frames(labels: Sequence[int | str | None], place: str) -> Numbering:
    """Order frames by their labels: numbers as they are, names by natural sort, unlabelled ones as listed.

    A name's frame number is the group of digits that varies from name to name (``test1_004`` is frame 4);
    of a single name, the digits at its end. Raises FitError where the names belong to several clips.
    """
    named = [label for label in labels if isinstance(label, str)]
    if named and len(named) == len(labels):
        stems = [_PICTURE_SUFFIX.sub("", name) for name in named]
        values = varying_numbers(stems)
        if values is None:
            _refuse_several_clips(stems, place)
            by_name = sorted(range(len(stems)), key=lambda i: natural_key(stems[i]))
            return Numbering(np.array(by_name), np.arange(len(stems)))
    else:
        values = [label if isinstance(label, int) else i for i, label in enumerate(labels)]
    order = [i for _, i in sorted((value, i) for i, value in enumerate(values))]
    values = [values[i] for i in order]
    if _far_apart(values):
        # Pictures taken at a steady pace are a clip all the same: their names are times.
        return Numbering(np.array(order), np.arange(len(order)), is_clip=_steady(values))
    return Numbering(np.array(order, dtype=np.int64), np.array(values, dtype=np.int64))


def varying_numbers(stems: Sequence[str]) -> list[int] | None:
    """The frame number of each stem, None where the stems don't count frames of one clip."""
    if len(stems) == 1:
        end = re.search(r"\d+$", stems[0])
        return [int(end[0]) if end else 0]
    split = [_DIGITS.split(stem) for stem in stems]
    if len({tuple(parts[::2]) for parts in split}) > 1:
        return None
    groups = zip(*(map(int, parts[1::2]) for parts in split), strict=True)
    counting = [group for group in groups if len(set(group)) == len(stems)]
    # Where several groups count (a time stamp beside a number), frames are those that lie closest together.
    closest = min(reversed(counting), key=lambda group: max(group) - min(group), default=None)
    return None if closest is None else list(closest)


def _far_apart(values: Sequence[int]) -> bool:
    """Whether numbers in ascending order are no frame numbers."""
    if not values or values[-1] > _LARGEST_NUMBER:
        return bool(values)
    steps = sorted(b - a for a, b in pairwise(values))
    longest = _LONGEST_HOLE + 100 * len(values)
    return bool(steps) and (steps[len(steps) // 2] > _LARGEST_STEP or values[-1] - values[0] > longest)


def _steady(values: Sequence[int]) -> bool:
    steps = sorted(b - a for a, b in pairwise(values))
    return len(steps) > 1 and 0 < steps[-1] <= 2 * steps[0]


def _refuse_several_clips(stems: Sequence[str], place: str) -> None:
    """FitError where frame numbers occur more than once under different names."""
    ends = [re.search(r"^(.*?)(\d+)$", stem, re.DOTALL) for stem in stems]
    known = [(end[1], int(end[2])) for end in ends if end]
    if len({number for _, number in known}) < len(known):
        clips = sorted({prefix for prefix, _ in known}, key=natural_key)
        some = ", ".join(clips[:4])
        raise FitError(
            f"{place} holds frames of {len(clips)} clips (such as {some}); right is one clip at a time."
        )
