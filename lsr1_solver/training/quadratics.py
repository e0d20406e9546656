"""Random convex quadratics: the functions on which an optimizer's reach across dimensions is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, namespace
from .config import QuadraticsConfig


@dataclass(frozen=True, eq=False)
class Quadratics:
    """``(z - c)^T A (z - c) / 2``: ``matrix`` A [B, n, n], symmetric, positive, and ``centre`` c [B, n]."""

    matrix: Array
    centre: Array

    def energy_and_gradient(self, z: Array) -> tuple[Array, Array]:
        """``z`` [B, n] -> energies [B], zero at the least, and gradients [B, n]."""
        away = z - self.centre
        gradient = (self.matrix @ away[..., None])[..., 0]
        return 0.5 * namespace(z).sum(away * gradient, axis=-1), gradient


def random_quadratics(
    random: np.random.Generator, dimension: int, count: int, config: QuadraticsConfig
) -> Quadratics:
    """``count`` quadratics, turned at random, eigenvalues log-uniform, centres normal about zero.

    The largest eigenvalue and the condition number are log-uniform in the config's ranges; both ends of the
    spectrum are always there.
    """

    def log_uniform(low: float, high: float) -> np.ndarray:
        return np.exp(random.uniform(np.log(low), np.log(high), size=(count, 1)))

    largest, condition = log_uniform(*config.largest), log_uniform(*config.condition)
    share = random.uniform(size=(count, dimension))
    share[:, 0], share[:, -1] = 0.0, 1.0
    basis, _ = np.linalg.qr(random.normal(size=(count, dimension, dimension)))
    eigenvalues = largest * condition**-share
    matrix = (basis * eigenvalues[:, None]) @ np.swapaxes(basis, 1, 2)
    return Quadratics(matrix, random.normal(size=(count, dimension)))
