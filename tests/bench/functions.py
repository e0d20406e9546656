"""Functions with known minima, many of a kind at once: what optimizers are compared on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from lsr1_solver.minimizer import Energy
from lsr1_solver.training.config import QuadraticsConfig
from lsr1_solver.training.quadratics import random_quadratics


class Rosenbrock:
    """Rosenbrock's valley in n dimensions, curved and narrow; the minimum is zero at (1, ..., 1)."""

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        off, short = z[:, 1:] - z[:, :-1] ** 2, 1 - z[:, :-1]
        gradient = np.zeros_like(z)
        gradient[:, 1:] = 200 * off
        gradient[:, :-1] -= 400 * off * z[:, :-1] + 2 * short
        return np.sum(100 * off**2 + short**2, axis=1), gradient


class Rastrigin:
    """A bowl with a hollow at every whole number; the minimum is zero at zero."""

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy = np.sum(10 + z**2 - 10 * np.cos(2 * np.pi * z), axis=1)
        return energy, 2 * z + 20 * np.pi * np.sin(2 * np.pi * z)


@dataclass(frozen=True, eq=False)
class Sample:
    """B functions whose minima are zero, starts [B, n], and what a gradient step is measured in [B, 1].

    The unit is one over the largest curvature where that is known, which is more than the others are told.
    """

    objective: Energy
    start: np.ndarray
    unit: np.ndarray


@dataclass(frozen=True)
class ProblemClass:
    """How to draw problems of a kind, and how many make a full or a quick run."""

    draw: Callable[[np.random.Generator, int], Sample]
    count: int
    quick: int


def _quadratics(dimension: int, random: np.random.Generator, count: int) -> Sample:
    drawn = random_quadratics(random, dimension, count, QuadraticsConfig())
    steepest = np.linalg.norm(drawn.matrix, ord=2, axis=(1, 2))
    return Sample(drawn, np.zeros((count, dimension)), 1 / steepest[:, None])


def _in_a_box(
    function: type[Rosenbrock] | type[Rastrigin],
    reach: float,
    dimension: int,
    random: np.random.Generator,
    count: int,
) -> Sample:
    start = random.uniform(-reach, reach, size=(count, dimension))
    return Sample(function(), start, np.ones((count, 1)))


# Starts as is usual for them: Rosenbrock's within 2 of zero, Rastrigin's within 5.12.
CLASSES: Mapping[str, ProblemClass] = {
    "quadratic 2": ProblemClass(partial(_quadratics, 2), 200, 40),
    "quadratic 10": ProblemClass(partial(_quadratics, 10), 200, 40),
    "quadratic 50": ProblemClass(partial(_quadratics, 50), 100, 20),
    "quadratic 200": ProblemClass(partial(_quadratics, 200), 40, 8),
    "quadratic 500": ProblemClass(partial(_quadratics, 500), 16, 2),
    "Rosenbrock 2": ProblemClass(partial(_in_a_box, Rosenbrock, 2.0, 2), 200, 40),
    "Rosenbrock 10": ProblemClass(partial(_in_a_box, Rosenbrock, 2.0, 10), 200, 40),
    "Rastrigin 2": ProblemClass(partial(_in_a_box, Rastrigin, 5.12, 2), 200, 40),
    "Rastrigin 10": ProblemClass(partial(_in_a_box, Rastrigin, 5.12, 10), 200, 40),
}
