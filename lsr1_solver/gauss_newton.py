"""The Gauss-Newton model of a sum of squares by its Jacobian, and the square root of its inverse matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arrays import Array, device, namespace
from .minimizer import choose

# Matrices up to this size are inverted by LAPACK.
SMALL = 14


class _Deferred:
    """An array that is worked out when it is first asked for; what it is made of is then let go."""

    def __init__(self, find: Callable[[], Array]) -> None:
        self._find: Callable[[], Array] | None = find
        self._found: Array | None = None

    def __call__(self) -> Array:
        if self._find is not None:
            self._found, self._find = self._find(), None
        assert self._found is not None
        return self._found


class Linearization:
    """The Gauss-Newton model of B energies about a point, its matrix ``w I + J^T J``.

    ``energy`` [B], ``gradient`` [B, n] and ``jacobian`` J [B, m, n]. The latter two are worked out when they
    are first asked for: a point that is not kept, or where a fit ends, needs neither.
    """

    def __init__(
        self, energy: Array, prior_weight: float, gradient: Callable[[], Array], jacobian: Callable[[], Array]
    ) -> None:
        """``gradient`` and ``jacobian`` work these out; they are called once at most."""
        self.energy, self.prior_weight = energy, prior_weight
        self._gradient, self._jacobian = _Deferred(gradient), _Deferred(jacobian)

    @property
    def gradient(self) -> Array:
        """[B, n]."""
        return self._gradient()

    @property
    def jacobian(self) -> Array:
        """J [B, m, n]."""
        return self._jacobian()

    def where(self, mask: Array, other: Linearization) -> Linearization:
        """This one for the problems of ``mask`` [B], the other for the rest."""
        return Linearization(
            choose(mask, self.energy, other.energy),
            self.prior_weight,
            lambda: choose(mask, self.gradient, other.gradient),
            lambda: choose(mask, self.jacobian, other.jacobian),
        )

    def select(self, index: np.ndarray) -> Linearization:
        """That of some of the problems."""
        return Linearization(
            self.energy[index], self.prior_weight, lambda: self.gradient[index], lambda: self.jacobian[index]
        )

    def inverse_factor(self) -> DenseFactor | LowRankFactor:
        """``S`` with ``S S^T = (w I + J^T J)^-1``, by one Cholesky factor of the smaller Gram matrix.

        With ``w I + J J^T = L L^T``: ``S = (I - J^T (L L^T + sqrt(w) L^T)^-1 J) / sqrt(w)``. A prior weight
        of zero is taken as one hundredth: J alone need not have full rank.
        """
        J = self.jacobian
        xp = namespace(J)
        m, n = J.shape[1:]
        w = max(self.prior_weight, 0.01)
        transposed = xp.matrix_transpose(J)
        eye = xp.eye(min(m, n), dtype=J.dtype, device=device(J))
        if m >= n:  # (C C^T)^-1 = C^-T C^-1
            C = xp.linalg.cholesky(w * eye + transposed @ J)
            return DenseFactor(xp.matrix_transpose(xp.linalg.inv(C)))
        gram = w * eye + J @ transposed
        inner = _inverse(gram + w**0.5 * xp.matrix_transpose(xp.linalg.cholesky(gram)))
        return LowRankFactor(J, inner, w**0.5)

    def solve(self, damping: Array) -> Array:
        """The step ``-(J^T J + (w + damping) I)^-1 gradient``, [B, n], by the smaller of the two systems.

        ``damping`` [B] > 0. With fewer rows than unknowns (m < n) the identity
        ``(c I + J^T J)^-1 = (I - J^T (c I + J J^T)^-1 J) / c`` needs an m x m solve only.
        """
        J = self.jacobian
        xp = namespace(J)
        m, n = J.shape[1:]
        transposed = xp.matrix_transpose(J)
        c = (self.prior_weight + damping)[:, None, None]
        g = self.gradient[..., None]
        eye = xp.eye(min(m, n), dtype=g.dtype, device=device(g))
        if m >= n:
            return -xp.linalg.solve(c * eye + transposed @ J, g)[..., 0]
        inner = xp.linalg.solve(c * eye + J @ transposed, J @ g)
        return -((g - transposed @ inner) / c)[..., 0]


def _inverse(M: Array) -> Array:
    """The inverses of matrices [B, m, m] that have positive pivots, by halves.

    Products of blocks take a batch a third of the time of a general inverse.
    """
    xp = namespace(M)
    size = M.shape[-1]
    if M.shape[0] == 1 or size <= SMALL:
        return xp.linalg.inv(M)
    half = size // 2
    A, B, C, D = M[:, :half, :half], M[:, :half, half:], M[:, half:, :half], M[:, half:, half:]
    inverse = _inverse(A)
    left, right = C @ inverse, inverse @ B
    rest = _inverse(D - C @ right)
    across = -rest @ left
    above = xp.concat([inverse - right @ across, -right @ rest], axis=-1)
    return xp.concat([above, xp.concat([across, rest], axis=-1)], axis=-2)


@dataclass(frozen=True, eq=False)
class DenseFactor:
    """A factor as a matrix, ``S`` [B, n, n]."""

    S: Array

    def times(self, u: Array) -> Array:
        """``S u``; ``u`` [B, n]."""
        return (self.S @ u[..., None])[..., 0]

    def transposed_times(self, u: Array) -> Array:
        """``S^T u``; ``u`` [B, n]."""
        return (u[:, None, :] @ self.S)[:, 0]


@dataclass(frozen=True, eq=False)
class LowRankFactor:
    """A factor ``S = (I - J^T M J) / root`` by its parts: ``J`` [B, m, n], ``inner`` M [B, m, m], m < n."""

    J: Array
    inner: Array
    root: float

    def times(self, u: Array) -> Array:
        """``S u``; ``u`` [B, n]."""
        v = self.inner @ (self.J @ u[..., None])
        return (u - (namespace(u).matrix_transpose(self.J) @ v)[..., 0]) / self.root

    def transposed_times(self, u: Array) -> Array:
        """``S^T u``; ``u`` [B, n]."""
        v = namespace(u).matrix_transpose(self.inner) @ (self.J @ u[..., None])
        return (u - (namespace(u).matrix_transpose(self.J) @ v)[..., 0]) / self.root
