"""A base for the quasi-Newton minimizers of a clip: one average frame's Hessian times a cosine transform.

Were every frame's Hessian the same, H0, a clip's would be the Kronecker sum ``H0 x I + D x L`` with the
temporal term's L, and the cosine transform, which diagonalizes differences in time, would take it apart into
one small matrix a frequency. The frames' Hessians differ, but not by much; what is left is for the quasi-
Newton method to learn. Frequencies that the temporal term weighs alike share a factor, and the lowest
frequency, the mean over the clip, has the shape at its border.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .clip_objective import ClipObjective
from .cosine_transform import cosine_transform, inverse_cosine_transform

# Frames whose Hessians make the average, spread over the clip.
SAMPLED_FRAMES = 32
# Frequencies share a factor as long as the temporal term's weight grows by less than this.
BAND_GROWTH = 8.0
# Rows of a triangle that is not halved any more.
SMALL = 16


@dataclass(frozen=True, eq=False)
class KroneckerBase:
    """``S`` with ``S S^T`` about the inverse Hessian of a clip, known by what it does to vectors.

    ``unknowns`` n a frame. ``bands`` are (first frequency, last + 1, factor [n, n]); ``lowest``
    [n + S, n + S] is the factor of the mean over time together with the shape.
    """

    unknowns: int
    frames: int
    lowest: np.ndarray
    bands: tuple[tuple[int, int, np.ndarray], ...]

    def times(self, u: np.ndarray) -> np.ndarray:
        """``S u``: from whitened frequencies to frames. [1, n T + S] -> [1, n T + S]."""
        whitened, shape = self._split(u)
        out, spectrum = np.empty_like(u), np.empty_like(whitened)
        y, moved = self._split(out)
        low = self.lowest @ np.concatenate([whitened[:, 0], shape])
        spectrum[:, 0], moved[:] = low[: len(y)], low[len(y) :]
        for first, last, factor in self.bands:
            np.matmul(factor, whitened[:, first:last], out=spectrum[:, first:last])
        inverse_cosine_transform(spectrum, out=y)
        return out

    def transposed_times(self, u: np.ndarray) -> np.ndarray:
        """``S^T u``: from frames to whitened frequencies."""
        y, shape = self._split(u)
        out, spectrum = np.empty_like(u), cosine_transform(y)
        whitened, moved = self._split(out)
        low = self.lowest.T @ np.concatenate([spectrum[:, 0], shape])
        whitened[:, 0], moved[:] = low[: len(y)], low[len(y) :]
        for first, last, factor in self.bands:
            np.matmul(factor.T, spectrum[:, first:last], out=whitened[:, first:last])
        return out

    def _split(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = self.unknowns * self.frames
        return u[0, :count].reshape(self.unknowns, self.frames), u[0, count:]


def kronecker_base(objective: ClipObjective, z: np.ndarray) -> KroneckerBase:
    """The base at ``z``, from the Gauss-Newton matrices of a few frames."""
    frames, n = len(objective), objective.unknowns
    sampled = np.unique(np.linspace(0, frames - 1, SAMPLED_FRAMES).round().astype(int))
    J = objective.jacobian(z, sampled).astype(np.float64).reshape(-1, n + len(objective.betas))
    H = J.T @ J / len(sampled)
    H[np.arange(n), np.arange(n)] += float(objective.prior_weight.mean())
    low = H.copy()
    low[:n, n:] *= frames**0.5
    low[n:, :n] *= frames**0.5
    low[n:, n:] *= frames
    low[np.arange(n, len(low)), np.arange(n, len(low))] += objective.shape_weight
    stiffness = 2 - 2 * np.cos(np.pi * np.arange(frames) / frames)
    bands = _bands(frames)
    at = np.array([stiffness[first:last].mean() for first, last in bands])[:, None]
    tied = at * objective.temporal.velocity + at**2 * objective.temporal.acceleration
    own = np.broadcast_to(H[:n, :n], (len(bands), n, n)).copy()
    own[:, np.arange(n), np.arange(n)] += tied
    factors = _factors(own).astype(z.dtype)
    banded = tuple((*band, factor) for band, factor in zip(bands, factors, strict=True))
    return KroneckerBase(n, frames, _factors(low).astype(z.dtype), banded)


def _factors(H: np.ndarray) -> np.ndarray:
    """``S`` with ``S S^T = H^-1`` of each matrix [..., n, n]."""
    n = H.shape[-1]
    ridge = 1e-6 * np.trace(H, axis1=-2, axis2=-1) / n
    return np.swapaxes(_lower_inverses(np.linalg.cholesky(H + ridge[..., None, None] * np.eye(n))), -1, -2)


def _lower_inverses(L: np.ndarray) -> np.ndarray:
    """The inverses of lower triangles [..., n, n], by halves: a third of the time of a general inverse."""
    n = L.shape[-1]
    if n <= SMALL:
        return np.linalg.inv(L)
    head, tail = slice(None, n // 2), slice(n // 2, None)
    out = np.zeros_like(L)
    out[..., head, head] = _lower_inverses(L[..., head, head])
    out[..., tail, tail] = _lower_inverses(L[..., tail, tail])
    out[..., tail, head] = -out[..., tail, tail] @ (L[..., tail, head] @ out[..., head, head])
    return out


def _bands(frames: int) -> list[tuple[int, int]]:
    """The frequencies from 1 on, gathered while their number grows by less than the fourth root tells."""
    edges = [1]
    while edges[-1] < frames:
        # The acceleration's weight grows with the fourth power of the frequency.
        edges.append(min(frames, max(edges[-1] + 1, int(edges[-1] * BAND_GROWTH**0.25 + 0.5))))
    return list(itertools.pairwise(edges))


@dataclass(frozen=True, eq=False)
class Whitened:
    """A clip's energy in the coordinates of a base, ``z' = start + S z``: what quasi-Newton methods see."""

    objective: ClipObjective
    base: KroneckerBase
    start: np.ndarray

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[1] and [1, n T + S]."""
        energy, gradient = self.objective.energy_and_gradient(self.outward(z))
        return energy, self.base.transposed_times(gradient)

    def outward(self, z: np.ndarray) -> np.ndarray:
        """The clip's own coordinates."""
        out = self.base.times(z)
        out += self.start
        return out
