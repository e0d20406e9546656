"""The energy of a fit in whitened coordinates, with its analytic gradient and its Gauss-Newton form.

The parameters are ``x = offset + spread * (A z)``: 24 rotation vectors around given centres, the pelvis and
the betas, where ``A A^T`` is the prior's covariance. In ``z`` the prior is half the squared length, and one
unit of every coordinate is one standard deviation, so no minimizer needs to know radians from metres.

    E(z) = sum_k c_k rho(|reprojection_k| / 1 % of the height) + limits + 3D keypoints + pins + w |z|^2 / 2
    rho(r) = delta^2 (sqrt(1 + r^2 / delta^2) - 1)                                       (pseudo-Huber)
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from .arrays import Array, at_least, device, namespace
from .kinematics import KeypointChain, PosedChain, pose_chain, pull_back, row_jacobian
from .limits import LimitResidual, limit_residual
from .minimizer import choose
from .pins import Pinned

# Metres: a point nearer than this to the camera's plane is taken to be there, and its residual is flat.
NEAREST = 0.05


@dataclass(frozen=True, eq=False)
class Objective:
    """B independent problems with n unknowns each, on numpy or torch.

    ``centre`` [B, 24, 3, 3]; ``offset`` and ``spread`` [B, P]; ``basis`` [P, n] is A, [B, P, n] where every
    problem has its own. ``target`` [B, K, 2] keypoints on the image plane of a camera that looks along -z;
    ``confidence`` [B, K]; ``unit`` [B] is 1 % of the person's height on the image plane. ``target_3d``
    [B, K, 3] metres in the same axes, of which only the shape counts, not the place, with ``confidence_3d``
    [B, K] in 1/metres^2. ``pinned`` joints are drawn to places.
    """

    chain: KeypointChain
    centre: Array
    offset: Array
    spread: Array
    basis: Array
    target: Array
    confidence: Array
    unit: Array
    prior_weight: float = 1.0
    limit_weight: float = 1.0
    delta: float = 1.5
    target_3d: Array | None = None
    confidence_3d: Array | None = None
    pinned: Pinned | None = None

    @property
    def dimension(self) -> int:
        """n, the number of unknowns of one problem."""
        return self.basis.shape[-1]

    def __len__(self) -> int:
        return self.offset.shape[0]

    def start(self) -> Array:
        """The prior's centre, z = 0. -> [B, n]."""
        xp = namespace(self.offset)
        return xp.zeros((len(self), self.dimension), dtype=self.offset.dtype, device=device(self.offset))

    def parameters(self, z: Array) -> Array:
        """``x`` [B, P] of ``z`` [B, n]."""
        return self.offset + self.spread * self._unwhiten(z)

    def pose(self, z: Array) -> PosedChain:
        """The keypoints and joints at ``z``."""
        return pose_chain(self.chain, self.centre, self.parameters(z))

    def energy_and_gradient(self, z: Array) -> tuple[Array, Array]:
        """Each problem's energy [B] and its gradient [B, n]."""
        return self.energy_and_pulled_gradient(z, self.pose(z), 0.0)

    def energy_and_pulled_gradient(
        self, z: Array, posed: PosedChain, pull: Array | float
    ) -> tuple[Array, Array]:
        """As ``energy_and_gradient``, of a known pose whose keypoints are pulled by ``pull`` [B, K, 3].

        The pull is the gradient of a further energy at the keypoints; that energy itself is not counted.
        """
        return self._energy_and_gradient(z, posed, self._projected(posed.points), limit_residual(posed), pull)

    def _energy_and_gradient(
        self, z: Array, posed: PosedChain, projected: _Projected, limits: LimitResidual, pull: Array | float
    ) -> tuple[Array, Array]:
        xp = namespace(z)
        energy, force = self._data_terms(posed.points, projected)
        energy = energy + 0.5 * self.limit_weight * xp.sum(limits.value * limits.value, axis=-1)
        energy = energy + 0.5 * self.prior_weight * xp.sum(z * z, axis=-1)
        by_x = pull_back(self.chain, posed, force + pull)
        by_x = by_x + self.limit_weight * limits.gradient(self.chain.size)
        if self.pinned is not None:
            by_pins, pulled = self.pinned.energy_and_gradient(posed)
            energy, by_x = energy + by_pins, by_x + pulled
        return energy, self._whiten(by_x * self.spread) + self.prior_weight * z

    def linearize(self, z: Array) -> Linearization:
        """Energy, gradient and the Gauss-Newton Jacobian at ``z``, sharing the forward pass."""
        xp = namespace(z)
        posed = self.pose(z)
        projected, limits = self._projected(posed.points), limit_residual(posed)
        energy, gradient = self._energy_and_gradient(z, posed, projected, limits, 0.0)
        rows = [self._reprojection_rows(posed, projected), self._limit_rows(limits)]
        if self.target_3d is not None:
            rows.append(self._rows_3d(posed))
        if self.pinned is not None:
            rows.append(self.pinned.rows(posed))
        J = (xp.concat(rows, axis=1) * self.spread[:, None]) @ self.basis
        return Linearization(energy, gradient, J, self.prior_weight)

    def _unwhiten(self, z: Array) -> Array:
        """``A z`` [B, P]."""
        return z @ self.basis.T if self.basis.ndim == 2 else (self.basis @ z[..., None])[..., 0]

    def _whiten(self, by_x: Array) -> Array:
        """``A^T by_x`` [B, n]."""
        return by_x @ self.basis if self.basis.ndim == 2 else (by_x[:, None] @ self.basis)[:, 0]

    def _own(self) -> dict[str, Array]:
        """The arrays with a row for every problem."""
        shared = ("chain", "pinned", "prior_weight", "limit_weight", "delta")
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in shared}
        if self.basis.ndim == 2:
            del own["basis"]
        return {name: array for name, array in own.items() if array is not None}

    def select(self, index: np.ndarray | slice) -> Objective:
        """The chosen problems of the batch."""
        pinned = None if self.pinned is None else self.pinned.select(index)
        return replace(self, pinned=pinned, **{name: array[index] for name, array in self._own().items()})

    def merge(self, index: np.ndarray, other: Objective) -> Objective:
        """The batch with the problems at ``index`` in place of its own; numpy only."""
        merged = {name: array.copy() for name, array in self._own().items()}
        for name, array in other._own().items():
            merged[name][index] = array
        return replace(self, **merged)

    def reprojection(self, points: Array) -> tuple[Array, Array, Array]:
        """Residuals [B, K, 2] in units of 1 % of the height, image-plane points [B, K, 2], depths [B, K]."""
        depth = at_least(-points[..., 2], NEAREST)
        plane = points[..., :2] / depth[..., None]
        return (plane - self.target) / self.unit[:, None, None], plane, depth

    def _projected(self, points: Array) -> _Projected:
        """What the energy, its gradient and its Jacobian all need of the points [B, K, 3]."""
        xp = namespace(points)
        residual, plane, depth = self.reprojection(points)
        root = xp.sqrt(1 + xp.sum(residual * residual, axis=-1) / self.delta**2)
        in_front = xp.astype(points[..., 2:] < -NEAREST, points.dtype)
        return _Projected(residual, plane * in_front, depth * self.unit[:, None], root)

    def _data_terms(self, points: Array, projected: _Projected) -> tuple[Array, Array]:
        """Energy [B] of the keypoints and its gradient at the points [B, K, 3]."""
        xp = namespace(points)
        root = projected.root
        energy = xp.sum(self.confidence * (root - 1), axis=-1) * self.delta**2
        pull = (self.confidence / (root * projected.metre))[..., None] * projected.residual
        along = xp.sum(pull * projected.along, axis=-1)[..., None]
        force = xp.concat([pull, along], axis=-1)
        if self.target_3d is not None:
            residual_3d, weight = self._residual_3d(points)
            weighted = weight[..., None] * residual_3d
            energy = energy + 0.5 * xp.sum(weighted * residual_3d, axis=(1, 2))
            force = (
                force + weighted
            )  # the weighted residuals sum to zero: centring has no gradient of its own
        return energy, force

    def _residual_3d(self, points: Array) -> tuple[Array, Array]:
        """Differences [B, K, 3] to the 3D keypoints after their weighted means are aligned, and weights."""
        xp = namespace(points)
        weight = self.confidence_3d
        assert weight is not None and self.target_3d is not None
        total = at_least(xp.sum(weight, axis=1), 1e-12)
        difference = points - self.target_3d
        mean = xp.sum(weight[..., None] * difference, axis=1) / total[:, None]
        return difference - mean[:, None], weight

    def _reprojection_rows(self, posed: PosedChain, projected: _Projected) -> Array:
        """[B, 2 K, P]; the robust weight is that of iteratively reweighted least squares."""
        xp = namespace(posed.points)
        along = projected.along[..., None]
        scale = xp.sqrt(self.confidence / projected.root) / projected.metre
        across = xp.zeros_like(along) + xp.eye(2, dtype=along.dtype, device=device(along))
        directions = scale[..., None, None] * xp.concat([across, along], axis=-1)
        return row_jacobian(self.chain, posed, directions)

    def _limit_rows(self, limits: LimitResidual) -> Array:
        return self.limit_weight**0.5 * limits.rows(self.chain.size)

    def _rows_3d(self, posed: PosedChain) -> Array:
        """[B, 3 K, P]: the centring subtracts the weighted mean of the rows."""
        xp = namespace(posed.points)
        weight = self.confidence_3d
        assert weight is not None
        batch, count = weight.shape
        eye = xp.eye(3, dtype=weight.dtype, device=device(weight))
        rows = row_jacobian(self.chain, posed, xp.broadcast_to(eye, (batch, count, 3, 3)))
        rows = xp.reshape(rows, (batch, count, 3, -1))
        total = at_least(xp.sum(weight, axis=1), 1e-12)
        mean = xp.sum(weight[..., None, None] * rows, axis=1) / total[:, None, None]
        rows = xp.sqrt(weight)[..., None, None] * (rows - mean[:, None])
        return xp.reshape(rows, (batch, 3 * count, -1))


