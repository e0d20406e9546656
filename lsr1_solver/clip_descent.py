"""A minimizer's way down a clip's energy, in the coordinates that suit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from .clip_base import Whitened, kronecker_base
from .clip_chain import PosedClip
from .clip_minimizer import ClipState
from .clip_objective import ClipObjective
from .minimizer import LeastSquares, LevenbergMarquardt, Minimizer, MinimizerState
from .quasi_newton import LBFGS, SR1


@dataclass(frozen=True, eq=False)
class Descent:
    """How far a minimizer has come.

    ``energy`` is what it sees: Levenberg-Marquardt the clip itself, the others in the coordinates of a base.
    """

    minimizer: Minimizer[MinimizerState]
    energy: ClipObjective | Whitened
    state: MinimizerState

    @cached_property
    def z(self) -> np.ndarray:
        """The best point so far, [1, n T + S]."""
        z = self.state.z
        return self.energy.outward(z) if isinstance(self.energy, Whitened) else z

    @property
    def objective(self) -> ClipObjective:
        """The clip itself."""
        return self.energy.objective if isinstance(self.energy, Whitened) else self.energy

    @cached_property
    def posed(self) -> PosedClip:
        """The clip at the best point so far."""
        return self.objective.pose(self.z)

    def steps(self, count: int) -> Iterator[Descent]:
        """What comes next, until the minimizer has converged."""
        seen, state = _seen(self.energy), self.state
        for _ in range(count):
            state = self.minimizer.step(seen, state)
            yield replace(self, state=state)
            if state.converged[0]:
                return

    def on(self, objective: ClipObjective) -> Descent:
        """Going on with an energy that has changed a little, from the same point in the same coordinates."""
        whitened = isinstance(self.energy, Whitened)
        energy = replace(self.energy, objective=objective) if whitened else objective
        if isinstance(self.state, ClipState):
            state = self.state.on(_seen(energy))
        else:
            state = self.minimizer.init(_seen(energy), self.state.z)
        return Descent(self.minimizer, energy, state)


def descent(objective: ClipObjective, z: np.ndarray, minimizer: Minimizer[MinimizerState]) -> Descent:
    """A minimizer at its start, ``z`` [1, n T + S]."""
    if isinstance(minimizer, LevenbergMarquardt):
        whole = cast("Minimizer[MinimizerState]", minimizer)
        return Descent(whole, objective, whole.init(_seen(objective), z))
    if isinstance(minimizer, LBFGS | SR1):
        # The base has given the coordinates their scale: the first step needs no bound.
        minimizer = cast("Minimizer[MinimizerState]", replace(minimizer, first_length=np.inf))
    whitened = Whitened(objective, kronecker_base(objective, z), z)
    return Descent(minimizer, whitened, minimizer.init(_seen(whitened), np.zeros_like(z)))


def _seen(energy: ClipObjective | Whitened) -> LeastSquares:
    # Cast: what is not given the clip itself does without linearizing it.
    return cast("LeastSquares", energy)
