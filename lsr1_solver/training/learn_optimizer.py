"""Meta-training of L-SR1: no labels, only the energies along the way. Here on fits of motion capture.

Every fit is unrolled from a good start (the initializer's) or a bad one. The steps are detached from one
another, so a step's loss is its own: the energy's gradient where the step arrives, along the step, in units
of how much there is left to gain. That needs the analytic gradient alone, never autograd through the body.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch

from ..body_model import BodyModel
from ..camera import Camera
from ..initializer import Initializer
from ..keypoints import BODY_25, keypoints_2d
from ..learned_sr1 import LearnedSR1, LearnedSR1State
from ..minimizer import LeastSquares, LevenbergMarquardt
from ..objective import Objective
from ..problem import FitProblem
from ..sr1_network import weight_shapes
from ..starts import initializer_start
from ..view import person_view
from ..weight_files import write_arrays
from .checkpoint import Checkpoint
from .config import OptimizerConfig, TrainingConfig, config_json, git_commit
from .pose_prior import SOURCES
from .problems import sample_problems
from .processes import Processes
from .retarget import Motion

if TYPE_CHECKING:
    from ..arrays import Array

_log = logging.getLogger(__name__)
# A step's loss is bounded: one problem that runs away must not drown the batch.
_MOST = 50.0
_PROGRESS_STEPS = 50
_PROGRESS_COLUMNS = 8
_TILE = 64
_REFERENCE_STEPS = 15
# What the weights for bodies are made from, for their metadata.
MOTION_CAPTURE: Mapping[str, object] = {"sources": SOURCES, "split": "trained on train"}


@dataclass(frozen=True, eq=False)
class ProblemBatch:
    """B problems, their starts [B, n], the energies they can reach and units [B] to measure the rest in."""

    objective: LeastSquares
    start: Array
    least: torch.Tensor
    unit: torch.Tensor


class Problems(Protocol):
    """What meta-training draws its problems from."""

    @property
    def fingerprint(self) -> float:
        """A number that tells these problems from others: a checkpoint is resumed on the same ones only."""
        ...

    def batch(self, random: np.random.Generator, settings: OptimizerConfig, rows: slice) -> ProblemBatch:
        """The ``rows`` of a batch of ``settings.batch`` problems; the same numbers are drawn for any rows."""
        ...


@dataclass(frozen=True, eq=False)
class ProblemPool:
    """N objectives about the initializer's answers, and the energy [N] that each can reach."""

    objective: Objective
    least: np.ndarray

    @property
    def fingerprint(self) -> float:
        """The sum of the least energies."""
        return float(self.least.sum())

    def batch(self, random: np.random.Generator, settings: OptimizerConfig, rows: slice) -> ProblemBatch:
        """Some of the problems, a share of them from bad starts."""
        index = random.integers(len(self.least), size=settings.batch)
        bad = random.uniform(size=(settings.batch, 1)) < settings.bad_starts
        shift = random.normal(size=(settings.batch, self.objective.dimension))
        shift = bad * shift * random.uniform(size=(settings.batch, 1))
        least = torch.as_tensor(self.least[index[rows]], dtype=torch.float32)
        start = cast("Array", torch.as_tensor(shift[rows], dtype=torch.float32))
        return ProblemBatch(in_torch(self.objective.select(index[rows])), start, least, least)


def problem_pool(
    motions: Sequence[Motion], body: BodyModel, initializer: Initializer, *, seed: int, count: int
) -> ProblemPool:
    """``count`` problems of the motions' poses before random cameras, noisy and incomplete."""
    landmarks = [name for name in BODY_25.joints if name]
    problems = sample_problems(motions, body, landmarks, seed=seed, views=1)
    chosen = np.random.default_rng(seed).permutation(len(problems))[:count]
    size = problems.image_size
    camera = Camera(problems.focal_length[chosen], np.array(size) / 2, size)
    keypoints = keypoints_2d(problems.xy[chosen], problems.confidence[chosen], BODY_25, image_size=size)
    view = person_view(FitProblem(body, camera, keypoints, initializer=initializer))
    frames = np.flatnonzero(view.problem.fitted_frames)
    objective, _ = view.objective(initializer_start(view, initializer, frames))
    return ProblemPool(objective, least_energy(objective))


