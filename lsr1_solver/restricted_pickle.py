"""Read the pickles that SMPL-format bodies come in, without running anything that is in them.

A pickle names callables and calls them; these files are downloads. Here every name that may occur maps to
an inert stand-in (``pickle_nodes``), so that a pickle reaches no live object of numpy, scipy or Python
beyond two containers; any other name is refused before it is looked up. chumpy's lazy expressions, in which
the official files store their arrays, are evaluated by a table of their few kinds.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from io import BytesIO

import numpy as np

from .errors import FitError
from .pickle_nodes import (
    ALLOWED_NAMES,
    ArrayNode,
    ChumpyAdd,
    ChumpyReshape,
    ChumpySelect,
    ChumpyTranspose,
    ChumpyValue,
    SparseColumns,
    SparseCoordinates,
    SparseNode,
    SparseRows,
)

# What a damaged or foreign stream raises inside the unpickler, beside our own refusals.
_DAMAGE = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError,
    OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip
_DEEPEST = 50
# A sparse matrix may claim any size; SMPL's regressors have 165,360 entries.
_LARGEST_MATRIX = 10**8


class _Unpickler(pickle.Unpickler):
    """Finds the names of the table and no other."""

    def __init__(self, data: bytes, source: str) -> None:
        super().__init__(BytesIO(data), encoding="latin1")
        self.source = source

    def find_class(self, module: str, name: str) -> type:
        found = ALLOWED_NAMES.get((module, name))
        if found is None:
            raise FitError(
                f"{self.source} asks for {module}.{name}, which no SMPL-format body needs. Loading it could "
                "run a program, so the file was refused and nothing in it was run. Use the file as it comes "
                "from smpl.is.tue.mpg.de, or an .npz."
            )
        return found


def load_restricted(data: bytes, source: str) -> object:
    """The object of a pickle, its arrays and expressions still as nodes for ``to_array``.

    ``source`` names the file in messages. Raises ``FitError`` where the pickle names anything but numpy
    arrays, sparse matrices, chumpy expressions and plain containers, or is no whole pickle.
    """
    try:
        return _Unpickler(data, source).load()
    except _DAMAGE as error:
        raise FitError(
            f"{source} is not a whole pickle ({error or type(error).__name__}): the download may be "
            "incomplete. An SMPL-format .pkl of about 20 to 250 MB is expected."
        ) from error


def to_array(value: object, place: str) -> np.ndarray:
    """The array that a value of a pickle stands for; sparse matrices become dense.

    ``place`` names the file and key in messages. Raises ``FitError`` where the value is no array.
    """
    try:
        return _evaluate(value, {}, _DEEPEST)
    except (
        AttributeError,
        IndexError,
        KeyError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise FitError(
            f"{place} is no array that can be read ({error or type(error).__name__}); "
            "an array, a sparse matrix or a chumpy.ch.Ch of one is expected."
        ) from error


def sparse_shape(value: object) -> tuple[int, ...] | None:
    """The shape that a sparse matrix claims, to be checked before it is made dense; None for others."""
    if not isinstance(value, SparseNode):
        return None
    shape = value.attributes.get("_shape", value.attributes.get("shape"))
    return tuple(int(n) for n in shape) if isinstance(shape, tuple) else None


def _evaluate(value: object, known: dict[int, np.ndarray], depth: int) -> np.ndarray:
    """``known`` holds what was evaluated: a node may occur many times in an expression."""
    if depth == 0:
        raise RecursionError(f"an expression more than {_DEEPEST} deep")
    if id(value) not in known:
        evaluator = _EVALUATORS.get(type(value))
        if evaluator is None:
            raise TypeError(f"a {type(value).__name__.lstrip('_')}")
        known[id(value)] = evaluator(value, lambda child: _evaluate(child, known, depth - 1))
    return known[id(value)]


_Recurse = Callable[[object], np.ndarray]


def _array(value: ArrayNode, recurse: _Recurse) -> np.ndarray:
    # An .npz keeps a sparse matrix as an array that holds one object.
    if value.array.dtype.kind == "O" and value.array.size == 1:
        return recurse(value.array.reshape(-1)[0])
    if value.array.dtype.kind == "O":
        raise TypeError("an array of objects")
    return value.array


def _select(node: ChumpySelect, recurse: _Recurse) -> np.ndarray:
    flat = recurse(node["a"]).ravel()
    return flat[recurse(node["idxs"])].reshape(_whole_numbers(node["preferred_shape"]))


def _transpose(node: ChumpyTranspose, recurse: _Recurse) -> np.ndarray:
    axes = node.attributes.get("axes")
    return np.ascontiguousarray(
        np.transpose(recurse(node["a"]), None if axes is None else _whole_numbers(axes))
    )


def _reshape(node: ChumpyReshape, recurse: _Recurse) -> np.ndarray:
    return recurse(node["a"]).reshape(_whole_numbers(node["newshape"]))


def _add(node: ChumpyAdd, recurse: _Recurse) -> np.ndarray:
    a, b = recurse(node["a"]), recurse(node["b"])
    # Free broadcasting could ask for more memory than the file has bytes.
    if a.shape != b.shape and a.size != 1 and b.size != 1:
        raise ValueError(f"a sum of arrays of shapes {a.shape} and {b.shape}")
    return a + b


def _compressed(node: SparseNode, recurse: _Recurse) -> np.ndarray:
    shape = _matrix_shape(node)
    dense_from = dense_from_rows if isinstance(node, SparseRows) else dense_from_columns
    return dense_from(shape, *(recurse(node[key]) for key in ("data", "indices", "indptr")))


def _matrix_shape(node: SparseNode) -> tuple[int, ...]:
    shape = sparse_shape(node)
    if shape is None or len(shape) != 2 or shape[0] * shape[1] > _LARGEST_MATRIX:
        raise ValueError(f"a sparse matrix of shape {shape}")
    return shape


def _coordinates(node: SparseCoordinates, recurse: _Recurse) -> np.ndarray:
    shape = _matrix_shape(node)
    coords = node.attributes.get("coords")
    rows, columns = coords if isinstance(coords, tuple) else (node["row"], node["col"])
    dense = np.zeros(shape)
    np.add.at(dense, (recurse(rows), recurse(columns)), recurse(node["data"]))
    return dense


def dense_from_columns(
    shape: tuple[int, ...], data: np.ndarray, indices: np.ndarray, indptr: np.ndarray
) -> np.ndarray:
    """A dense matrix of compressed sparse columns (scipy's csc). -> ``shape``; duplicate entries add up."""
    if len(shape) != 2 or indptr.shape != (shape[1] + 1,):
        raise ValueError(f"column pointers {indptr.shape} do not fit a matrix of shape {shape}")
    dense = np.zeros(shape)
    np.add.at(dense, (indices, np.repeat(np.arange(shape[1]), np.diff(indptr))), data)
    return dense


def dense_from_rows(
    shape: tuple[int, ...], data: np.ndarray, indices: np.ndarray, indptr: np.ndarray
) -> np.ndarray:
    """A dense matrix of compressed sparse rows (scipy's csr). -> ``shape``; duplicate entries add up."""
    return dense_from_columns(shape[::-1], data, indices, indptr).T


def _whole_numbers(value: object) -> tuple[int, ...]:
    if isinstance(value, ArrayNode):
        value = tuple(value.array.tolist())
    if isinstance(value, tuple | list) and all(isinstance(n, int) for n in value):
        return tuple(value)
    raise TypeError("a shape that is no tuple of whole numbers")


_EVALUATORS: dict[type, Callable[..., np.ndarray]] = {
    np.ndarray: lambda value, recurse: value,
    ArrayNode: _array,
    ChumpyValue: lambda node, recurse: recurse(node["x"]),
    ChumpySelect: _select,
    ChumpyTranspose: _transpose,
    ChumpyReshape: _reshape,
    ChumpyAdd: _add,
    SparseColumns: _compressed,
    SparseRows: _compressed,
    SparseCoordinates: _coordinates,
    int: lambda value, recurse: np.asarray(value),
    float: lambda value, recurse: np.asarray(value),
    list: lambda value, recurse: np.asarray(value, float),
}
