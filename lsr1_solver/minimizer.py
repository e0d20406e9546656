"""The protocol of minimizers, Levenberg-Marquardt and Adam.

A minimizer is ``init(objective, z) -> state`` and ``step(objective, state) -> state``, out of place. A state
holds B independent problems; ``z`` is the best point of each so far, so energies never rise, and a problem
that has converged no longer moves: its answer does not depend on the others of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Protocol, Self, TypeVar, cast, runtime_checkable

import numpy as np

from .arrays import Array, at_least, at_most, namespace


class Energy(Protocol):
    """B functions of n variables: what a gradient method needs to know of them."""

    def energy_and_gradient(self, z: Array) -> tuple[Array, Array]:
        """``z`` [B, n] -> energies [B] and gradients [B, n]."""
        ...


class Factor(Protocol):
    """``S`` with ``S S^T = H^-1`` of B matrices, known by what it does to vectors [B, n]."""

    def times(self, u: Array) -> Array:
        """``S u``."""
        ...

    def transposed_times(self, u: Array) -> Array:
        """``S^T u``."""
        ...


class NormalEquations(Protocol):
    """A least-squares model of B functions about a point."""

    @property
    def energy(self) -> Array:
        """[B]."""
        ...

    @property
    def gradient(self) -> Array:
        """[B, n]."""
        ...

    def solve(self, damping: Array) -> Array:
        """``-(H + damping I)^-1 gradient``; ``damping`` [B] -> [B, n]."""
        ...

    def inverse_factor(self) -> Factor | None:
        """``S`` with ``S S^T`` the inverse of H, or None where that is too large to work out."""
        ...

    def where(self, mask: Array, other: Self) -> Self:
        """This model for the problems of ``mask`` [B], the other for the rest."""
        ...


class LeastSquares(Energy, Protocol):
    """B sums of squares: what Levenberg-Marquardt needs to know of them."""

    def linearize(self, z: Array) -> NormalEquations:
        """The Gauss-Newton model at ``z`` [B, n]."""
        ...


class MinimizerState(Protocol):
    """What every minimizer's state shows: the best points so far."""

    @property
    def z(self) -> Array:
        """[B, n]."""
        ...

    @property
    def energy(self) -> Array:
        """[B]."""
        ...

    @property
    def converged(self) -> Array:
        """[B] booleans."""
        ...


State = TypeVar("State", bound=MinimizerState)


class Minimizer(Protocol[State]):
    """``init`` once, then ``step`` until every problem has converged or patience ends."""

    @property
    def name(self) -> str:
        """As the command line calls it."""
        ...

    def init(self, objective: LeastSquares, z: Array) -> State:
        """The state at the start ``z`` [B, n]."""
        ...

    def step(self, objective: LeastSquares, state: State) -> State:
        """One more evaluation of the objective."""
        ...


def norm(v: Array) -> Array:
    """Euclidean length over the last axis."""
    xp = namespace(v)
    return xp.sqrt(xp.sum(v * v, axis=-1))


def choose(mask: Array, a: Array, b: Array) -> Array:
    """``a`` where the problem's ``mask`` [B] is set, else ``b``; both [B, ...]."""
    xp = namespace(mask)
    return xp.where(xp.reshape(mask, (-1, *([1] * (a.ndim - 1)))), a, b)


Part = TypeVar("Part")


@runtime_checkable
class Selectable(Protocol):
    """What knows how to become a part of itself."""

    def select(self, index: np.ndarray) -> Self:
        """That of some of the problems."""
        ...


def selected(part: Part, index: np.ndarray) -> Part:
    """Some problems of a state, or of a part of one; each of its arrays has a row for every problem."""
    if isinstance(part, tuple):
        return cast("Part", tuple(selected(each, index) for each in part))
    if is_dataclass(part) and not isinstance(part, type):
        rows = {f.name: selected(getattr(part, f.name), index) for f in fields(part)}
        return cast("Part", replace(part, **rows))
    if isinstance(part, np.ndarray):
        return cast("Part", part[index])
    return part.select(index) if isinstance(part, Selectable) else part


