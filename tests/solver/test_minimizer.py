"""A table of minimizers and problems."""

from dataclasses import dataclass

import numpy as np
import pytest

from lsr1_solver.gauss_newton import DenseFactor
from lsr1_solver.minimizer import Adam, LevenbergMarquardt, Minimizer, MinimizerState, State
from lsr1_solver.quasi_newton import LBFGS, SR1

MINIMIZERS = (LevenbergMarquardt(), LBFGS(tolerance=0), SR1(tolerance=0), Adam())


@dataclass(frozen=True, eq=False)
class LeastSquaresModel:
    """Residuals and their Jacobian, dense."""

    energy: np.ndarray
    gradient: np.ndarray
    J: np.ndarray

    def solve(self, damping: np.ndarray) -> np.ndarray:
        H = np.swapaxes(self.J, 1, 2) @ self.J + damping[:, None, None] * np.eye(self.J.shape[2])
        return -np.linalg.solve(H, self.gradient[..., None])[..., 0]

    def inverse_factor(self) -> DenseFactor:
        inverse = np.linalg.inv(np.linalg.cholesky(np.swapaxes(self.J, 1, 2) @ self.J))
        return DenseFactor(np.swapaxes(inverse, 1, 2))

    def where(self, mask: np.ndarray, other: "LeastSquaresModel") -> "LeastSquaresModel":
        return LeastSquaresModel(
            np.where(mask, self.energy, other.energy),
            np.where(mask[:, None], self.gradient, other.gradient),
            np.where(mask[:, None, None], self.J, other.J),
        )


@dataclass(frozen=True, eq=False)
class Quadratic:
    """``|M z - b|^2 / 2`` with condition numbers of a thousand and minima above zero."""

    M: np.ndarray
    b: np.ndarray

    def residual(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (self.M @ z[..., None])[..., 0] - self.b, self.M

    def minimum(self) -> np.ndarray:
        return np.stack([np.linalg.lstsq(M, b)[0] for M, b in zip(self.M, self.b, strict=True)])

    def linearize(self, z: np.ndarray) -> LeastSquaresModel:
        r, J = self.residual(z)
        return LeastSquaresModel(0.5 * np.sum(r * r, -1), (np.swapaxes(J, 1, 2) @ r[..., None])[..., 0], J)

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        model = self.linearize(z)
        return model.energy, model.gradient


class Rosenbrock(Quadratic):
    """Rosenbrock's valley in two dimensions, as a sum of squares."""

    def residual(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = z[:, 0], z[:, 1]
        r = np.stack([10 * (y - x * x), 1 - x], axis=-1)
        zero = np.zeros_like(x)
        J = np.stack([np.stack([-20 * x, zero + 10], -1), np.stack([zero - 1, zero], -1)], axis=1)
        return r, J


def quadratic(batch: int = 4, n: int = 12, seed: int = 0) -> Quadratic:
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(batch, n + 4, n)))
    return Quadratic(Q * np.geomspace(1, 30, n), rng.normal(size=(batch, n + 4)))


def rosenbrock() -> Rosenbrock:
    return Rosenbrock(np.zeros((3, 2, 2)), np.zeros((3, 2)))


def run(minimizer: Minimizer[State], problem: Quadratic, z: np.ndarray, steps: int) -> list[State]:
    states = [minimizer.init(problem, z)]
    for _ in range(steps):
        states.append(minimizer.step(problem, states[-1]))
    return states


@pytest.mark.parametrize("minimizer", MINIMIZERS, ids=lambda m: m.name)
def test_energies_never_rise(minimizer: Minimizer[MinimizerState]) -> None:
    states = run(minimizer, rosenbrock(), np.array([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]]), 60)
    energies = np.array([s.energy for s in states])
    assert np.all(np.diff(energies, axis=0) <= 0)
    assert np.array_equal(rosenbrock().energy_and_gradient(states[-1].z)[0], energies[-1])


@pytest.mark.parametrize("minimizer", MINIMIZERS[:3], ids=lambda m: m.name)
def test_rosenbrock_is_solved(minimizer: Minimizer[MinimizerState]) -> None:
    final = run(minimizer, rosenbrock(), np.array([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]]), 150)[-1]
    assert np.abs(final.z - 1).max() < 1e-3


@pytest.mark.parametrize("minimizer", MINIMIZERS, ids=lambda m: m.name)
def test_a_quadratic_is_solved(minimizer: Minimizer[MinimizerState]) -> None:
    problem = quadratic()
    final = run(minimizer, problem, np.zeros((4, 12)), 600 if minimizer.name == "adam" else 120)[-1]
    assert np.abs(final.z - problem.minimum()).max() < 1e-3


@pytest.mark.parametrize("kind", [LBFGS, SR1])
def test_curvature_helps(kind: type[LBFGS] | type[SR1]) -> None:
    problem = quadratic()
    least = problem.energy_and_gradient(problem.minimum())[0]
    with_memory = run(kind(), problem, np.zeros((4, 12)), 40)[-1].energy - least
    plain = run(kind(memory=1), problem, np.zeros((4, 12)), 40)[-1].energy - least
    assert with_memory.sum() < 0.1 * plain.sum()


@pytest.mark.parametrize("minimizer", MINIMIZERS, ids=lambda m: m.name)
def test_a_problem_does_not_feel_its_batch(minimizer: Minimizer[MinimizerState]) -> None:
    problem = quadratic()
    together = run(minimizer, problem, np.zeros((4, 12)), 30)[-1]
    for b in range(4):
        alone = run(minimizer, Quadratic(problem.M[b : b + 1], problem.b[b : b + 1]), np.zeros((1, 12)), 30)[
            -1
        ]
        assert np.allclose(alone.z, together.z[b], atol=1e-8)


@pytest.mark.parametrize("minimizer", MINIMIZERS, ids=lambda m: m.name)
def test_a_start_that_is_not_a_number_harms_nobody_else(minimizer: Minimizer[MinimizerState]) -> None:
    problem = quadratic()
    z = np.zeros((4, 12))
    z[1] = np.nan
    states = run(minimizer, problem, z, 30)
    clean = run(minimizer, problem, np.zeros((4, 12)), 30)
    others = [0, 2, 3]
    assert np.allclose(states[-1].z[others], clean[-1].z[others], atol=1e-8)
    assert np.all(np.isfinite(states[-1].energy[others]))


@pytest.mark.parametrize(
    "minimizer", [LevenbergMarquardt(1e-8), LBFGS(tolerance=1e-8), SR1(tolerance=1e-8)], ids=lambda m: m.name
)
def test_convergence_is_noticed(minimizer: Minimizer[MinimizerState]) -> None:
    final = run(minimizer, quadratic(), np.zeros((4, 12)), 200)[-1]
    assert np.all(final.converged)
    assert np.abs(final.z - quadratic().minimum()).max() < 1e-2


def test_sr1_keeps_the_secant_condition_and_a_positive_definite_matrix() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(12, 12))
    A = A @ A.T + np.eye(12)
    pairs = tuple((s[None], (s @ A)[None]) for s in rng.normal(size=(5, 12)))
    H = np.concatenate([SR1()._inverse_hessian(pairs, e[None]) for e in np.eye(12)])
    assert np.allclose(H, H.T)
    assert np.linalg.eigvalsh(H).min() > 0
    s, y = pairs[-1]
    assert np.allclose(y @ H, s)
