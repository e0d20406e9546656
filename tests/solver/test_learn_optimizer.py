"""Meta-training in small: it learns, and an interruption changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr1_solver import load_body_model, load_initializer
from lsr1_solver.learned_sr1 import LearnedSR1, load_learned_sr1
from lsr1_solver.sr1_network import LearnedSR1Config
from lsr1_solver.training.config import TrainingConfig
from lsr1_solver.training.learn_optimizer import (
    OptimizerTraining,
    ProblemPool,
    problem_pool,
    save_optimizer,
    train_optimizer,
)
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.retarget import load_motions
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared("mocap")


def config(**changes: float | int | LearnedSR1Config) -> TrainingConfig:
    usual = TrainingConfig(checkpoint_seconds=0.0)
    small = {"steps": 12, "batch": 16, "unroll": 4, "warm_up": 2, **changes}
    return replace(usual, optimizer=replace(usual.optimizer, **small))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def pool() -> ProblemPool:
    torch.set_num_threads(1)
    motions = load_motions(SHARED / "mocap", rate=1.0, splits=("validation",), pattern="*49_0[12]*")
    return problem_pool(motions, load_body_model(), load_initializer(), seed=0, count=64)


def test_the_pool_is_what_the_initializer_leaves_to_do(pool: ProblemPool) -> None:
    energy, _ = pool.objective.energy_and_gradient(pool.objective.start())
    assert np.all(pool.least <= energy + 1e-9)
    assert np.median(energy / pool.least) > 1.2


def left_to_gain(pool: ProblemPool, training: OptimizerTraining) -> float:
    """Mean log of the energy above the least after three steps from the same bad starts."""
    weights = {name: w.detach().numpy().astype(float) for name, w in training.weights.items()}
    minimizer = LearnedSR1(weights, training.minimizer().config, tolerance=0.0)
    z = 0.7 * np.random.default_rng(5).normal(size=pool.objective.start().shape)
    state = minimizer.init(pool.objective, z)
    for _ in range(3):
        state = minimizer.step(pool.objective, state)
    return float(np.mean(np.log(np.maximum(state.energy / pool.least - 1, 0) + 1e-3)))


def test_training_learns(pool: ProblemPool) -> None:
    training = OptimizerTraining(pool, config(steps=80, bad_starts=1.0), Processes())
    untrained = left_to_gain(pool, training)
    while not training.done:
        training.advance()
    assert left_to_gain(pool, training) < untrained - 0.2


@pytest.mark.parametrize("secant", [0.0, 0.1])
def test_an_interruption_changes_nothing(pool: ProblemPool, tmp_path: Path, secant: float) -> None:
    asked = config(secant=secant)
    whole = train_optimizer(pool, asked, Processes(), None)
    part = OptimizerTraining(pool, asked, Processes())
    for _ in range(5):
        part.advance()
    resumed = OptimizerTraining(pool, asked, Processes())
    torch.save(part.state(), tmp_path / "state.pt")
    resumed.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    while not resumed.done:
        resumed.advance()
    for name, weight in whole.weights.items():
        assert torch.equal(weight, resumed.weights[name]), name
    assert any(w.abs().max() > 0 for name, w in whole.weights.items() if name == "step")


def test_what_is_saved_is_what_loads(pool: ProblemPool, tmp_path: Path) -> None:
    asked = config(network=LearnedSR1Config(base=1, hidden=8))
    training = train_optimizer(pool, asked, Processes(), tmp_path / "checkpoint")
    save_optimizer(tmp_path / "lsr1.npz", training, asked, 0.0)
    loaded = load_learned_sr1(tmp_path / "lsr1.npz")
    assert loaded.config == asked.optimizer.network
    for name, weight in training.weights.items():
        assert np.allclose(loaded.weights[name], weight.detach().numpy(), atol=1e-7)
