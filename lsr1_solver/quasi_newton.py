"""Quasi-Newton minimizers over a batch: L-BFGS and limited-memory SR1, one evaluation a step.

Both keep the last curvature pairs: step ``s``, gradient change ``y``. A trial point that fails to lower the
energy is not kept, but its pair is: it tells as much about the curvature as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .arrays import Array, at_least, at_most, namespace
from .minimizer import Energy, choose, norm

# A pair says nothing about curvature when it is this close to orthogonal (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-8
# Armijo's condition (Nocedal & Wright 2006, eq. 3.4).
SUFFICIENT = 1e-4

Pairs = tuple[tuple[Array, Array], ...]


@dataclass(frozen=True, eq=False)
class QuasiNewtonState:
    """Best points with their gradients, the pairs (oldest first), and how far a step may go [B]."""

    z: Array
    energy: Array
    converged: Array
    gradient: Array
    pairs: Pairs
    reach: Array


def _dot(a: Array, b: Array) -> Array:
    return namespace(a).sum(a * b, axis=-1)[:, None]


def _start(objective: Energy, z: Array, first_length: float) -> QuasiNewtonState:
    xp = namespace(z)
    energy, gradient = objective.energy_and_gradient(z)
    reach = xp.full_like(energy, first_length)
    return QuasiNewtonState(z, energy, xp.isnan(energy), gradient, (), reach)


def _guarded_step(
    objective: Energy,
    state: QuasiNewtonState,
    multiply: Callable[[Pairs, Array], Array],
    memory: int,
    tolerance: float,
) -> QuasiNewtonState:
    """Try ``-H g``: bounded in length, steepest descent if uphill, kept only if it lowers the energy."""
    xp = namespace(state.z)
    g = state.gradient
    move = -multiply(state.pairs, g)
    slope = _dot(g, move)
    uphill = slope > -DEGENERATE * (norm(g) * norm(move))[:, None]
    move = xp.where(uphill, -g, move)
    slope = xp.where(uphill, -_dot(g, g), slope)[:, 0]
    length = at_least(norm(move), 1e-300)
    shortened = at_most(state.reach / length, 1.0)
    move = move * shortened[:, None]
    z = state.z + move
    energy, gradient = objective.energy_and_gradient(z)
    decrease = state.energy - energy
    better = (decrease >= -SUFFICIENT * slope * shortened) & (decrease > 0) & ~state.converged
    taken = length * shortened
    settled = better & (decrease <= tolerance * energy) & (shortened >= 1.0)
    stuck = ~better & (taken <= 1e-9)
    return QuasiNewtonState(
        choose(better, z, state.z),
        xp.where(better, energy, state.energy),
        state.converged | settled | stuck,
        choose(better, gradient, g),
        (*state.pairs, (move, gradient - g))[-memory:],
        xp.where(better, xp.maximum(state.reach, 2 * taken), at_least(0.3 * taken, 1e-12)),
    )


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal & Wright 2006, alg. 7.4), with a bound on the step as safeguard.

    The first step is no longer than ``first_length``: nothing is known of the problem's scale yet.
    """

    memory: int = 8
    tolerance: float = 1e-6
    first_length: float = 1.0
    name: str = "lbfgs"

    def init(self, objective: Energy, z: Array) -> QuasiNewtonState:
        """Evaluate the start."""
        return _start(objective, z, self.first_length)

    def step(self, objective: Energy, state: QuasiNewtonState) -> QuasiNewtonState:
        """One evaluation."""
        return _guarded_step(objective, state, self._inverse_hessian, self.memory, self.tolerance)

    @staticmethod
    def _inverse_hessian(pairs: Pairs, q: Array) -> Array:
        """The two-loop recursion; pairs without positive curvature are passed over."""
        xp = namespace(q)
        scale: Array | float = 1.0
        stack = []
        for s, y in reversed(pairs):
            sy = _dot(s, y)
            valid = sy > DEGENERATE * (norm(s) * norm(y))[:, None]
            rho = xp.where(valid, 1 / xp.where(valid, sy, xp.ones_like(sy)), xp.zeros_like(sy))
            alpha = rho * _dot(s, q)
            q = q - alpha * y
            stack.append((s, y, rho, alpha))
        for _, y, rho, _ in reversed(stack):  # the newest valid pair sets the scale
            scale = xp.where(rho > 0, 1 / at_least(rho * _dot(y, y), 1e-300), scale)
        r = scale * q
        for s, y, rho, alpha in reversed(stack):
            r = r + s * (alpha - rho * _dot(y, r))
        return r


@dataclass(frozen=True)
class SR1:
    """Limited-memory symmetric rank one (Nocedal & Wright 2006, sec. 6.2 and 7.2), on the inverse Hessian.

    ``H = gamma I + sum_i v_i v_i^T / (v_i^T y_i)`` with ``v_i = s_i - H_i y_i``. ``gamma`` is ``damping``
    times the smallest Barzilai-Borwein step of the memory, so that the updates add to H; an update whose
    denominator vanishes, or would make H indefinite, is skipped. The first step is no longer than
    ``first_length``.
    """

    memory: int = 8
    damping: float = 0.3
    tolerance: float = 1e-6
    first_length: float = 1.0
    name: str = "sr1"

    def init(self, objective: Energy, z: Array) -> QuasiNewtonState:
        """Evaluate the start."""
        return _start(objective, z, self.first_length)

    def step(self, objective: Energy, state: QuasiNewtonState) -> QuasiNewtonState:
        """One evaluation."""
        return _guarded_step(objective, state, self._inverse_hessian, self.memory, self.tolerance)

    def _inverse_hessian(self, pairs: Pairs, q: Array) -> Array:
        xp = namespace(q)
        if not pairs:
            return q
        gamma = self._scale(pairs)
        updates: list[tuple[Array, Array]] = []

        def multiply(u: Array) -> Array:
            result = gamma * u
            for v, coefficient in updates:
                result = result + coefficient * _dot(v, u) * v
            return result

        for s, y in pairs:
            v = s - multiply(y)
            curvature = _dot(v, y)
            valid = curvature > DEGENERATE * (norm(v) * norm(y))[:, None]
            safe = xp.where(valid, curvature, xp.ones_like(curvature))
            updates.append((v, xp.where(valid, 1 / safe, xp.zeros_like(safe))))
        return multiply(q)

    def _scale(self, pairs: Pairs) -> Array:
        """[B, 1]: below every curvature that the memory has seen; 1 where it has seen none."""
        xp = namespace(pairs[0][0])
        smallest: Array | None = None
        for s, y in pairs:
            sy, yy = _dot(s, y), at_least(_dot(y, y), 1e-300)
            step = xp.where(sy > 0, sy / yy, xp.full_like(sy, float("inf")))
            smallest = step if smallest is None else xp.minimum(smallest, step)
        assert smallest is not None
        return xp.where(xp.isinf(smallest), xp.ones_like(smallest), self.damping * smallest)
