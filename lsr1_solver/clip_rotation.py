"""Rotation vectors and cross products of a clip, with the frames along the last axis.

Shapes: T frames, J joints; matrices are [J, 3, 3, T] by columns.
"""

from __future__ import annotations

import numpy as np

# The components that make each component of a cross product.
_AFTER, _BEFORE = (1, 2, 0), (2, 0, 1)
# Added to a squared angle, so that nothing is divided by zero.
_TINY = 1e-30


def sine_series(square: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``sin t / t``, ``(1 - cos t) / t^2`` and ``(t - sin t) / t^3`` of ``square`` = t^2, by half angles.

    The last one loses digits near zero, as many as the square of t that it is multiplied by makes up for.
    """
    square = square + square.dtype.type(_TINY)
    half = 0.5 * np.sqrt(square)
    ratio = np.sin(half) / half
    sine = ratio * np.cos(half)
    return sine, 0.5 * ratio * ratio, (1 - sine) / square


def exponential(omega: np.ndarray, sine: np.ndarray, versine: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: ``omega`` [J, 3, T] radians and its first two sines [J, T] -> [J, 3, 3, T].

    With the second and third of `sine_series` it is the left Jacobian.
    """
    scaled, turned = versine[:, None] * omega, sine[:, None] * omega
    E = scaled[:, :, None] * omega[:, None]
    identity = 1 - (E[:, 0, 0] + E[:, 1, 1] + E[:, 2, 2])
    for c, after, before in zip(range(3), _AFTER, _BEFORE, strict=True):
        E[:, c, c] += identity
        E[:, after, before] += turned[:, c]
        E[:, before, after] -= turned[:, c]
    return E


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross products of [J, 3, T] and [J, 3, T]."""
    out = np.empty_like(a)
    other = np.empty_like(a[:, 0])
    for c, after, before in zip(range(3), _AFTER, _BEFORE, strict=True):
        np.multiply(a[:, after], b[:, before], out=out[:, c])
        out[:, c] -= np.multiply(a[:, before], b[:, after], out=other)
    return out


def cross_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum over the four columns of their cross products: [J, 4, 3, T] each -> [J, 3, T]."""
    out = np.empty_like(a[:, 0])
    other = np.empty_like(out)
    for c, after, before in zip(range(3), _AFTER, _BEFORE, strict=True):
        np.einsum("jdt,jdt->jt", a[:, :, after], b[:, :, before], out=out[:, c])
        np.einsum("jdt,jdt->jt", a[:, :, before], b[:, :, after], out=other[:, c])
    out -= other
    return out