@dataclass(frozen=True, eq=False)
class LevenbergMarquardtState:
    """Best points, the model about them, each problem's damping and its next growth [B]."""

    z: Array
    energy: Array
    converged: Array
    model: NormalEquations
    damping: Array
    growth: Array


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton (Marquardt 1963), the damping driven by the gain ratio (Nielsen 1999).

    A problem counts as converged when a step lowers its energy by less than ``tolerance`` of it, or when
    ``damping`` has grown out of all proportion.
    """

    tolerance: float = 1e-5
    first_damping: float = 0.1
    name: str = "lm"

    def init(self, objective: LeastSquares, z: Array) -> LevenbergMarquardtState:
        """Linearize at the start."""
        xp = namespace(z)
        model = objective.linearize(z)
        damping = xp.full_like(model.energy, self.first_damping)
        return LevenbergMarquardtState(
            z, model.energy, xp.isnan(model.energy), model, damping, xp.full_like(damping, 2.0)
        )

    def step(self, objective: LeastSquares, state: LevenbergMarquardtState) -> LevenbergMarquardtState:
        """Try the damped step; keep it where the energy falls, damp more where it does not."""
        xp = namespace(state.z)
        move = state.model.solve(state.damping)
        predicted = 0.5 * xp.sum(move * (state.damping[:, None] * move - state.model.gradient), axis=-1)
        model = objective.linearize(state.z + move)
        decrease = state.energy - model.energy
        better = (decrease > 0) & ~state.converged
        gain = at_most(at_least(decrease / at_least(predicted, 1e-300), -1.0), 1.0)
        damping = state.damping * at_least(1 - (2 * gain - 1) ** 3, 1 / 3)
        damping = xp.where(better, damping, state.damping * state.growth)
        settled = better & (decrease <= self.tolerance * model.energy)
        stuck = ~better & ((damping > 1e10) | (predicted <= 1e-12 * state.energy))
        return LevenbergMarquardtState(
            choose(better, state.z + move, state.z),
            xp.where(better, model.energy, state.energy),
            state.converged | settled | stuck,
            model if xp.all(better) else model.where(better, state.model),
            at_most(at_least(damping, 1e-6), 1e12),
            xp.where(better, 2.0, at_most(2 * state.growth, 1e6)),
        )


@dataclass(frozen=True, eq=False)
class AdamState:
    """Best points, and the running point with its moments [B, n]."""

    z: Array
    energy: Array
    converged: Array
    running: Array
    gradient: Array
    mean: Array
    square: Array
    iteration: int


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, alg. 1, keeping the best point.

    It has no sign of its own for having converged: ``converged`` stays false.
    """

    learning_rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    name: str = "adam"

    def init(self, objective: Energy, z: Array) -> AdamState:
        """Evaluate the start."""
        xp = namespace(z)
        energy, gradient = objective.energy_and_gradient(z)
        zero = xp.zeros_like(z)
        return AdamState(z, energy, xp.isnan(energy), z, gradient, zero, zero, 0)

    def step(self, objective: Energy, state: AdamState) -> AdamState:
        """One step of the running point."""
        xp = namespace(state.z)
        t = state.iteration + 1
        mean = self.beta1 * state.mean + (1 - self.beta1) * state.gradient
        square = self.beta2 * state.square + (1 - self.beta2) * state.gradient**2
        scale = self.learning_rate / (1 - self.beta1**t)
        running = state.running - scale * mean / (xp.sqrt(square / (1 - self.beta2**t)) + 1e-8)
        energy, gradient = objective.energy_and_gradient(running)
        better = energy < state.energy
        return AdamState(
            choose(better, running, state.z),
            xp.where(better, energy, state.energy),
            state.converged,
            running,
            gradient,
            mean,
            square,
            t,
        )
