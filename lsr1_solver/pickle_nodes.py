"""The inert stand-ins for what the pickles of SMPL-format bodies name, and the table of the allowed names.

None of them reaches a live object of numpy, scipy or chumpy: arrays are made anew from their bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Never

import numpy as np

_PLAIN_KINDS = "biufcSU"


class _Sealed(type):
    """Classes that a pickle cannot change: its BUILD instruction may set attributes of what it names."""

    def __setattr__(cls, name: str, value: object) -> Never:
        raise TypeError(f"{cls.__name__} takes no attributes")


class _Named(metaclass=_Sealed):
    """A name that only occurs as an argument of another."""

    __slots__ = ()


class _Encode(metaclass=_Sealed):
    """``_codecs.encode``: how Python 3 writes bytes in protocol 2."""

    def __new__(cls, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes are encoded as latin1, not as {encoding!r}")
        return text.encode("latin1")


class _DefaultDict(dict[object, object], metaclass=_Sealed):
    """``collections.defaultdict``, without what it would call for a key that is missing."""

    __slots__ = ()

    def __init__(self, factory: object = None) -> None:
        super().__init__()


class _Dtype(metaclass=_Sealed):
    """``numpy.dtype``: a code such as ``f8``, and a byte order that comes as state."""

    __slots__ = ("dtype",)
    dtype: np.dtype

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        dtype = np.dtype(code) if isinstance(code, str) and "," not in code else None
        if dtype is None or dtype.kind not in _PLAIN_KINDS + "O":
            raise ValueError(f"{code!r} is not a plain number, text or object type")
        self.dtype = dtype

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        if not (isinstance(order, str) and order in "<>=|" and state[2] is None and state[3] is None):
            raise ValueError("the array's type has fields")
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")


class ArrayNode(metaclass=_Sealed):
    """An array; it is filled by its state: version, shape, type, Fortran order, data."""

    __slots__ = ("array",)
    array: np.ndarray

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, data = state
        order = "F" if fortran else "C"
        self.array = _array_of(data, dtype, shape, order)


class _Reconstruct(metaclass=_Sealed):
    """``numpy.core.multiarray._reconstruct``."""

    def __new__(cls, subtype: object, shape: object, code: object) -> ArrayNode:
        return ArrayNode()


class _FromBuffer(metaclass=_Sealed):
    """``numpy.core.numeric._frombuffer``: how protocol 5 writes arrays."""

    def __new__(cls, data: object, dtype: object, shape: object, order: object) -> ArrayNode:
        node = ArrayNode()
        node.array = _array_of(data, dtype, shape, "F" if order == "F" else "C")
        return node


class _Scalar(metaclass=_Sealed):
    """``numpy.core.multiarray.scalar``."""

    def __new__(cls, dtype: object, data: object = b"") -> ArrayNode:
        node = ArrayNode()
        node.array = _array_of(data, dtype, (), "C")
        return node


class StatefulNode(metaclass=_Sealed):
    """An object that is its attributes, which come as state."""

    attributes: Mapping[str, object] = MappingProxyType({})

    def __setstate__(self, state: dict[str, object]) -> None:
        self.attributes = dict(state)

    def __getitem__(self, name: str) -> object:
        return self.attributes[name]


class SparseNode(StatefulNode):
    """``scipy.sparse``'s compressed columns, compressed rows or coordinates."""


class SparseColumns(SparseNode):
    """``csc_matrix`` and ``csc_array``."""


class SparseRows(SparseNode):
    """``csr_matrix`` and ``csr_array``."""


class SparseCoordinates(SparseNode):
    """``coo_matrix`` and ``coo_array``."""


class _ChumpyNode(StatefulNode):
    """A node of a chumpy expression."""


class ChumpyValue(_ChumpyNode):
    """A leaf, the array ``x``."""


class ChumpySelect(_ChumpyNode):
    """``a.ravel()[idxs].reshape(preferred_shape)``."""


class ChumpyTranspose(_ChumpyNode):
    """``a.transpose(axes)``."""


class ChumpyReshape(_ChumpyNode):
    """``a.reshape(newshape)``."""


class ChumpyAdd(_ChumpyNode):
    """``a + b``."""


# https://numpy.org/doc/2.0/release/2.0.0-notes.html: numpy.core became numpy._core; scipy 1.8 did the same to
# scipy.sparse.csc. Python 2 called the module of the built-ins __builtin__.
ALLOWED_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Named,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _DefaultDict,
    ("__builtin__", "dict"): _Named,
    ("builtins", "dict"): _Named,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("chumpy.ch", "Ch"): ChumpyValue,
    ("chumpy.reordering", "Select"): ChumpySelect,
    ("chumpy.reordering", "transpose"): ChumpyTranspose,
    ("chumpy.reordering", "Reshape"): ChumpyReshape,
    ("chumpy.ch_ops", "add"): ChumpyAdd,
}
for _core in ("numpy.core", "numpy._core"):
    ALLOWED_NAMES[f"{_core}.multiarray", "_reconstruct"] = _Reconstruct
    ALLOWED_NAMES[f"{_core}.multiarray", "scalar"] = _Scalar
    ALLOWED_NAMES[f"{_core}.numeric", "_frombuffer"] = _FromBuffer
for _kind, _class in (("csc", SparseColumns), ("csr", SparseRows), ("coo", SparseCoordinates)):
    for _module in (f"scipy.sparse.{_kind}", f"scipy.sparse._{_kind}"):
        ALLOWED_NAMES[_module, f"{_kind}_matrix"] = _class
        ALLOWED_NAMES[_module, f"{_kind}_array"] = _class


def _array_of(data: object, dtype: object, shape: object, order: str) -> np.ndarray:
    """An own, native-endian array of raw bytes or, for objects, of a list."""
    if not (isinstance(dtype, _Dtype) and isinstance(shape, tuple)):
        raise TypeError("an array without a type or a shape")
    if dtype.dtype.kind == "O":
        if not isinstance(data, list) or len(data) != int(np.prod(shape)):
            raise ValueError("an array of objects of another length than its shape")
        flat = np.empty(len(data), object)
        for i, item in enumerate(data):
            flat[i] = item
        return flat.reshape(shape, order="F" if order == "F" else "C")
    # Python 2 wrote bytes as text.
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes | bytearray):
        raise TypeError("an array whose data are no bytes")
    if not raw:
        return np.zeros(shape if 0 in shape else (0,), dtype.dtype)
    array = np.frombuffer(raw, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(dtype.dtype.newbyteorder("="))
