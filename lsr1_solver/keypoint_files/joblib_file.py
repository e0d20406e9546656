"""Read the files that joblib writes, without joblib and without running anything that is in them.

joblib pickles an object and puts each numpy array's bytes right behind the pickle's description of it; the
whole may be compressed (joblib's ``numpy_pickle.py``). Names come from the table of ``pickle_nodes``, inert
stand-ins, and any other name is refused before it is looked up.
"""

from __future__ import annotations

import bz2
import lzma
import pickle
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import ClassVar, Protocol

import numpy as np

from ..errors import FitError
from ..pickle_nodes import ALLOWED_NAMES, ArrayNode

_LARGEST_FILE = 2**32
_DAMAGE = (
    pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, MemoryError, OverflowError,
    RecursionError, TypeError, ValueError, zlib.error, lzma.LZMAError, OSError, AssertionError, struct.error,
)  # fmt: skip


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /, max_length: int = ...) -> bytes: ...


_COMPRESSIONS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x78", zlib.decompressobj),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
    (b"\x5d\x00", lzma.LZMADecompressor),
)
MAGIC = (b"\x80", *(magic for magic, _ in _COMPRESSIONS))


class _StoredArray:
    """joblib's ``NumpyArrayWrapper``: what is known of an array before its bytes are read."""

    def __init__(self) -> None:
        self.state: dict[str, object] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise TypeError("an array without a description")
        self.state = state

    def read(self, file: BytesIO) -> np.ndarray:
        """The array from the bytes that follow."""
        dtype = getattr(self.state["dtype"], "dtype", None)
        shape, order = self.state["shape"], self.state["order"]
        if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(shape, tuple):
            raise TypeError("an array of something else than numbers")
        # Newer files pad the bytes to an address fit for memory maps and say by how much.
        if self.state.get("numpy_array_alignment_bytes") is not None:
            file.read(file.read(1)[0])
        count = int(np.prod([int(n) for n in shape], dtype=object)) if shape else 1
        data = file.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise EOFError("the bytes of an array are missing")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


_BUILD = pickle._Unpickler.dispatch[pickle.BUILD[0]]


class _Unpickler(pickle._Unpickler):  # the C version has no place to read between its instructions
    """Finds the names of the table and no other; reads an array's bytes after its description."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)
    stack: list[object]

    def __init__(self, file: BytesIO, source: str) -> None:
        super().__init__(file, encoding="latin1")
        self.file = file
        self.source = source

    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _StoredArray
        found = ALLOWED_NAMES.get((module, name))
        if found is None:
            raise FitError(
                f"{self.source} asks for {module}.{name}, which no file of poses needs. Loading it could "
                "run a program, so the file was refused and nothing in it was run."
            )
        return found

    def load_build(self) -> None:
        """The instruction that gives an object its state; a described array is then replaced by its data."""
        _BUILD(self)  # pyright: ignore[reportArgumentType] - typed for the C version
        described = self.stack[-1]
        if isinstance(described, _StoredArray):
            self.stack[-1] = described.read(self.file)

    dispatch[pickle.BUILD[0]] = load_build  # pyright: ignore[reportArgumentType] - typed for the C version


def load_joblib(data: bytes, source: str) -> object:
    """The object of a joblib file (or of a plain pickle); numpy scalars come as arrays without axes.

    ``source`` names the file in messages. Raises FitError where the pickle names anything but numpy arrays
    and plain containers, or is not whole.
    """
    try:
        return plain(_Unpickler(BytesIO(_decompressed(data)), source).load())
    except _DAMAGE as error:
        raise FitError(f"{source} is no whole joblib file ({error or type(error).__name__}).") from error


def _decompressed(data: bytes) -> bytes:
    make = next((make for magic, make in _COMPRESSIONS if data.startswith(magic)), None)
    if make is None:
        return data
    decompressor = make()
    content = decompressor.decompress(data, max_length=_LARGEST_FILE)
    if not decompressor.eof:
        raise EOFError("the compressed data break off, or are larger than 4 GB")
    return content


def plain(value: object, known: dict[int, object] | None = None) -> object:
    """``value`` with arrays in place of the stand-ins, in lists, tuples and dictionaries.

    ``known`` holds what was made plain: a small file may name one list a million times.
    """
    known = {} if known is None else known
    if id(value) not in known:
        known[id(value)] = _made_plain(value, known)
    return known[id(value)]


def _made_plain(value: object, known: dict[int, object]) -> object:
    if isinstance(value, ArrayNode):
        if value.array.dtype.kind != "O":
            return value.array
        items = [plain(item, known) for item in value.array.ravel().tolist()]
        return items[0] if value.array.ndim == 0 else items
    if isinstance(value, list):
        return [plain(v, known) for v in value]
    if isinstance(value, tuple):
        return tuple(plain(v, known) for v in value)
    if isinstance(value, dict):
        return {_key(key): plain(v, known) for key, v in value.items()}
    return value


def _key(key: object) -> object:
    """Numbers of numpy as keys are those of Python."""
    return key.array.item() if isinstance(key, ArrayNode) and key.array.size == 1 else key