@dataclass(frozen=True, eq=False)
class _Projected:
    """What energy, gradient and Jacobian share of B problems' points.

    ``residual`` [B, K, 2] in units of 1 % of the height, ``metre`` [B, K] one unit at a point's depth,
    ``along`` [B, K, 2] the units by which a residual grows when the point comes one unit nearer, and ``root``
    [B, K] of the robust norm.
    """

    residual: Array
    along: Array
    metre: Array
    root: Array


@dataclass(frozen=True, eq=False)
class Linearization:
    """Energy [B], gradient [B, n], and the Gauss-Newton matrix ``w I + J^T J`` by its factor J [B, m, n]."""

    energy: Array
    gradient: Array
    J: Array
    prior_weight: float

    def where(self, mask: Array, other: Linearization) -> Linearization:
        """This one for the problems of ``mask`` [B], the other for the rest."""
        return Linearization(
            choose(mask, self.energy, other.energy),
            choose(mask, self.gradient, other.gradient),
            choose(mask, self.J, other.J),
            self.prior_weight,
        )

    def inverse_factor(self) -> DenseFactor | LowRankFactor:
        """``S`` with ``S S^T = (w I + J^T J)^-1``, by one Cholesky factor of the smaller Gram matrix.

        With ``K = J / sqrt(w)`` and ``I + K K^T = L L^T``: ``S = (I - K^T (L L^T + L^T)^-1 K) / sqrt(w)``. A
        prior weight of zero is taken as one hundredth: J alone need not have full rank.
        """
        xp = namespace(self.J)
        m, n = self.J.shape[1:]
        root = max(self.prior_weight, 0.01) ** 0.5
        K = self.J / root
        transposed = xp.matrix_transpose(K)
        eye = xp.eye(min(m, n), dtype=K.dtype, device=device(K))
        if m >= n:  # (C C^T)^-1 = C^-T C^-1
            C = xp.linalg.cholesky(eye + transposed @ K)
            return DenseFactor(xp.matrix_transpose(xp.linalg.inv(C)) / root)
        gram = eye + K @ transposed
        inner = xp.linalg.inv(gram + xp.matrix_transpose(xp.linalg.cholesky(gram)))
        return LowRankFactor(K, inner, root)

    def solve(self, damping: Array) -> Array:
        """The step ``-(J^T J + (w + damping) I)^-1 gradient``, [B, n], by the smaller of the two systems.

        ``damping`` [B] > 0. With fewer rows than unknowns (m < n) the identity
        ``(c I + J^T J)^-1 = (I - J^T (c I + J J^T)^-1 J) / c`` needs an m x m solve only.
        """
        xp = namespace(self.J)
        m, n = self.J.shape[1:]
        transposed = xp.matrix_transpose(self.J)
        c = (self.prior_weight + damping)[:, None, None]
        g = self.gradient[..., None]
        eye = xp.eye(min(m, n), dtype=g.dtype, device=device(g))
        if m >= n:
            return -xp.linalg.solve(c * eye + transposed @ self.J, g)[..., 0]
        inner = xp.linalg.solve(c * eye + self.J @ transposed, self.J @ g)
        return -((g - transposed @ inner) / c)[..., 0]


@dataclass(frozen=True, eq=False)
class DenseFactor:
    """A factor as a matrix, ``S`` [B, n, n]."""

    S: Array

    def times(self, u: Array) -> Array:
        """``S u``; ``u`` [B, n]."""
        return (self.S @ u[..., None])[..., 0]

    def transposed_times(self, u: Array) -> Array:
        """``S^T u``; ``u`` [B, n]."""
        return (u[:, None, :] @ self.S)[:, 0]


@dataclass(frozen=True, eq=False)
class LowRankFactor:
    """A factor ``S = (I - K^T M K) / root`` by its parts: ``K`` [B, m, n], ``inner`` M [B, m, m], m < n."""

    K: Array
    inner: Array
    root: float

    def times(self, u: Array) -> Array:
        """``S u``; ``u`` [B, n]."""
        v = self.inner @ (self.K @ u[..., None])
        return (u - (namespace(u).matrix_transpose(self.K) @ v)[..., 0]) / self.root

    def transposed_times(self, u: Array) -> Array:
        """``S^T u``; ``u`` [B, n]."""
        v = namespace(u).matrix_transpose(self.inner) @ (self.K @ u[..., None])
        return (u - (namespace(u).matrix_transpose(self.K) @ v)[..., 0]) / self.root
