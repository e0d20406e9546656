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

from .arrays import Array, at_least, constant, device, namespace
from .body_model import JOINT_COUNT
from .gauss_newton import Linearization
from .kinematics import (
    ROTATION_SIZE,
    KeypointChain,
    PosedChain,
    keypoints_at,
    pose_chain,
    pull_back,
    row_jacobian,
)
from .limits import LimitResidual, limit_residual
from .pins import Pinned
from .rotation import axis_angle_to_matrix

# Metres: a point nearer than this to the camera's plane is taken to be there, and its residual is flat.
NEAREST = 0.05
# The two directions across the view.
_ACROSS = np.eye(2)


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

    def points(self, z: Array) -> Array:
        """The keypoints alone, [B, K, 3]: half the work of `pose`."""
        x = self.parameters(z)
        return keypoints_at(self.chain, self.rotations(x), x)

    def rotations(self, x: Array) -> Array:
        """The joints' rotations in their parents' frames at ``x`` [B, P]. -> [B, 24, 3, 3]."""
        omega = namespace(x).reshape(x[:, :ROTATION_SIZE], (-1, JOINT_COUNT, 3))
        return axis_angle_to_matrix(omega) @ self.centre

    def energy_and_gradient(self, z: Array) -> tuple[Array, Array]:
        """Each problem's energy [B] and its gradient [B, n]."""
        point = self._point(z)
        return self._energy(point), self._gradient(point)

    def linearize(self, z: Array) -> Linearization:
        """The energy at ``z``; its gradient and its Gauss-Newton Jacobian share that pose, once asked for."""
        point = self._point(z)
        return Linearization(
            self._energy(point),
            self.prior_weight,
            lambda: self._gradient(point),
            lambda: self._jacobian(point),
        )

    def _point(self, z: Array) -> _Point:
        posed = self.pose(z)
        return _Point(z, posed, self._projected(posed.points), limit_residual(posed))

    def _energy(self, point: _Point) -> Array:
        """[B]."""
        xp = namespace(point.z)
        energy = self._data_energy(point.posed.points, point.projected)
        energy = energy + 0.5 * self.limit_weight * xp.sum(point.limits.value * point.limits.value, axis=-1)
        energy = energy + 0.5 * self.prior_weight * xp.sum(point.z * point.z, axis=-1)
        return energy if self.pinned is None else energy + self.pinned.energy(point.posed)

    def _gradient(self, point: _Point) -> Array:
        """[B, n]."""
        by_x = pull_back(self.chain, point.posed, self._data_force(point.posed.points, point.projected))
        by_x = by_x + self.limit_weight * point.limits.gradient(self.chain.size)
        if self.pinned is not None:
            by_x = by_x + self.pinned.gradient(point.posed)
        return self._whiten(by_x * self.spread) + self.prior_weight * point.z

    def _jacobian(self, point: _Point) -> Array:
        """[B, m, n]: a row for every residual but the prior's."""
        xp = namespace(point.z)
        rows = [self._reprojection_rows(point.posed, point.projected), self._limit_rows(point.limits)]
        if self.target_3d is not None:
            rows.append(self._rows_3d(point.posed))
        if self.pinned is not None:
            rows.append(self.pinned.rows(point.posed))
        return (xp.concat(rows, axis=1) * self.spread[:, None]) @ self.basis

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

    def _data_energy(self, points: Array, projected: _Projected) -> Array:
        """Of the keypoints at the points [B, K, 3]. -> [B]."""
        xp = namespace(points)
        energy = xp.sum(self.confidence * (projected.root - 1), axis=-1) * self.delta**2
        if self.target_3d is not None:
            residual_3d, weight = self._residual_3d(points)
            energy = energy + 0.5 * xp.sum(weight[..., None] * residual_3d * residual_3d, axis=(1, 2))
        return energy

    def _data_force(self, points: Array, projected: _Projected) -> Array:
        """The gradient of `_data_energy` at the points. -> [B, K, 3]."""
        xp = namespace(points)
        pull = (self.confidence / (projected.root * projected.metre))[..., None] * projected.residual
        along = xp.sum(pull * projected.along, axis=-1)[..., None]
        force = xp.concat([pull, along], axis=-1)
        if self.target_3d is not None:
            # The weighted residuals sum to zero: centring has no gradient of its own.
            residual_3d, weight = self._residual_3d(points)
            force = force + weight[..., None] * residual_3d
        return force

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
        across = xp.broadcast_to(constant(_ACROSS, along), (*along.shape[:2], 2, 2))
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
class _Point:
    """Where B problems stand: ``z`` [B, n] and the residuals there."""

    z: Array
    posed: PosedChain
    projected: _Projected
    limits: LimitResidual
