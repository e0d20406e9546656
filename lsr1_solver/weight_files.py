"""Reading what was learned: npz files that hold arrays and nothing that runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from .errors import FitError


def read_npz(path: Path, what: str) -> dict[str, np.ndarray]:
    """Every array of the file, by name; ``what`` it should be goes into the messages.

    Raises FitError where the file is missing, cut off, no npz, or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: np.asarray(file[key]) for key in file.files}
    except OSError as error:
        raise FitError(f"{path}: the {what} cannot be read: {error.strerror or error}") from error
    # What np.load raises for text, another zip, or a file that is cut off.
    except (ValueError, EOFError, AttributeError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise FitError(f"{path} is no {what}, or is damaged: {error}") from None
