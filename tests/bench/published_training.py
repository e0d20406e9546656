"""Training of the published baselines, by their authors' recipes, on the problems that train our L-SR1.

Supervised with the captured pose along the whole trajectory: L1 of rotations and shape, and of 3D and 2D
points with the weights 2, 4, 8 toward the limbs' ends. LGD's gradient flows through all its steps, L-SR1's
steps are detached from one another and carry the secant penalty |p - H q|^2.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from lsr1_solver import Camera, FitProblem, keypoints_2d, load_body_model, load_initializer
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.kinematics import BETAS_START, PELVIS, ROTATION_SIZE
from lsr1_solver.learned_sr1 import LEARNED_SR1
from lsr1_solver.objective import Objective
from lsr1_solver.starts import initializer_start
from lsr1_solver.training.config import TrainingConfig, changed
from lsr1_solver.training.learn_optimizer import (
    ProblemPool,
    in_torch,
    least_energy,
    save_optimizer,
    train_optimizer,
)
from lsr1_solver.training.problems import sample_problems
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.retarget import load_motions
from lsr1_solver.view import person_view
from tests.bench.published import ALPHA1, LearnedGradientDescent, PublishedSR1, UnguardedState
from tests.bench.published_network import PublishedNetwork

_log = logging.getLogger(__name__)
# By parts of a landmark's name; the rest count once.
LIMB_WEIGHTS = {"hip": 2, "shoulder": 2, "knee": 4, "elbow": 4, "ankle": 8, "wrist": 8}
LGD_UNROLL, SR1_UNROLL = 4, 8
LEARNING_RATE, DECAY, DECAYS = 1e-3, 0.8, 20
TUNING_STEPS = 8
ENERGY_FLOOR = 5.0


@dataclass(frozen=True)
class Settings:
    """``steps`` of meta-training on so many problems each, and the networks' widths.

    Published are 1024 for LGD, and 256 for L-SR1 with half as many features: more megabytes than belong
    into a repository. L-SR1's network runs once a coordinate: 8 problems are 680 rows.
    """

    lgd_steps: int = 1500
    lgd_batch: int = 64
    lgd_width: int = 128
    sr1_steps: int = 400
    sr1_batch: int = 8
    sr1_width: int = 32


@dataclass(frozen=True, eq=False)
class TruthPool:
    """Problems, the unknowns [N, n] of the captured poses, and the energies [N] that can be reached."""

    objective: Objective
    truth: np.ndarray
    least: np.ndarray
    scale: float

    def batch(self, random: np.random.Generator, count: int) -> tuple[Objective, torch.Tensor]:
        """Problems on tensors, and their answers."""
        index = random.integers(len(self.truth), size=count)
        truth = torch.as_tensor(self.truth[index], dtype=torch.float32)
        return in_torch(self.objective.select(index)), truth


def truth_pool(mocap: Path, config: TrainingConfig) -> TruthPool:
    """The training problems of our L-SR1, with their answers."""
    settings = config.optimizer
    motions = load_motions(mocap, rate=settings.rate, splits=("train",))
    body = load_body_model()
    landmarks = [name for name in BODY_25.joints if name]
    problems = sample_problems(motions, body, landmarks, seed=config.seed, views=1)
    chosen = np.random.default_rng(config.seed).permutation(len(problems))[: settings.problems]
    size = problems.image_size
    camera = Camera(problems.focal_length[chosen], np.array(size) / 2, size)
    keypoints = keypoints_2d(problems.xy[chosen], problems.confidence[chosen], BODY_25, image_size=size)
    view = person_view(FitProblem(body, camera, keypoints))
    frames = np.flatnonzero(view.problem.fitted_frames)
    start = initializer_start(view, load_initializer(), frames)
    objective, _ = view.objective(start)
    chosen, turn = chosen[frames], view.turn[frames]
    rotations = problems.rotations[chosen].copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    pelvis = (turn @ problems.pelvis[chosen][..., None])[..., 0]
    _, truth = view.objective(start.at(rotations, pelvis, problems.betas[chosen]))
    scale = best_rate(objective.select(slice(0, 512))) / ALPHA1
    return TruthPool(objective, truth, least_energy(objective), scale)


def best_rate(objective: Objective, steps: int = TUNING_STEPS) -> float:
    """The rate with which plain gradient descent gets lowest in the mean."""
    rates, reached = np.geomspace(2e-4, 0.1, 19), []
    for rate in rates:
        z = objective.start()
        for _ in range(steps):
            z = z - rate * objective.energy_and_gradient(z)[1]
        reached.append(np.nan_to_num(np.mean(objective.energy_and_gradient(z)[0]), nan=np.inf))
    return float(rates[np.argmin(reached)])


class Supervision:
    """The authors' loss of a point, against the captured pose."""

    def __init__(self, objective: Objective, truth: torch.Tensor) -> None:
        self._objective = objective
        parts = objective.chain.landmarks
        weights = [max([w for part, w in LIMB_WEIGHTS.items() if part in name], default=1) for name in parts]
        self._weights = torch.tensor(weights, dtype=torch.float32)[:, None]
        with torch.no_grad():
            self._truth = self._looks(truth)

    def _looks(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Parameters, 3D points about the pelvis in metres, 2D points in heights."""
        x = cast("torch.Tensor", self._objective.parameters(z))  # pyright: ignore[reportArgumentType]
        points = cast("torch.Tensor", self._objective.pose(z).points)  # pyright: ignore[reportArgumentType]
        _, plane, _ = self._objective.reprojection(points)  # pyright: ignore[reportArgumentType]
        height = 100 * cast("torch.Tensor", self._objective.unit)
        return x, points - x[:, None, PELVIS], cast("torch.Tensor", plane) / height[:, None, None]

    def loss(self, z: torch.Tensor) -> torch.Tensor:
        """Of one point of the trajectory."""
        (x, points, plane), (true_x, true_points, true_plane) = self._looks(z), self._truth
        miss = torch.abs(x - true_x)
        in_3d = (self._weights * torch.abs(points - true_points)).mean()
        in_2d = (self._weights * torch.abs(plane - true_plane)).mean()
        return miss[:, :ROTATION_SIZE].mean() + miss[:, BETAS_START:].mean() + 0.3 * (in_3d + in_2d)


def _evaluated(state: UnguardedState, z: torch.Tensor, *, attached: bool) -> UnguardedState:
    """The state at ``z``, its gradient a constant."""
    with torch.no_grad():
        evaluated = state.objective.energy_and_gradient(z.detach())  # pyright: ignore[reportArgumentType]
    result = replace(state, z=cast("np.ndarray", z if attached else z.detach()))
    result.__dict__["evaluated"] = evaluated
    return result


def _lgd_loss(minimizer: LearnedGradientDescent, objective: Objective, truth: torch.Tensor) -> torch.Tensor:
    supervision = Supervision(objective, truth)
    z = torch.zeros_like(truth)
    state = UnguardedState(objective, cast("np.ndarray", z))
    loss = torch.zeros(())
    for _ in range(LGD_UNROLL):
        state = minimizer.step(objective, _evaluated(state, z, attached=True))
        z = cast("torch.Tensor", state.z)
        loss = loss + supervision.loss(z)
    return loss / LGD_UNROLL


def _lgd_energy_loss(
    minimizer: LearnedGradientDescent, objective: Objective, truth: torch.Tensor
) -> torch.Tensor:
    """The mean of log(E + 5) along the trajectory, by E's analytic gradient: no answers are needed."""
    z = torch.zeros_like(truth)
    state = _evaluated(UnguardedState(objective, cast("np.ndarray", z)), z, attached=True)
    loss = torch.zeros(())
    for _ in range(LGD_UNROLL):
        z = cast("torch.Tensor", minimizer.step(objective, state).z)
        state = _evaluated(state, z, attached=True)
        energy, gradient = (cast("torch.Tensor", part) for part in state.evaluated)
        slope = (gradient * (z - z.detach())).sum(dim=-1)
        loss = loss + torch.log(energy + ENERGY_FLOOR).mean() + (slope / (energy + ENERGY_FLOOR)).mean()
    return loss / LGD_UNROLL


def _sr1_loss(minimizer: PublishedSR1, objective: Objective, truth: torch.Tensor) -> torch.Tensor:
    supervision = Supervision(objective, truth)
    state = UnguardedState(objective, cast("np.ndarray", torch.zeros_like(truth)))
    loss = torch.zeros(())
    for _ in range(SR1_UNROLL):
        before = _evaluated(state, cast("torch.Tensor", state.z), attached=False)
        p, q = minimizer.pair(before)
        secant = cast("torch.Tensor", p - minimizer.multiply(before.vectors, q))
        state = minimizer.step(objective, before)
        loss = loss + supervision.loss(cast("torch.Tensor", state.z)) + (secant**2).mean()
    return loss / SR1_UNROLL


def _train(
    pool: TruthPool,
    networks: Mapping[str, PublishedNetwork],
    loss_of: Callable[[Objective, torch.Tensor], torch.Tensor],
    seed: int,
    steps: int,
    count: int,
) -> None:
    modules = nn.ModuleDict(dict(networks))
    optimizer = torch.optim.AdamW(modules.parameters(), lr=LEARNING_RATE)
    decay = torch.optim.lr_scheduler.StepLR(optimizer, max(steps // DECAYS, 1), DECAY)
    losses: list[float] = []
    for step in range(steps):
        objective, truth = pool.batch(np.random.default_rng([seed, step]), count)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(objective, truth)
        loss.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
        decay.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            _log.info("step %d of %d: loss %.4f", step + 1, steps, np.mean(losses[-100:]))


def _train_lgd(
    pool: TruthPool, path: Path, seed: int, settings: Settings, loss_of: Callable[..., torch.Tensor]
) -> None:
    count, n = pool.objective.target.shape[1], pool.objective.dimension
    networks = {
        name: PublishedNetwork(2 * count + 2 * n, settings.lgd_width, size, residual=True)
        for name, size in (("pose", BETAS_START), ("shape", n - BETAS_START))
    }
    minimizer = LearnedGradientDescent(networks["pose"], networks["shape"], pool.scale)  # pyright: ignore[reportArgumentType]
    steps, batch = settings.lgd_steps, settings.lgd_batch
    _train(pool, networks, lambda o, t: loss_of(minimizer, o, t), seed, steps, batch)
    _store(path, networks, pool.scale)


def train_lgd(pool: TruthPool, path: Path, seed: int, settings: Settings) -> None:
    """Train LGD and store it."""
    _train_lgd(pool, path, seed, settings, _lgd_loss)


def train_lgd_on_energy(pool: TruthPool, path: Path, seed: int, settings: Settings) -> None:
    """LGD's network with the kind of loss that our L-SR1 has: the energy."""
    _train_lgd(pool, path, seed, settings, _lgd_energy_loss)


def train_sr1(pool: TruthPool, path: Path, seed: int, settings: Settings) -> None:
    """Train L-SR1 as published and store it."""
    hidden, features = settings.sr1_width, settings.sr1_width // 2
    sizes = {"encoder": (5, features), "vector": (features, 1), "step": (features, 1)}
    networks = {
        name: PublishedNetwork(inputs, hidden, outputs, residual=False)
        for name, (inputs, outputs) in sizes.items()
    }
    encoder, vector, step = networks.values()
    minimizer = PublishedSR1(encoder, vector, step, pool.scale)  # pyright: ignore[reportArgumentType]
    _train(
        pool, networks, lambda o, t: _sr1_loss(minimizer, o, t), seed, settings.sr1_steps, settings.sr1_batch
    )
    _store(path, networks, pool.scale)


def _store(path: Path, networks: Mapping[str, PublishedNetwork], scale: float) -> None:
    arrays: dict[str, np.ndarray] = {"scale": np.array(scale)}
    for name, network in networks.items():
        arrays |= network.arrays(name)
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]  # none of savez's own names


def train_ours(pool: TruthPool, path: Path, seed: int, settings: Settings) -> None:
    """Another seed of the L-SR1 that ships, with the configuration that it carries."""
    if seed == 0:
        return  # ships
    began = time.monotonic()
    config = replace(shipped_config(), seed=seed)
    training = train_optimizer(ProblemPool(pool.objective, pool.least), config, Processes(), None)
    save_optimizer(path, training, config, began)


def shipped_config() -> TrainingConfig:
    """How the weights that ship were trained."""
    with np.load(LEARNED_SR1, allow_pickle=False) as file:
        metadata = json.loads(str(file["metadata"]))
    return changed(TrainingConfig(), metadata["config"], str(LEARNED_SR1))


TRAINERS = {"lsr1": train_ours, "lgd": train_lgd, "lgd-energy": train_lgd_on_energy, "sr1": train_sr1}


def train_all(
    mocap: Path, out: Path, methods: Sequence[str], seeds: Sequence[int], settings: Settings
) -> None:
    """Train the methods with each seed."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    pool = truth_pool(mocap, shipped_config())
    _log.info("%d problems; the gradient is taken %.3g times", len(pool.truth), pool.scale)
    for method in methods:
        for seed in seeds:
            torch.manual_seed(seed)
            began = time.monotonic()
            TRAINERS[method](pool, out / f"{method}-{seed}.npz", seed, settings)
            _log.info("%s, seed %d: %.0f s", method, seed, time.monotonic() - began)
