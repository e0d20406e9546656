"""Files of what was learned: npz that holds arrays, JSON about them, and nothing that runs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from .errors import FitError
from .whole_file import write_whole

Described = TypeVar("Described")
Shapes = Mapping[str, tuple[int, ...]]


def read_npz(path: Path, what: str) -> dict[str, np.ndarray]:
    """Every array of the file, by name; ``what`` it should be goes into the messages.

    Raises FitError where the file is missing, cut off, no npz, or holds pickled objects.
    """
    try:
        # Opened here: numpy leaves a damaged file open, which nobody could then replace on Windows.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {key: np.asarray(file[key]) for key in file.files}
    except OSError as error:
        raise FitError(f"{path}: the {what} cannot be read: {error.strerror or error}") from error
    # What np.load raises for text, another zip, or a file that is cut off.
    except (ValueError, EOFError, AttributeError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise FitError(f"{path} is no {what}, or is damaged: {error}") from None


def read_arrays(path: Path, what: str, shapes: Shapes) -> dict[str, np.ndarray]:
    """The named arrays of the file in double precision, finite and of these shapes.

    Raises FitError, also where `read_npz` does.
    """
    return _checked(path, what, read_npz(path, what), shapes)


def read_weights(
    path: Path, what: str, describe: Callable[[dict], Described], shapes: Callable[[Described], Shapes]
) -> tuple[Described, dict[str, np.ndarray]]:
    """What the metadata describe, and the weights of the shapes that follow from it, in double precision.

    Raises FitError, also where ``describe`` does not find what it looks for.
    """
    arrays = read_npz(path, what)
    try:
        described = describe(json.loads(str(arrays["metadata"])))
        named = shapes(described)
    except (KeyError, ValueError, TypeError) as error:
        raise FitError(f"{path} is no {what}: its metadata does not describe one ({error})") from None
    return described, _checked(path, what, arrays, named)


def write_arrays(path: Path, metadata: Mapping[str, object], arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays, and in JSON what they are and where they come from."""
    described = np.array(json.dumps(metadata))
    # Ignored: the arrays' names are none of savez's own.
    write_whole(path, lambda file: np.savez(file, metadata=described, **arrays))  # pyright: ignore[reportArgumentType]


def _checked(
    path: Path, what: str, arrays: Mapping[str, np.ndarray], shapes: Shapes
) -> dict[str, np.ndarray]:
    missing = [key for key in shapes if key not in arrays]
    if missing:
        raise FitError(f"{path} is no {what}: it lacks {missing[0]!r}; {' and '.join(shapes)} are needed")
    for key, shape in shapes.items():
        if arrays[key].dtype.kind not in "fiu":
            raise FitError(f"{path} is no {what}: {key} must hold numbers")
        if arrays[key].shape != shape or not np.isfinite(arrays[key]).all():
            raise FitError(f"{path}: {key} must be finite numbers of shape {list(shape)}")
    return {key: arrays[key].astype(np.float64) for key in shapes}


def check_covariance(path: Path, name: str, covariance: np.ndarray) -> None:
    """Raises FitError where the file's ``covariance`` is none."""
    if np.abs(covariance - covariance.T).max() > 1e-6 or np.linalg.eigvalsh(covariance)[0] <= 0:
        raise FitError(f"{path}: {name} must be symmetric and positive definite")
