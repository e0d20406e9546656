"""What the readers of motion files hand over: people in the file's axes, and what the kind of file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..body_model import JOINT_COUNT
from ..errors import FitError

Up = Literal["Z", "Y", "-Y"]
# From axes with this way up to the solver's: y up, a body at rest faces +z. "-Y" are the axes of OpenCV's
# cameras: y down, z away from the camera.
TURNS: Mapping[Up, np.ndarray] = {
    "Z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "Y": np.eye(3),
    "-Y": np.diag([1.0, -1.0, -1.0]),
}
# Whose shape components the betas are: SMPL's and its relatives', or those of the body that comes with the
# product, whose components mean something else.
SMPL_SHAPES, OPEN_SHAPES = "smpl", "open_body"
# SMPL-H's and SMPL-X's first joints are SMPL's root and the 21 joints of the body; hands and face follow.
SHARED_ROTATIONS = 22 * 3
_MOST_NUMBERS = 10**8
SMPL_ROTATIONS = JOINT_COUNT * 3


@dataclass(frozen=True, eq=False)
class Track:
    """One person of a file, in the file's axes, under SMPL's parameters.

    ``rotations`` [N, 24, 3] axis-angle, radians; ``trans`` [N, 3] metres; ``betas`` [N, S], components of
    ``shapes`` (S is 0: the file has no shape); ``numbers`` [N] the frames' numbers in the file, ascending.
    """

    name: str
    rotations: np.ndarray
    trans: np.ndarray
    betas: np.ndarray
    numbers: np.ndarray
    shapes: str = SMPL_SHAPES


@dataclass(frozen=True, eq=False)
class Space:
    """People in one set of axes. ``up_is_sure`` is False where files of the kind differ in their way up."""

    up: Up
    tracks: tuple[Track, ...]
    up_is_sure: bool = True


@dataclass(frozen=True, eq=False)
class Recording:
    """A motion file: people in the ``world``, before the ``camera``, or both; at least one of them.

    ``frame_rate`` in frames a second, None where the file does not say; ``usual_rate`` is then the likeliest.
    """

    family: str
    world: Space | None
    camera: Space | None
    frame_rate: float | None
    usual_rate: float = 30.0


def finite(value: object, place: str) -> np.ndarray:
    """An array of finite numbers in double precision. FitError that names the place for anything else."""
    array = None
    if _leaves(value, {}) <= _MOST_NUMBERS:
        try:
            array = np.asarray(value)
            array = array.astype(np.float64) if array.dtype.kind in "biufO" else None
        except (TypeError, ValueError):
            array = None
    if array is None or not np.isfinite(array).all():
        raise FitError(f"{place} should hold finite numbers.")
    return array


def _leaves(value: object, known: dict[int, int]) -> int:
    """How many values and lists nested lists hold: a small pickle can name one list any number of times."""
    if not isinstance(value, list | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = 1 + sum(_leaves(item, known) for item in value)
    return known[id(value)]


def numbers(value: object, place: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Finite numbers of this shape; None stands for any length, and axes of length 1 may be more or fewer.

    Raises FitError that names the place.
    """
    array = finite(value, place)
    fitted = _with_axes(array, shape)
    if fitted is None:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise FitError(f"{place} has the shape {array.shape}; it should be ({wanted}).")
    return fitted


def _with_axes(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """The array in this shape where only axes of length 1 are more or fewer."""
    have, wanted = ([n for n in axes if n != 1] for axes in (array.shape, shape))
    if None in wanted and len(have) < len(wanted):
        wanted.remove(None)
    same = len(have) == len(wanted) and all(n in (None, m) for n, m in zip(wanted, have, strict=True))
    if array.size == 0 or not same:
        return None
    known = int(np.prod([n for n in shape if n is not None], dtype=np.int64))
    return array.reshape([array.size // known if n is None else n for n in shape])


def rotations_of(poses: object, place: str, frames: int | None = None) -> np.ndarray:
    """SMPL's 24 rotations [N, 24, 3] of ``poses`` of SMPL, SMPL-H or SMPL-X, flat or a joint a row.

    SMPL's hand joints are those of the file where it is SMPL's (72 values a frame), else zero; fingers and
    face are dropped. Raises FitError where there are fewer than 22 rotations for each of the ``frames``.
    """
    found = finite(poses, place)
    width = int(np.prod(found.shape[1:], dtype=np.int64)) if found.ndim > 1 else 0
    if found.ndim < 2 or width < SHARED_ROTATIONS or (frames is not None and len(found) != frames):
        each = "each frame" if frames is None else f"each of the {frames} frames of trans"
        raise FitError(
            f"{place} has the shape {found.shape}; it should be ({frames or 'frames'}, 156), or at least "
            f"{SHARED_ROTATIONS} rotation values for {each}."
        )
    flat = found.reshape(len(found), width)
    rotations = np.zeros((len(flat), SMPL_ROTATIONS))
    kept = SMPL_ROTATIONS if width == SMPL_ROTATIONS else SHARED_ROTATIONS
    rotations[:, :kept] = flat[:, :kept]
    return rotations.reshape(-1, JOINT_COUNT, 3)


def betas_of(value: object, place: str, frames: int) -> np.ndarray:
    """Shape components [N, S], a row a frame, of one shape or of a shape a frame; S is 0 where ``value`` is
    None. FitError for others.
    """
    if value is None:
        return np.zeros((frames, 0))
    array = finite(value, place)
    if array.ndim == 2 and len(array) == frames:
        return numbers(array, place, (frames, array.shape[1]))
    return np.tile(numbers(array, place, (array.size,)), (frames, 1))
