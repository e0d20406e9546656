"""The array type of the solver: numpy for inference, torch for training and GPUs.

The kinematics, the objective and the optimizers are written once against the Python array API standard
(https://data-apis.org/array-api), so both libraries run the same lines.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import array_api_compat.numpy as compatible_numpy
import numpy as np
from array_api_compat import array_namespace

if TYPE_CHECKING:
    # To a type checker every array is numpy's: the standard has no static type of its own yet.
    Array: TypeAlias = np.ndarray
else:
    Array = object


def _numpy() -> ModuleType:
    """numpy as the standard has it, with the arrays' own methods for what is called most.

    numpy's functions of these names ask every argument first whether it knows better: with 220 calls, that
    is a twentieth of the fit of one pose.
    """
    quick = ModuleType("numpy by methods")
    # From version 2.1 on numpy speaks the standard itself, without the wrappers' microsecond a call.
    vars(quick).update(vars(np if hasattr(np, "unstack") else compatible_numpy))

    def matrix_transpose(x: np.ndarray) -> np.ndarray:
        return x.swapaxes(-1, -2)

    def total(
        x: np.ndarray, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
    ) -> np.ndarray:
        return np.add.reduce(x, axis=axis, keepdims=keepdims)

    methods = {"reshape": np.ndarray.reshape, "take": np.ndarray.take}
    vars(quick).update(methods, matrix_transpose=matrix_transpose, sum=total)
    return quick


_NUMPY = _numpy()


def namespace(array: Array) -> ModuleType:
    """The array library of ``array``; for numpy at once, since a fit of one pose asks a hundred times."""
    return _NUMPY if type(array) is np.ndarray else array_namespace(array)


def constant(values: np.ndarray, like: Array) -> Array:
    """A numpy constant in the library, precision and device of ``like``; indices stay integers."""
    dtype = like.dtype if values.dtype.kind == "f" else None
    if type(like) is np.ndarray:
        return values if dtype is None or dtype == values.dtype else values.astype(dtype)
    return array_namespace(like).asarray(values, dtype=dtype, device=device(like))


def device(array: Array) -> object:
    """Where the array lives; numpy before version 2, which Blender 4.2 has, doesn't say."""
    return "cpu" if type(array) is np.ndarray else array.device


def at_least(array: Array, bound: float) -> Array:
    """``max(array, bound)``; the standard's ``clip`` costs numpy twenty times as much on small arrays."""
    if type(array) is np.ndarray:
        return np.maximum(array, bound)
    return array_namespace(array).clip(array, bound, None)


def at_most(array: Array, bound: float) -> Array:
    """``min(array, bound)``."""
    if type(array) is np.ndarray:
        return np.minimum(array, bound)
    return array_namespace(array).clip(array, None, bound)
