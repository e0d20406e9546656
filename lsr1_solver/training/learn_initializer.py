"""Train the initializer, and write it with the covariance of its error."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch

from ..body_model import BodyModel
from ..initializer import Initializer
from ..initializer_input import INPUT_LANDMARKS
from ..weight_files import write_arrays
from .checkpoint import Checkpoint
from .config import InitializerConfig, TrainingConfig, config_json, git_commit
from .initializer_error import error_covariance, predict_joints
from .initializer_network import InitializerNetwork, initializer_loss
from .pose_prior import SOURCES
from .problems import sample_problems
from .processes import Processes
from .retarget import Motion
from .samples import Batch, sample_maker
from .world_chain import WorldChain

_log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0


class Maker(Protocol):
    """What makes samples as they are needed."""

    @property
    def chain(self) -> WorldChain:
        """The body that is seen."""
        ...

    def batch(self, step: int, rows: slice) -> Batch:
        """The chosen rows of the batch of a step."""
        ...


class InitializerTraining:
    """The network, its running average, the optimizer and the step it has come to."""

    def __init__(
        self, network: InitializerNetwork, maker: Maker, settings: InitializerConfig, processes: Processes
    ) -> None:
        """At the first step, or at the one that `resume` is given."""
        self._settings = settings
        self._maker = maker
        self._processes = processes
        self._rows = processes.rows(settings.batch)
        self.network = network
        self.average = {name: w.detach().clone() for name, w in self.network.named_parameters()}
        self._parameters = list(self.network.parameters())
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            lr=self._settings.learning_rate,
            betas=self._settings.betas,
            weight_decay=self._settings.weight_decay,
            fused=True,
        )
        self.step = 0

    @property
    def steps(self) -> int:
        """How many there are to take."""
        return self._settings.steps

    @property
    def done(self) -> bool:
        """Whether every step is taken."""
        return self.step >= self.steps

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and progress."""
        return self._processes.is_first

    def advance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One step; the loss and the mean distance of points (metres) on this process's samples."""
        settings = self._settings
        batch = self._maker.batch(self.step, self._rows)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bfloat16):
            answer = self.network(batch.features)
        loss, distance = initializer_loss(answer.float(), batch, self._maker.chain, settings)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._processes.average([w.grad for w in self._parameters if w.grad is not None])
        torch.nn.utils.clip_grad_norm_(self._parameters, settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.learning_rate * self._rate()
        self._optimizer.step()
        self.step += 1
        # Early on the average follows the weights closely, or it would remember the random beginning.
        keep = min(settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for average, weight in zip(self.average.values(), self._parameters, strict=True):
                average.lerp_(weight, 1 - keep)
        return loss.detach(), distance

    def _rate(self) -> float:
        """A linear warm-up, then half a cosine, as a share of the learning rate."""
        settings = self._settings
        warm = min(1.0, (self.step + 1) / max(settings.warm_up, 1))
        return warm * 0.5 * (1 + math.cos(math.pi * self.step / settings.steps))

    def state(self) -> dict[str, object]:
        """All that a checkpoint needs."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self._optimizer.state_dict(),
        }

    def resume(self, state: dict[str, object]) -> None:
        """Go on from a checkpoint's state."""
        self.step = cast("int", state["step"])
        self.network.load_state_dict(cast("dict[str, torch.Tensor]", state["network"]))
        self.average = cast("dict[str, torch.Tensor]", state["average"])
        self._optimizer.load_state_dict(cast("dict[str, object]", state["optimizer"]))

    def weights(self) -> dict[str, np.ndarray]:
        """The averaged weights under the names of `Initializer.weights`, as they are shipped."""
        return {
            name.removeprefix("blocks."): w.numpy().astype(np.float16) for name, w in self.average.items()
        }


def begin_initializer(
    vectors: np.ndarray, body: BodyModel, config: TrainingConfig, processes: Processes
) -> InitializerTraining:
    """The first step's training. ``vectors`` [N, 24, 3] poses as rotation vectors."""
    settings = config.initializer
    torch.manual_seed(config.seed)
    network = InitializerNetwork(settings.width, settings.blocks)
    return InitializerTraining(network, sample_maker(vectors, body, config), settings, processes)


def train_initializer(
    vectors: np.ndarray, body: BodyModel, config: TrainingConfig, processes: Processes, checkpoint_file: Path
) -> InitializerTraining:
    """Train to the last step, resuming where a checkpoint of the same training is found.

    ``vectors`` [N, 24, 3] poses as rotation vectors.
    """
    training = begin_initializer(vectors, body, config, processes)
    data = hashlib.sha256(vectors.tobytes() + body.v_template.tobytes()).hexdigest()
    # What a later stage is asked for changes nothing here.
    parts = (config.initializer, config.views, config.corruption)
    key = {"config": [config_json(part) for part in parts], "seed": config.seed, "data": data}
    finish_steps(training, Checkpoint(checkpoint_file, key, config.checkpoint_seconds), "initializer")
    return training


def finish_steps(training: InitializerTraining, checkpoint: Checkpoint, name: str) -> None:
    """Every step that is left, from where the checkpoint is if there is one."""
    if state := checkpoint.load():
        training.resume(state)
        _log.info("%s: going on from step %d", name, training.step)
    losses: list[torch.Tensor] = []
    began, shown = time.monotonic(), time.monotonic()
    first = training.step
    while not training.done:
        losses.append(torch.stack(training.advance()))
        if not training.is_first:
            continue
        now = time.monotonic()
        if now - shown >= _PROGRESS_SECONDS or training.done:
            loss, distance = torch.stack(losses).mean(dim=0).tolist()
            pace = (now - began) / (training.step - first)
            _log.info(
                "%s: step %d of %d, loss %.3f, points %.1f mm, %.1f ms a step, %.0f s to go",
                name, training.step, training.steps, loss, 1e3 * distance, 1e3 * pace,
                pace * (training.steps - training.step),
            )  # fmt: skip
            losses, shown = [], now
        if checkpoint.due() or training.done:
            checkpoint.save(training.state())


def finish_initializer(
    weights: dict[str, np.ndarray],
    body: BodyModel,
    motions: Mapping[str, Sequence[Motion]],
    config: TrainingConfig,
    path: Path,
    seconds: float,
) -> Initializer:
    """Measure the error and write the initializer.

    The covariance is the mean of one for each group of ``motions``, people it has not seen and people it
    knows: a user may be either, and the fit is hurt by a covariance that is too wide or too narrow.
    """
    metadata = {
        "what": "initializer of LSR1 Body Fit: from 25 keypoints to the rotations of 24 joints and the shape",
        "sources": SOURCES,
        "split": f"trained on train; covariance from {' and '.join(motions)}",
        "body": body.name,
        "config": config_json(config),
        "commit": git_commit(),
        "seconds": round(seconds, 1),
    }
    bare = Initializer({name: w.astype(np.float32) for name, w in weights.items()}, np.eye(1), metadata)
    covariances = []
    for group, members in motions.items():
        problems = sample_problems(
            members, body, INPUT_LANDMARKS, seed=config.seed, views=config.initializer.covariance_views
        )
        joints, errors = predict_joints(bare, problems, body)
        distance = np.linalg.norm(joints - (problems.joints - problems.joints[:, :1]), axis=-1)
        _log.info("%s: MPJPE %.1f mm on %d problems", group, 1e3 * distance.mean(), len(problems))
        covariances.append(error_covariance(errors))
    covariance = np.mean(covariances, axis=0)
    write_initializer(path, weights, covariance, metadata)
    return Initializer(bare.weights, covariance, metadata)


def write_initializer(
    path: Path, weights: Mapping[str, np.ndarray], covariance: np.ndarray, metadata: Mapping[str, object]
) -> None:
    """The file that `initializer.read_initializer` reads."""
    arrays = {"landmarks": np.array(INPUT_LANDMARKS), "covariance": covariance, **weights}
    write_arrays(path, metadata, arrays)
