"""The energy of a clip: T frames of one person with one shape, tied in time.

With ``x = origin + basis y`` for the joints that move keypoints, the root and the pelvis, and one shape
``betas = betas0 + spread b`` for the clip,

    E(y, b) = sum_t h [ w_d sum_k c_kt rho(|r_kt|) + limits_t + w_p |y_t - p_t|^2 / 2 ]
            + sum_t h [ w_v |D^-1/2 v_t|^2 + w_a |A^-1/2 a_t|^2 ] / 2 + w_s |b|^2 / 2

where ``r`` is the reprojection in units of 1 % of the height, ``p`` what the initializer says, ``v`` and
``a`` velocity and acceleration of ``y`` per second, ``D`` and ``A`` their variances in motion capture, and
``h`` the frame's duration in units of 1/30 s: the energy is an integral over time, so a motion filmed at
twice the rate has the same minimum. The coordinates ``y`` are those in which the initializer's error is the
identity and the velocities are uncorrelated, so time couples each coordinate with itself alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from .clip_chain import ClipChain, PosedClip
from .clip_model import ClipModel
from .clip_terms import Anchors, Kept, Lens, Spatial, Temporal, total
from .limits import SOFTNESS


@dataclass(frozen=True, eq=False)
class ClipObjective:
    """A clip of T frames with n unknowns each and one shape of S; the one problem's z is [1, n T + S].

    ``origin`` [75, T] and ``basis`` [75, n] give ``x``; ``betas`` [S] and ``shape_spread`` [S, S] the shape;
    ``prior`` [n, T] with ``prior_weight`` [T].
    """

    chain: ClipChain
    origin: np.ndarray
    basis: np.ndarray
    betas: np.ndarray
    shape_spread: np.ndarray
    lens: Lens
    temporal: Temporal
    prior: np.ndarray
    prior_weight: np.ndarray
    limit_weight: np.ndarray
    shape_weight: float
    anchors: Anchors | None = None
    kept: Kept | None = None
    spatial: Spatial | None = None

    @property
    def unknowns(self) -> int:
        """n, of one frame."""
        return self.basis.shape[1]

    def __len__(self) -> int:
        return self.origin.shape[1]

    def split(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``y`` [n, T] and ``b`` [S] of ``z`` [1, n T + S]."""
        count = self.unknowns * len(self)
        return z[0, :count].reshape(self.unknowns, -1), z[0, count:]

    def join(self, y: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[1, n T + S]."""
        return np.concatenate([y.ravel(), b])[None]

    def parameters(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``x`` [75, T] and the betas [S]."""
        y, b = self.split(z)
        x = self.basis @ y
        x += self.origin
        if self.kept is not None:
            x = np.where(self.kept.held, self.kept.x, x)
        return x, self.betas + self.shape_spread @ b

    def pose(self, z: np.ndarray) -> PosedClip:
        """The clip at ``z``."""
        return self.chain.pose(*self.parameters(z))

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The clip's energy [1] and gradient [1, n T + S]."""
        y, b = self.split(z)
        x, betas = self.parameters(z)
        posed = self._pulled.pose(x, betas)
        by_frame, force = self._forces(posed)
        limits = posed.limits()
        by_x, by_betas = posed.pull_back(force, self.limit_weight * limits / SOFTNESS)
        whole = total(by_frame) + 0.5 * total(self.limit_weight * np.einsum("lt,lt->t", limits, limits))
        if self.kept is None:
            more, by_y = self._ties(y)
            by_y += self.basis.T @ by_x
        else:
            more, by_y = self._kept_ties(self.kept, x, by_x)
        whole += more + 0.5 * self.shape_weight * float(b @ b)
        by_b = self.shape_spread.T @ by_betas + self.shape_weight * b
        return np.array([whole]), self.join(by_y, by_b)

    @cached_property
    def _pulled(self) -> ClipChain:
        """The chain of the points that something pulls at: not the feet's where nothing is anchored."""
        return self.chain.first_points(len(self.lens.target)) if self.anchors is None else self.chain

    def _forces(self, posed: PosedClip) -> tuple[np.ndarray, np.ndarray]:
        """What keypoints and anchors cost [T], and the gradient at the points that are pulled."""
        count = len(self.lens.target)
        energy, force = self.lens.energy_and_force(posed.points[:count])
        if self.spatial is not None:
            more, in_space = self.spatial.energy_and_force(posed.points[:count])
            energy, force = energy + more, force + in_space
        if self.anchors is not None:
            more, at_anchors = self.anchors.energy_and_force(posed.points[count:])
            energy, force = energy + more, np.concatenate([force, at_anchors])
        return energy, force

    def _ties(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        """What ties coordinates [n, T] to the reading and to their neighbours: energy and gradient."""
        energy, gradient = self.temporal.energy_and_gradient(y)
        apart = y - self.prior
        pull = self.prior_weight * apart
        gradient += pull
        return energy + 0.5 * total(np.einsum("nt,nt->n", pull, apart)), gradient

    def _kept_ties(self, kept: Kept, x: np.ndarray, by_x: np.ndarray) -> tuple[float, np.ndarray]:
        """The same where parts of ``x`` are kept: neighbours feel them, and they feel nothing."""
        more, by_y = self._ties(kept.inward @ (x - self.origin)[kept.free])
        apart = x - kept.x
        by_x = by_x + kept.weight * apart
        by_x[kept.free] += kept.inward.T @ by_y
        by_x = np.where(kept.held, 0, by_x)
        return more + 0.5 * total(kept.weight * apart * apart), self.basis.T @ by_x

    def linearize(self, z: np.ndarray) -> ClipModel:
        """The Gauss-Newton model of the whole clip."""
        energy, gradient = self.energy_and_gradient(z)
        J = self.jacobian(z, np.arange(len(self)))
        return ClipModel(
            energy, gradient, J, self.prior_weight, self.temporal.velocity, self.temporal.acceleration,
            self.shape_weight,
        )  # fmt: skip

    def jacobian(self, z: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """The Jacobian [F, m, n + S] of some frames' residuals: keypoints, limits and anchors."""
        x, betas = self.parameters(z)
        posed = self.chain.frames(frames).pose(x[:, frames], betas)
        count = len(self.lens.target)
        directions = self.lens.frames(frames).rows(posed.points[:count])
        by_x, by_betas = posed.row_jacobian(directions, slice(count))
        lean = np.sqrt(self.limit_weight[frames]) / SOFTNESS
        rows = [by_x, lean[:, None, None] * posed.limit_rows()]
        shape_rows = [by_betas, np.zeros((len(frames), rows[1].shape[1], len(self.betas)), dtype=x.dtype)]
        if self.spatial is not None:
            spatial = self.spatial.frames(frames)
            axes = np.broadcast_to(np.eye(3, dtype=x.dtype), (len(frames), count, 3, 3))
            more, more_betas = posed.row_jacobian(axes, slice(count))
            rows.append(spatial.rows(more))
            shape_rows.append(spatial.rows(more_betas))
        if self.anchors is not None:
            scale = np.sqrt(self.anchors.weight[:, frames].T)[..., None, None]
            more, more_betas = posed.row_jacobian(scale * np.eye(3, dtype=x.dtype), slice(count, None))
            rows.append(more)
            shape_rows.append(more_betas)
        by_x = np.concatenate(rows, axis=1)
        if self.kept is not None:
            by_x = np.where(self.kept.held[:, frames].T[:, None], 0, by_x)
        by_b = np.concatenate(shape_rows, axis=1) @ self.shape_spread
        return np.concatenate([by_x @ self.basis, by_b], axis=2)

    def single(self) -> ClipObjective:
        """The same clip in single precision."""
        kept = None if self.kept is None else _single(self.kept)
        spatial = None if self.spatial is None else _single(self.spatial)
        lens, temporal = _single(self.lens), _single(self.temporal)
        return replace(_single(self), lens=lens, temporal=temporal, kept=kept, spatial=spatial)

    def with_fixed_shape(self) -> ClipObjective:
        """The same clip with its shape as it is."""
        return replace(self, shape_spread=np.zeros_like(self.shape_spread))

    def outliers(self, posed: PosedClip, limit: float) -> np.ndarray:
        """[K, T] the keypoints farther from the body than ``limit`` units of 1 % of the height."""
        residual, _, _ = self.lens.residual(self.lens.seen(posed.points[: len(self.lens.target)]))
        return (np.einsum("kct,kct->kt", residual, residual) > limit**2) & (self.lens.weight > 0)

    def without(self, dropped: np.ndarray) -> ClipObjective:
        """The same clip without some keypoints; ``dropped`` [K, T]."""
        return replace(self, lens=replace(self.lens, weight=np.where(dropped, 0, self.lens.weight)))


Part = TypeVar("Part", ClipObjective, Lens, Temporal, Kept, Spatial)


def _single(part: Part) -> Part:
    """In single precision and in memory's order what is in double; the chain is so already."""
    arrays = {
        f.name: np.ascontiguousarray(value, dtype=np.float32)
        for f in fields(part)
        if isinstance(value := getattr(part, f.name), np.ndarray) and value.dtype == np.float64
    }
    return replace(part, **arrays)