def least_energy(objective: Objective) -> np.ndarray:
    """What Levenberg-Marquardt reaches from z = 0. -> [B]."""
    minimizer = LevenbergMarquardt(tolerance=0.0)
    reached = []
    for first in range(0, len(objective), _TILE):
        part = objective.select(slice(first, first + _TILE))
        state = minimizer.init(part, part.start())
        for _ in range(_REFERENCE_STEPS):
            state = minimizer.step(part, state)
        reached.append(state.energy)
    return np.concatenate(reached)


def in_torch(objective: Objective, dtype: torch.dtype = torch.float32) -> Objective:
    """The same problems on tensors."""
    tensors = {
        name: cast("Array", torch.as_tensor(getattr(objective, name), dtype=dtype))
        for name in ("centre", "offset", "spread", "basis", "target", "confidence", "unit")
    }
    return replace(objective, chain=objective.chain.to(tensors["unit"]), **tensors)


class OptimizerTraining:
    """The weights on their way."""

    def __init__(self, problems: Problems, config: TrainingConfig, processes: Processes) -> None:
        """Fresh weights: heads at zero, so that training begins at classical SR1."""
        self._settings: OptimizerConfig = config.optimizer
        self._problems, self._processes, self._seed = problems, processes, config.seed
        self._rows = processes.rows(self._settings.batch)
        generator = torch.Generator().manual_seed(config.seed)
        self.weights: dict[str, torch.Tensor] = {}
        for name, shape in weight_shapes(self._settings.network).items():
            weight = torch.zeros(shape)
            if name in ("encoder1", "encoder2"):
                weight = torch.randn(shape, generator=generator) / math.sqrt(shape[0])
            self.weights[name] = weight.requires_grad_()
        self._optimizer = torch.optim.AdamW(
            list(self.weights.values()), lr=self._settings.learning_rate, weight_decay=1e-4
        )
        self.step = 0

    @property
    def done(self) -> bool:
        """Whether every step is taken."""
        return self.step >= self._settings.steps

    def minimizer(self, dtype: torch.dtype = torch.float32) -> LearnedSR1:
        """L-SR1 with the weights as they are now."""
        weights = {name: cast("Array", w.to(dtype)) for name, w in self.weights.items()}
        return LearnedSR1(weights, self._settings.network, tolerance=0.0)

    def advance(self) -> list[float]:
        """One meta-step; the median share of energy left to gain after each unrolled step."""
        settings = self._settings
        random = np.random.default_rng([self._seed, self.step])
        batch = self._problems.batch(random, settings, self._rows)
        self._optimizer.zero_grad(set_to_none=True)
        gaps = self._unroll(batch)
        self._processes.average([w.grad for w in self.weights.values() if w.grad is not None])
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * self._rate()
        self._optimizer.step()
        self.step += 1
        return gaps

    def _rate(self) -> float:
        """A linear warm-up, then half a cosine, as a share of the learning rate."""
        settings = self._settings
        warm = min(1.0, (self.step + 1) / max(settings.warm_up, 1))
        return warm * 0.5 * (1 + math.cos(math.pi * self.step / settings.steps))

    def _unroll(self, batch: ProblemBatch) -> list[float]:
        """The steps that ship, each with its own loss, whose gradients add up."""
        minimizer = self.minimizer(batch.least.dtype)
        with torch.no_grad():
            before = detached(minimizer.prepared(minimizer.init(batch.objective, batch.start)))
        gaps = []
        for _ in range(self._settings.unroll):
            state = minimizer.step(batch.objective, before)
            energy = cast("torch.Tensor", state.energy).detach()
            gap = torch.clip(energy - batch.least, min=0.0)
            gaps.append(float(torch.median(gap / batch.unit)))
            with torch.no_grad():
                after = detached(minimizer.prepared(state))
            if after.p is not None:  # the Gauss-Newton step before the base has nothing to learn
                arrival = cast("torch.Tensor", after.q) + cast("torch.Tensor", before.slope)
                loss = self._loss(before, state, arrival, gap + self._settings.floor * batch.unit)
                (loss / self._settings.unroll).backward()
            before = after
        return gaps

    def _loss(
        self, before: LearnedSR1State, state: LearnedSR1State, arrival: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """The energy's slope where the step arrives, along the step; and the paper's secant penalty."""
        p = cast("torch.Tensor", state.p)
        loss = torch.clip((arrival * p).sum(dim=-1) / scale, -_MOST, _MOST).mean()
        if self._settings.secant > 0 and before.p is not None and before.q is not None:
            # H of this step was made from the pair before it.
            Hq = cast("torch.Tensor", state.multiply(before.q))
            old = cast("torch.Tensor", before.p)
            miss = ((old - Hq) ** 2).sum(dim=-1) / torch.clip((old**2).sum(dim=-1), min=1e-12)
            loss = loss + self._settings.secant * torch.clip(miss, max=_MOST).mean()
        return loss

    def state(self) -> dict[str, object]:
        """All that a checkpoint needs."""
        weights = {name: w.detach() for name, w in self.weights.items()}
        return {"step": self.step, "weights": weights, "optimizer": self._optimizer.state_dict()}

    def resume(self, state: dict[str, object]) -> None:
        """Go on from a checkpoint's state."""
        self.step = cast("int", state["step"])
        with torch.no_grad():
            for name, weight in cast("dict[str, torch.Tensor]", state["weights"]).items():
                self.weights[name].copy_(weight)
        self._optimizer.load_state_dict(cast("dict[str, object]", state["optimizer"]))


def detached(state: LearnedSR1State) -> LearnedSR1State:
    """The state without its history: the next step's loss is the next step's alone."""

    def cut(value: object) -> object:
        return value.detach() if isinstance(value, torch.Tensor) else value

    own = {f.name: cut(getattr(state, f.name)) for f in fields(state) if f.name != "updates"}
    updates = tuple(
        replace(update, **{f.name: cut(getattr(update, f.name)) for f in fields(update)})
        for update in state.updates
    )
    return LearnedSR1State(**own, updates=updates)  # pyright: ignore[reportArgumentType]  # the same types


def train_optimizer(
    problems: Problems, config: TrainingConfig, processes: Processes, checkpoint_file: Path | None
) -> OptimizerTraining:
    """Train to the last step, resuming where a checkpoint of the same training is found."""
    training = OptimizerTraining(problems, config, processes)
    key = {"config": config_json(config), "data": problems.fingerprint}
    checkpoint = checkpoint_file and Checkpoint(checkpoint_file, key, config.checkpoint_seconds)
    if checkpoint and (state := checkpoint.load()):
        training.resume(state)
        _log.info("optimizer: going on from step %d", training.step)
    history: list[list[float]] = []
    while not training.done:
        history.append(training.advance())
        if not processes.is_first:
            continue
        if len(history) >= _PROGRESS_STEPS or training.done:
            every = -(-config.optimizer.unroll // _PROGRESS_COLUMNS)
            gaps = ", ".join(f"{100 * gap:.3g}" for gap in np.median(history, axis=0)[every - 1 :: every])
            _log.info("optimizer: step %d of %d, left to gain after every %d steps: %s %%",
                      training.step, config.optimizer.steps, every, gaps)  # fmt: skip
            history = []
        if checkpoint and (checkpoint.due() or training.done):
            checkpoint.save(training.state())
    return training


def save_optimizer(
    path: Path,
    training: OptimizerTraining,
    config: TrainingConfig,
    began: float,
    origin: Mapping[str, object] = MOTION_CAPTURE,
) -> None:
    """Write the weights with what they are and their ``origin``; ``began`` in monotonic seconds."""
    metadata = {
        "what": "L-SR1 of LSR1 Body Fit: a learned quasi-Newton optimizer",
        "network": config_json(config.optimizer.network),
        **origin,
        "config": config_json(config),
        "commit": git_commit(),
        "seconds": round(time.monotonic() - began, 1),
    }
    weights = {name: w.detach().numpy().astype(np.float32) for name, w in training.weights.items()}
    write_arrays(path, metadata, weights)
