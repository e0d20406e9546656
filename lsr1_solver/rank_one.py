"""A symmetric positive matrix as a multiple of the identity plus signed rank-one terms, never formed.

``H = gamma I + sum sign v v^T``, with its inverse kept beside it by Sherman and Morrison's formula.
"""

from __future__ import annotations

from dataclasses import dataclass

from .arrays import Array, namespace

# A curvature p.q this small beside |p||q| says nothing (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-8


@dataclass(frozen=True, eq=False)
class Update:
    """One rank-one update ``H <- H + sign v v^T``, and what it does to the inverse, ``- weight b b^T``.

    ``sign`` and ``weight`` [B, 1]; ``v`` and ``b = H^-1 v`` [B, n]. By Sherman and Morrison's formula
    ``weight = sign / (1 + sign v.b)``.
    """

    sign: Array
    v: Array
    weight: Array
    b: Array


def dot(a: Array, b: Array) -> Array:
    """[B, n] twice -> [B, 1]."""
    return (a[:, None] @ b[..., None])[..., 0]


def multiply(gamma: Array, updates: tuple[Update, ...], u: Array) -> Array:
    """``H u``, never forming the matrix."""
    result = gamma * u
    for update in updates:
        result = result + update.sign * update.v * dot(update.v, u)
    return result


def multiply_inverse(gamma: Array, updates: tuple[Update, ...], u: Array) -> Array:
    """``H^-1 u``."""
    result = u / gamma
    for update in updates:
        result = result - update.weight * update.b * dot(update.b, u)
    return result


def inverse_root(product: Array, aa: Array, bb: Array) -> Array:
    """``1 / sqrt |a.b|`` [B, 1] of known products a.b, a.a and b.b; 0 where the first is as good as 0."""
    xp = namespace(product)
    size = xp.abs(product)
    valid = size > DEGENERATE * (xp.sqrt(aa) * xp.sqrt(bb))
    return xp.where(valid, 1 / xp.sqrt(xp.where(valid, size, xp.ones_like(size))), xp.zeros_like(size))
