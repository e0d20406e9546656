"""Frames of a clip tied together: the temporal term, and poses for frames without keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body_model import JOINT_COUNT, BodyPose
from .kinematics import PosedChain, row_jacobian
from .objective import Linearization, Objective
from .rotation import axis_angle_to_matrix, matrix_to_axis_angle

# The acceleration that costs one standard deviation at weight 1: metres per frame squared.
ACCELERATION_SIGMA = 0.01
# Conjugate gradients inside one Gauss-Newton step: to this share of the gradient, or this many products.
CG_TOLERANCE, CG_STEPS = 1e-3, 200


def _second_difference(path: np.ndarray) -> np.ndarray:
    """``p[t-1] - 2 p[t] + p[t+1]`` over the first axis, two frames shorter."""
    return path[2:] - 2 * path[1:-1] + path[:-2]


def _second_difference_transposed(a: np.ndarray) -> np.ndarray:
    out = np.zeros((len(a) + 2, *a.shape[1:]))
    out[:-2] += a
    out[1:-1] -= 2 * a
    out[2:] += a
    return out


@dataclass(frozen=True, eq=False)
class ClipObjective:
    """T frames as one problem: the frames' own energies and the accelerations of the 24 joints.

    ``E = sum_t E_t(z_t) + w / 2 sum_t |p(t-1) - 2 p(t) + p(t+1)|^2`` with joints ``p`` in camera axes;
    ``weight`` w in 1/metres^2. ``frames``' last 24 keypoints are the joints; ``turn`` [T, 3, 3] takes camera
    axes to each frame's own. The one unknown is ``z`` [1, T n].
    """

    frames: Objective
    turn: np.ndarray
    weight: float

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The clip's energy [1] and gradient [1, T n]."""
        posed = self.frames.pose(self.by_frame(z))
        return self._evaluate(z, posed)

    def linearize(self, z: np.ndarray) -> ClipLinearization:
        """Energy, gradient and the Gauss-Newton model of the whole clip."""
        rows = self.by_frame(z)
        posed = self.frames.pose(rows)
        energy, gradient = self._evaluate(z, posed)
        axes = np.broadcast_to(self.turn[:, None], (len(rows), len(self.frames.chain.landmarks), 3, 3))
        joints = row_jacobian(self.frames.chain, posed, axes)[:, -3 * JOINT_COUNT :]
        joints = (joints * self.frames.spread[:, None]) @ self.frames.basis
        return ClipLinearization(energy, gradient, self.frames.linearize(rows), joints, self.weight)

    def by_frame(self, z: np.ndarray) -> np.ndarray:
        """[1, T n] -> [T, n]."""
        return z.reshape(len(self.frames), -1)

    def _evaluate(self, z: np.ndarray, posed: PosedChain) -> tuple[np.ndarray, np.ndarray]:
        joints = posed.points[:, -JOINT_COUNT:] @ self.turn
        acceleration = _second_difference(joints)
        force = np.zeros_like(posed.points)
        on_joints = self.weight * _second_difference_transposed(acceleration)
        force[:, -JOINT_COUNT:] = on_joints @ np.swapaxes(self.turn, -1, -2)
        energy, gradient = self.frames.energy_and_pulled_gradient(self.by_frame(z), posed, force)
        total = energy.sum() + 0.5 * self.weight * np.sum(acceleration**2)
        return np.array([total]), gradient.reshape(1, -1)


@dataclass(frozen=True, eq=False)
class ClipLinearization:
    """The Gauss-Newton model of a clip: the frames' own, tied by the joints' Jacobian [T, 72, n]."""

    energy: np.ndarray
    gradient: np.ndarray
    frames: Linearization
    joints: np.ndarray
    weight: float

    def solve(self, damping: np.ndarray) -> np.ndarray:
        """The damped step [1, T n] by conjugate gradients, the frames' own matrices as preconditioner."""
        J, P = self.frames.J, self.joints
        shift = self.frames.prior_weight + float(damping[0])
        b = -self.gradient.reshape(len(J), -1)
        block = shift * np.eye(J.shape[2]) + np.swapaxes(J, 1, 2) @ J
        inverse = np.linalg.inv(block + 6 * self.weight * np.swapaxes(P, 1, 2) @ P)
        x, r = np.zeros_like(b), b
        y = (inverse @ r[..., None])[..., 0]
        p, ry = y, np.sum(r * y)
        enough = CG_TOLERANCE**2 * ry
        for _ in range(CG_STEPS):
            if ry <= enough:
                break
            Hp = self._product(p) + damping[0] * p
            step = ry / np.sum(p * Hp)
            x, r = x + step * p, r - step * Hp
            y = (inverse @ r[..., None])[..., 0]
            ry, old = np.sum(r * y), ry
            p = y + ry / old * p
        return x.reshape(1, -1)

    def _product(self, v: np.ndarray) -> np.ndarray:
        """The model's matrix times ``v`` [T, n] -> [T, n]."""
        J, P = self.frames.J, self.joints
        path = (P @ v[..., None])[..., 0]
        tied = self.weight * _second_difference_transposed(_second_difference(path))
        own = np.swapaxes(J, 1, 2) @ (J @ v[..., None]) + np.swapaxes(P, 1, 2) @ tied[..., None]
        return self.frames.prior_weight * v + own[..., 0]

    def inverse_factor(self) -> None:
        """Too large to form."""

    def where(self, mask: np.ndarray, other: ClipLinearization) -> ClipLinearization:
        """This model if the one problem's ``mask`` [1] is set, else the other."""
        return self if mask[0] else other


def bridge_gaps(pose: BodyPose, known: np.ndarray) -> BodyPose:
    """Poses for the frames that have none: turned and moved evenly between the nearest known frames.

    ``known`` [B] with at least one frame set; before the first and after the last the pose is held.
    """
    frames = np.arange(len(pose))
    at = np.flatnonzero(known)
    after = np.clip(np.searchsorted(at, frames), 0, len(at) - 1)
    before = np.where(at[after] == frames, after, np.maximum(after - 1, 0))
    left, right = at[before], at[after]
    share = np.clip((frames - left) / np.maximum(right - left, 1), 0.0, 1.0)

    def between(values: np.ndarray) -> np.ndarray:
        w = share.reshape(-1, *([1] * (values.ndim - 1)))
        return (1 - w) * values[left] + w * values[right]

    def turned(omega: np.ndarray) -> np.ndarray:
        R = axis_angle_to_matrix(omega)
        way = matrix_to_axis_angle(R[right] @ np.swapaxes(R[left], -1, -2))
        w = share.reshape(-1, *([1] * (omega.ndim - 1)))
        moved = matrix_to_axis_angle(axis_angle_to_matrix(w * way) @ R[left])
        known_rows = known.reshape(w.shape)
        return np.where(known_rows, omega, moved)

    return BodyPose(
        turned(pose.global_orient), turned(pose.body_pose), between(pose.betas), between(pose.transl)
    )
