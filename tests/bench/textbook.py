"""Baselines that the product has no use for: gradient descent and dense BFGS, one evaluation a step."""

from dataclasses import dataclass

import numpy as np

from lsr1_solver.minimizer import Energy

# Armijo's condition, and how much shorter a step is tried when it fails (Nocedal & Wright 2006, alg. 3.1).
SUFFICIENT = 1e-4
SHORTER = 0.3


@dataclass(frozen=True, eq=False)
class DescentState:
    """Best points [B, n] and energies [B]; the running point and its gradient."""

    z: np.ndarray
    energy: np.ndarray
    converged: np.ndarray
    running: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True, eq=False)
class GradientDescent:
    """A constant step: ``factor`` times each problem's ``unit`` [B, 1]. It keeps the best point."""

    factor: float
    unit: np.ndarray
    name: str = "gradient descent"

    def init(self, objective: Energy, z: np.ndarray) -> DescentState:
        energy, gradient = objective.energy_and_gradient(z)
        return DescentState(z, energy, np.isnan(energy), z, gradient)

    def step(self, objective: Energy, state: DescentState) -> DescentState:
        running = state.running - self.factor * self.unit * state.gradient
        energy, gradient = objective.energy_and_gradient(running)
        better = energy < state.energy
        return DescentState(
            np.where(better[:, None], running, state.z),
            np.where(better, energy, state.energy),
            state.converged,
            running,
            gradient,
        )


@dataclass(frozen=True, eq=False)
class BFGSState:
    """Best points, gradients; the inverse-Hessian estimate [B, n, n], whether it has its scale; step [B]."""

    z: np.ndarray
    energy: np.ndarray
    converged: np.ndarray
    gradient: np.ndarray
    H: np.ndarray
    scaled: np.ndarray
    length: np.ndarray


@dataclass(frozen=True)
class BFGS:
    """Dense BFGS with backtracking (Nocedal & Wright 2006, alg. 6.1, eq. 6.17 and 6.20)."""

    name: str = "BFGS"

    def init(self, objective: Energy, z: np.ndarray) -> BFGSState:
        energy, gradient = objective.energy_and_gradient(z)
        H = np.broadcast_to(np.eye(z.shape[1]), (len(z), z.shape[1], z.shape[1]))
        # Of the first direction only its sign is to be trusted: one unit long at most.
        length = 1 / np.maximum(np.linalg.norm(gradient, axis=1), 1.0)
        none = np.zeros(len(z), dtype=bool)
        return BFGSState(z, energy, np.isnan(energy), gradient, H, none, length)

    def step(self, objective: Energy, state: BFGSState) -> BFGSState:
        direction = -(state.H @ state.gradient[..., None])[..., 0]
        move = state.length[:, None] * direction
        energy, gradient = objective.energy_and_gradient(state.z + move)
        slope = np.sum(state.gradient * move, axis=1)
        better = (energy <= state.energy + SUFFICIENT * slope) & (energy < state.energy)
        s, y = move, gradient - state.gradient
        curved = better & (np.sum(s * y, axis=1) > 1e-10 * np.sum(s * s, axis=1))
        H = np.where(curved[:, None, None], _updated(state.H, s, y, ~state.scaled), state.H)
        keep = better[:, None]
        return BFGSState(
            np.where(keep, state.z + move, state.z),
            np.where(better, energy, state.energy),
            state.converged,
            np.where(keep, gradient, state.gradient),
            H,
            state.scaled | curved,
            np.where(better, 1.0, SHORTER * state.length),
        )


def _updated(H: np.ndarray, s: np.ndarray, y: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The BFGS update; before the ``first`` [B] one of a problem its H takes the pair's scale."""
    # A pair without curvature is not used; here it must only do no harm.
    tiny = 1e-200
    sy = np.maximum(np.sum(s * y, axis=1), tiny)
    scale = np.where(first, sy / np.maximum(np.sum(y * y, axis=1), tiny), 1.0)
    H = scale[:, None, None] * H
    Hy = (H @ y[..., None])[..., 0]
    with np.errstate(over="ignore"):
        growth = (1 + np.sum(y * Hy, axis=1) / sy) / sy
    cross = s[:, :, None] * Hy[:, None, :] / sy[:, None, None]
    outer = s[:, :, None] * s[:, None, :]
    return H - cross - np.swapaxes(cross, 1, 2) + growth[:, None, None] * outer
