"""Read the files that ``torch.save`` writes, without torch and without running anything that is in them.

Since torch 1.6 they are zip archives that compress nothing: a pickle, ``data.pkl``, in which tensors are
references into files of raw numbers, ``data/0`` and so on (torch's ``serialization.py`` and ``_utils.py``).
Names in the pickle come from tables of inert stand-ins; any other name is refused before it is looked up.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from io import BytesIO
from typing import ClassVar

import numpy as np

from ..errors import FitError
from ..keypoint_files.joblib_file import plain
from ..pickle_nodes import ALLOWED_NAMES

MAGIC = b"PK\x03\x04"
_LARGEST_TENSOR = 10**9
_DAMAGE = (
    pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, MemoryError, NotImplementedError,
    OSError, OverflowError, RecursionError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
# bfloat16 is the upper half of float32: numpy has no such type.
_BFLOAT16 = "bfloat16"
_STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": _BFLOAT16,
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip


class _Token:
    """What a name stands for that only occurs as an argument; it can be called, and is then nothing."""

    __slots__ = ("code",)

    def __init__(self, code: str = "") -> None:
        self.code = code

    def __call__(self, *arguments: object) -> None:
        return None


class _Storage:
    """Raw numbers of an archive."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def _tensor(storage: object, offset: object, size: object, stride: object, *rest: object) -> np.ndarray:
    """``torch._utils._rebuild_tensor_v2``: a view of a storage, checked before it is taken, and copied."""
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor without numbers")
    offset, size, stride = _whole((offset,))[0], _whole(size), _whole(stride)
    if len(size) != len(stride) or int(np.prod(size, dtype=object)) > _LARGEST_TENSOR:
        raise ValueError(f"a tensor of the size {size} with the strides {stride}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 in size:
        return np.zeros(size, storage.array.dtype)
    if last >= storage.array.size:
        raise ValueError("a tensor that reaches beyond its numbers")
    steps = [step * storage.array.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage.array[offset:], size, steps, writeable=False).copy()


def _parameter(data: object, *rest: object) -> object:
    """``torch._utils._rebuild_parameter``."""
    return data


def _size(numbers: object = ()) -> tuple[int, ...]:
    """``torch.Size``."""
    return _whole(numbers)


def _whole(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or not all(isinstance(n, int) and n >= 0 for n in values):
        raise TypeError("a shape that is no tuple of whole numbers")
    return tuple(values)


_NAMES: dict[tuple[str, str], object] = {
    **ALLOWED_NAMES,
    **{("torch", name): _Token(code) for name, code in _STORAGES.items()},
    **{
        ("torch", name): _Token()
        for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool", "device")
    },
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _size,
}


class _Unpickler(pickle.Unpickler):
    """Finds the names of the table and no other, and storages in the archive."""

    _types: ClassVar[dict[str, np.dtype]] = {code: np.dtype("u2" if code == _BFLOAT16 else code) for code in
        _STORAGES.values()}  # fmt: skip

    def __init__(self, archive: zipfile.ZipFile, root: str, source: str) -> None:
        super().__init__(BytesIO(_member(archive, f"{root}/data.pkl")))
        self.archive, self.root, self.source = archive, root, source
        self.known: dict[str, _Storage] = {}
        order = f"{root}/byteorder"
        self.big = order in archive.namelist() and _member(archive, order).strip() == b"big"

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _NAMES:
            raise FitError(
                f"{self.source} asks for {module}.{name}, which no file of poses needs. Loading it could "
                "run a program, so the file was refused and nothing in it was run."
            )
        return _NAMES[module, name]

    def persistent_load(self, pid: object) -> _Storage:
        """The numbers ("storage", type, key, device, count) of the archive; the device does not matter."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and isinstance(pid[1], _Token) and pid[1].code):
            raise TypeError(f"a reference that is no storage: {pid!r}")
        key = str(pid[2])
        if key not in self.known:
            dtype = self._types[pid[1].code].newbyteorder(">" if self.big else "<")
            numbers = np.frombuffer(_member(self.archive, f"{self.root}/data/{key}"), dtype)
            if pid[1].code == _BFLOAT16:
                numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
            self.known[key] = _Storage(numbers.astype(numbers.dtype.newbyteorder("=")))
        return self.known[key]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive; torch stores them as they are, so none can be larger than the archive."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, as torch's files never are")
    return archive.read(info)


def load_torch(data: bytes, source: str) -> object:
    """The object of a ``torch.save`` file, its tensors as numpy arrays.

    ``source`` names the file in messages. Raises FitError where the pickle names anything but tensors, numpy
    arrays and plain containers, or the file is not whole or of torch before 1.6.
    """
    if not data.startswith(MAGIC):
        raise FitError(
            f"{source} is no torch file of version 1.6 or newer: load it with torch and save it again."
        )
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            pickles = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ValueError("it has no data.pkl")
            return plain(_Unpickler(archive, pickles[0].split("/")[0], source).load())
    except _DAMAGE as error:
        raise FitError(f"{source} is no whole torch file ({error or type(error).__name__}).") from error
