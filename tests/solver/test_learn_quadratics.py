"""Meta-training on quadratics in small; the shipped weights, on problems that they have never seen."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from lsr1_solver.errors import FitError
from lsr1_solver.learned_sr1 import load_learned_sr1
from lsr1_solver.minimizer import Adam, LeastSquares, Minimizer, State
from lsr1_solver.quasi_newton import LBFGS
from lsr1_solver.training.config import QuadraticsConfig, TrainingConfig
from lsr1_solver.training.learn_optimizer import OptimizerTraining
from lsr1_solver.training.learn_quadratics import QuadraticProblems, learn_quadratics
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.quadratics import random_quadratics
from tests.bench.functions import Rastrigin, Rosenbrock
from tests.bench.pictures import profile
from tests.bench.textbook import BFGS, GradientDescent
from tests.shared import REPOSITORY

WEIGHTS = REPOSITORY / "assets" / "lsr1_quadratics.npz"


def config(steps: int = 6, batch: int = 8, unroll: int = 5) -> TrainingConfig:
    usual = TrainingConfig(checkpoint_seconds=0.0)
    optimizer = replace(usual.quadratics.optimizer, steps=steps, batch=batch, unroll=unroll, warm_up=2)
    return replace(usual, quadratics=replace(usual.quadratics, dimensions=(2, 12), optimizer=optimizer))


def share_left(minimizer: Minimizer[State], dimension: int, steps: int, count: int = 12) -> np.ndarray:
    """Of fresh quadratics, the share of the start's energy left after some steps."""
    drawn = random_quadratics(np.random.default_rng([99, dimension]), dimension, count, QuadraticsConfig())
    objective = cast(LeastSquares, drawn)
    state = minimizer.init(objective, np.zeros((count, dimension)))
    start = state.energy
    for _ in range(steps):
        state = minimizer.step(objective, state)
    return state.energy / start


def test_a_quadratic_has_the_spectrum_that_was_asked_for() -> None:
    asked = QuadraticsConfig(condition=(100.0, 1000.0), largest=(2.0, 5.0))
    drawn = random_quadratics(np.random.default_rng(0), 7, 20, asked)
    eigenvalues = np.linalg.eigvalsh(drawn.matrix)
    condition = eigenvalues[:, -1] / eigenvalues[:, 0]
    assert np.all((eigenvalues[:, -1] > 2 - 1e-9) & (eigenvalues[:, -1] < 5 + 1e-9))
    assert np.all((condition > 99.9) & (condition < 1001))
    assert np.ptp(condition) > 100


@pytest.mark.parametrize("function", [Rosenbrock(), Rastrigin()], ids=lambda f: type(f).__name__)
def test_the_bench_functions_have_the_gradients_they_claim(function: Rosenbrock | Rastrigin) -> None:
    z, h = np.random.default_rng(0).uniform(-2, 2, size=(5, 6)), 1e-6
    _, gradient = function.energy_and_gradient(z)
    for i, e in enumerate(np.eye(6)):
        up, down = (function.energy_and_gradient(z + sign * h * e)[0] for sign in (1, -1))
        assert np.allclose((up - down) / (2 * h), gradient[:, i], rtol=1e-5, atol=1e-5)


def test_dense_bfgs_and_gradient_descent_solve_a_quadratic() -> None:
    with np.errstate(all="ignore"):  # a minimum met exactly
        assert np.all(share_left(BFGS(), 10, 100) < 1e-8)
    drawn = random_quadratics(np.random.default_rng([99, 10]), 10, 12, QuadraticsConfig())
    unit = 1 / np.linalg.norm(drawn.matrix, ord=2, axis=(1, 2))[:, None]
    shares = [share_left(GradientDescent(1.0, unit), 10, steps) for steps in (10, 100, 1000)]
    assert np.all(shares[1] < shares[0]) and np.all(shares[2] < 0.1)


def test_a_profile_counts_what_is_solved() -> None:
    needed = {"one": {"a": np.array([10.0, 20.0, np.inf]), "b": np.array([20.0, 10.0, np.inf])}}
    assert np.allclose(profile(needed, "a", np.array([1.0, 1.9, 2.0])), [1 / 3, 1 / 3, 2 / 3])


def test_an_interruption_changes_nothing(tmp_path: Path) -> None:
    asked = config()
    whole = learn_quadratics(asked, Processes(), tmp_path / "whole.npz", None)
    inner = replace(asked, optimizer=asked.quadratics.optimizer)
    part, resumed = (OptimizerTraining(QuadraticProblems(asked.quadratics), inner, Processes()) for _ in "ab")
    for _ in range(3):
        part.advance()
    torch.save(part.state(), tmp_path / "state.pt")
    resumed.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    while not resumed.done:
        resumed.advance()
    for name, weight in whole.weights.items():
        assert torch.equal(weight, resumed.weights[name]), name
    assert whole.weights["step"].abs().max() > 0


def test_what_is_saved_is_what_loads(tmp_path: Path) -> None:
    training = learn_quadratics(config(), Processes(), tmp_path / "w.npz", tmp_path / "checkpoint")
    loaded = load_learned_sr1(tmp_path / "w.npz")
    assert loaded.config == config().quadratics.optimizer.network
    for name, weight in training.weights.items():
        assert np.allclose(loaded.weights[name], weight.detach().numpy(), atol=1e-7)


def test_a_base_is_refused(tmp_path: Path) -> None:
    asked = config()
    network = replace(asked.quadratics.optimizer.network, base=2)
    optimizer = replace(asked.quadratics.optimizer, network=network)
    with pytest.raises(FitError, match="base"):
        learn_quadratics(
            replace(asked, quadratics=replace(asked.quadratics, optimizer=optimizer)),
            Processes(),
            tmp_path / "w.npz",
            None,
        )


@pytest.mark.parametrize("dimension", [3, 30, 120])
def test_the_shipped_weights_beat_first_order_methods_in_any_dimension(dimension: int) -> None:
    """120 is more than twice what they were trained on."""
    trained = replace(load_learned_sr1(WEIGHTS), tolerance=0.0)
    with np.errstate(all="ignore"):  # a minimum met exactly
        ours = share_left(trained, dimension, 20)
    drawn = random_quadratics(np.random.default_rng([99, dimension]), dimension, 12, QuadraticsConfig())
    unit = 1 / np.linalg.norm(drawn.matrix, ord=2, axis=(1, 2))[:, None]
    descent = share_left(GradientDescent(1.9, unit), dimension, 20)
    assert np.all(ours < descent)
    adam = min(np.median(share_left(Adam(rate), dimension, 20)) for rate in (0.03, 0.1, 0.3, 1.0))
    assert np.median(ours) < 0.2 * adam


def test_the_shipped_weights_beat_a_short_memory_in_high_dimensions() -> None:
    trained = replace(load_learned_sr1(WEIGHTS), tolerance=0.0)
    ours = share_left(trained, 200, 30, count=8)
    theirs = share_left(LBFGS(memory=4, tolerance=0.0), 200, 30, count=8)
    assert np.mean(np.log(ours)) < np.mean(np.log(theirs))
