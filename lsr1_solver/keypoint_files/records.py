"""What a reader takes out of a file before people become tracks, and how it takes numbers.

Readers are strict about structure and lenient about numbers: null, NaN, Infinity and blanks mean "missing".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ..errors import FitError
from ..keypoint_formats import KeypointFormat

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"

# The identity of somebody in a layout that has room for one person.
ONLY_PERSON = 0
_LARGEST_PICTURE, _LARGEST_IDENTITY = 1_000_000, 2**53
_BLANKS = frozenset(("", "nan", "null", "none", "na", "n/a", "-", "--"))


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one frame.

    ``points`` [K, 3] x, y, confidence as the file gives them, NaN where it gives nothing; ``track`` the
    file's own identity of the person; ``points_3d`` [K, 4] x, y, z in metres and confidence.
    """

    points: np.ndarray
    place: str
    track: int | str | None = None
    points_3d: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """The people of one picture. ``label``: its number, or the name it takes its number from."""

    label: int | str | None
    people: tuple[Person, ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """What one file holds.

    ``formats`` the family's formats by number of keypoints; ``names`` the keypoints' names where the file
    lists them; ``pictures``: photos that have nothing to do with each other.
    """

    family: str
    frames: tuple[Frame, ...]
    formats: Mapping[int, KeypointFormat] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    pictures: bool = False

    def people(self) -> Iterator[Person]:
        """Everybody, frame by frame."""
        for frame in self.frames:
            yield from frame.people


def kind_of(value: Json) -> str:
    """A word for what ``value`` is, for error messages."""
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")


def a_list(value: Json, place: str) -> list[Json]:
    """``value`` itself. FitError where it is no list."""
    if not isinstance(value, list):
        raise FitError(f"{place} is {kind_of(value)}; a list is right.")
    return value


def an_object(value: Json, place: str) -> dict[str, Json]:
    """``value`` itself. FitError where it is no object."""
    if not isinstance(value, dict):
        raise FitError(f"{place} is {kind_of(value)}; an object with names is right.")
    return value


def number(value: Json, place: str) -> float:
    """A number, NaN for null and blanks. FitError for anything else."""
    if value is None:
        return np.nan
    if isinstance(value, str):
        if value.strip().lower() in _BLANKS:
            return np.nan
        try:
            return float(value)
        except ValueError:
            raise FitError(f"{place} holds {value[:40]!r}; a number is right.") from None
    if isinstance(value, (list, dict)):
        raise FitError(f"{place} holds {kind_of(value)}; a number is right.")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def numbers(value: Json, place: str) -> np.ndarray:
    """A flat list of numbers, NaN for null and blanks. FitError for any other structure."""
    values = a_list(value, place)
    try:
        flat = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        flat = None
    if flat is None or flat.ndim != 1:
        flat = np.array([number(v, f"{place}[{i}]") for i, v in enumerate(values)], dtype=np.float64)
    return flat


def triplets(value: Json, place: str) -> np.ndarray:
    """A flat list x, y, confidence, x, y, ... as [K, 3]. FitError where the count is no multiple of 3."""
    flat = numbers(value, place)
    if flat.size % 3:
        raise FitError(f"{place} has {flat.size} numbers; x, y, confidence for each point is right.")
    return flat.reshape(-1, 3)


def positive_size(width: Json, height: Json) -> tuple[int, int] | None:
    """Width and height in pixels, None where one of them is absent or senseless."""
    if not isinstance(width, (int, float)) or not isinstance(height, (int, float)):
        return None
    if not (1 <= width <= _LARGEST_PICTURE and 1 <= height <= _LARGEST_PICTURE):
        return None
    return int(width), int(height)


def track_id(value: Json) -> int | str | None:
    """A person's identity where the file gives one: detectors write -1, null or nothing where not."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return None
    if isinstance(value, str):
        return value or None
    if isinstance(value, list) or not 0 <= value <= _LARGEST_IDENTITY:
        return None
    return int(value)
