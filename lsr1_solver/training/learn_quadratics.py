"""Meta-training of L-SR1 on random convex quadratics, without a base: one optimizer for every dimension."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ..errors import FitError
from .config import OptimizerConfig, QuadraticsConfig, TrainingConfig
from .learn_optimizer import OptimizerTraining, ProblemBatch, save_optimizer, train_optimizer
from .processes import Processes
from .quadratics import Quadratics, random_quadratics

if TYPE_CHECKING:
    from ..arrays import Array
    from ..minimizer import LeastSquares


@dataclass(frozen=True)
class QuadraticProblems:
    """Fresh quadratics for every meta-step, all of one dimension; begun at zero, in double precision."""

    config: QuadraticsConfig

    @property
    def fingerprint(self) -> float:
        """They are made from the config alone, which is in a checkpoint's key anyway."""
        return 0.0

    def batch(self, random: np.random.Generator, settings: OptimizerConfig, rows: slice) -> ProblemBatch:
        """Measured in units of the start's energy; the least is zero."""
        low, high = self.config.dimensions
        dimension = round(float(np.exp(random.uniform(np.log(low), np.log(high)))))
        drawn = random_quadratics(random, dimension, settings.batch, self.config)
        matrix, centre = (cast("Array", torch.as_tensor(a[rows])) for a in (drawn.matrix, drawn.centre))
        objective = Quadratics(matrix, centre)
        start = cast("Array", torch.zeros_like(cast("torch.Tensor", centre)))
        unit = cast("torch.Tensor", objective.energy_and_gradient(start)[0])
        # Without a base nothing is ever linearized.
        return ProblemBatch(cast("LeastSquares", objective), start, torch.zeros_like(unit), unit)


def learn_quadratics(
    config: TrainingConfig, processes: Processes, weights_file: Path, checkpoint_file: Path | None
) -> OptimizerTraining:
    """Train by the config's ``quadratics`` and write the weights.

    Raises FitError where the config asks for a base.
    """
    began = time.monotonic()
    if config.quadratics.optimizer.network.base != 0:
        raise FitError("config: quadratics: optimizer: network: base must be 0, quadratics have no Jacobian")
    config = replace(config, optimizer=config.quadratics.optimizer)
    training = train_optimizer(QuadraticProblems(config.quadratics), config, processes, checkpoint_file)
    if processes.is_first:
        origin = {"sources": "random convex quadratics, made from the config's quadratics and seed"}
        save_optimizer(weights_file, training, config, began, origin)
    return training
