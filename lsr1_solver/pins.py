"""Pins: joints that are drawn to places in space, such as a foot to the floor or a hand to a prop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .arrays import Array, device, namespace
from .body_model import JOINT_COUNT, SMPL_JOINT_NAMES, BodyModel
from .errors import FitError
from .kinematics import KeypointChain, PosedChain, keypoint_chain, pull_back, row_jacobian


@dataclass(frozen=True, eq=False)
class Pins:
    """Where SMPL's joints shall be in B frames.

    ``target`` [B, 24, 3] camera axes, metres, NaN where a joint is free; ``sigma`` [B, 24] metres, how far
    from there costs one standard deviation (read only where there is a target).

    Raises FitError where the shapes disagree or a pin has no positive ``sigma``.
    """

    target: np.ndarray
    sigma: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.target)
        if self.target.shape != (frames, JOINT_COUNT, 3) or self.sigma.shape != (frames, JOINT_COUNT):
            raise FitError(
                f"Pins have shapes {self.target.shape} and {self.sigma.shape}; "
                f"right is ({frames}, {JOINT_COUNT}, 3) and ({frames}, {JOINT_COUNT})"
            )
        wrong = self.known & ~((self.sigma > 0) & np.isfinite(self.sigma))
        if wrong.any():
            frame, joint = np.argwhere(wrong)[0]
            raise FitError(
                f"The pin of {SMPL_JOINT_NAMES[joint]!r} in row {frame} needs a positive sigma in metres"
            )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def known(self) -> np.ndarray:
        """[B, 24] which joints are pinned."""
        return np.all(np.isfinite(self.target), axis=-1)

    @property
    def joints(self) -> np.ndarray:
        """[M] the joints that are pinned in any frame."""
        return np.flatnonzero(self.known.any(axis=0))

    def frames(self, index: np.ndarray | slice) -> Pins:
        """The pins of some frames."""
        return Pins(self.target[index], self.sigma[index])

    def turned(self, turn: np.ndarray, body: BodyModel, shape_count: int) -> Pinned | None:
        """The term of the energy in axes turned by ``turn`` [B, 3, 3]; None where nothing is pinned."""
        joints = self.joints
        if not len(joints):
            return None
        known = self.known[:, joints]
        target = np.where(known[..., None], self.target[:, joints], 0.0) @ np.swapaxes(turn, -1, -2)
        weight = np.where(known, 1 / np.where(known, self.sigma[:, joints], 1.0) ** 2, 0.0)
        chain = keypoint_chain(body, [SMPL_JOINT_NAMES[j] for j in joints], shape_count=shape_count)
        return Pinned(chain, joints, target, weight)


@dataclass(frozen=True, eq=False)
class Pinned:
    """The pins' term of an energy, ``sum_m w_m |p_m - target_m|^2 / 2``.

    ``chain`` of the M pinned ``joints`` [M]; ``target`` [B, M, 3] metres; ``weight`` [B, M] in 1/metres^2.
    """

    chain: KeypointChain
    joints: np.ndarray
    target: Array
    weight: Array

    def select(self, index: np.ndarray | slice) -> Pinned:
        """The term for some problems of the batch."""
        return replace(self, target=self.target[index], weight=self.weight[index])

    def energy(self, posed: PosedChain) -> Array:
        """[B]."""
        xp = namespace(self.target)
        difference = self._posed(posed).points - self.target
        return 0.5 * xp.sum(self.weight[..., None] * difference * difference, axis=(1, 2))

    def gradient(self, posed: PosedChain) -> Array:
        """The energy's, with respect to the parameters. -> [B, P]."""
        own = self._posed(posed)
        return pull_back(self.chain, own, self.weight[..., None] * (own.points - self.target))

    def rows(self, posed: PosedChain) -> Array:
        """The Gauss-Newton rows [B, 3 M, P]."""
        xp = namespace(self.target)
        eye = xp.eye(3, dtype=self.target.dtype, device=device(self.target))
        return row_jacobian(self.chain, self._posed(posed), xp.sqrt(self.weight)[..., None, None] * eye)

    def _posed(self, posed: PosedChain) -> PosedChain:
        """The pinned joints of a pose that is known already: a joint is a point fixed to itself."""
        points = posed.positions[:, self.joints]
        return replace(posed, points=points, attached=points)
