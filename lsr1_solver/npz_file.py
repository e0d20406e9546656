"""Read numpy's ``.npz`` archives without believing what they claim: sizes are checked, nothing is run."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Collection
from typing import IO

import numpy as np

from .errors import FitError

# The largest motion or body is a few hundred MB; a small file may unpack to any size.
_LARGEST_ARCHIVE = 2**32
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def load_npz(
    file: IO[bytes],
    name: str,
    load_object: Callable[[bytes, str], object],
    keys: Collection[str] | None = None,
) -> dict[str, object]:
    """The arrays of an ``.npz`` by their keys, or of those of the ``keys`` that it has.

    ``name`` names the file in messages. What is stored as an object is a pickle: its bytes and its place go
    to ``load_object``. Raises ``FitError`` where the archive is damaged or unpacks to more than 4 GB, and
    what ``load_object`` raises.
    """
    values: dict[str, object] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            wanted = {m.filename.removesuffix(".npy"): m for m in members}
            if keys is not None:
                wanted = {key: member for key, member in wanted.items() if key in keys}
            if sum(member.file_size for member in wanted.values()) > _LARGEST_ARCHIVE:
                raise ValueError("it unpacks to more than 4 GB")
            for key, member in wanted.items():
                with archive.open(member) as stream:
                    values[key] = _read_npy(stream, f"{name}: {key}", load_object)
    except (
        EOFError, MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError, SyntaxError,
        TypeError, ValueError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise FitError(f"{name} is no whole .npz file ({error}): download or save it again.") from error
    return values


def _read_npy(stream: IO[bytes], place: str, load_object: Callable[[bytes, str], object]) -> object:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{place} is of .npy version {version}")
    shape, fortran, dtype = _HEADERS[version](stream)
    raw = stream.read()
    if dtype.hasobject:
        return load_object(raw, place)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
