"""Soft joint limits: hinges that do not bend backwards.

A limit speaks of a bone's direction: turning with its joint, seen in the parent's frame, it may lean towards
a forbidden direction by at most an angle. That stays smooth and unambiguous over the whole sphere, which
bounds on Euler angles do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import radians, sin

import numpy as np

from .arrays import Array, constant, namespace
from .body_model import SMPL_JOINT_NAMES
from .kinematics import PosedChain
from .rotation import cross_matrix

# (joint, its bone's direction in the T-pose, forbidden direction, allowed lean in degrees), y up, facing +z.
# Living knees and elbows over-extend by 5 to 10 degrees (Norkin & White, Measurement of Joint Motion).
HINGES = (
    ("left_knee", (0, -1, 0), (0, 0, 1), 5.0),
    ("right_knee", (0, -1, 0), (0, 0, 1), 5.0),
    ("left_elbow", (1, 0, 0), (0, 0, -1), 10.0),
    ("right_elbow", (-1, 0, 0), (0, 0, -1), 10.0),
)
# The sine by which a limit gives way at the cost of one standard deviation: about 3 degrees.
SOFTNESS = 0.05
JOINTS = np.array([SMPL_JOINT_NAMES.index(name) for name, _, _, _ in HINGES])
BONES = np.array([bone for _, bone, _, _ in HINGES], dtype=float)
FORBIDDEN = np.array([direction for _, _, direction, _ in HINGES], dtype=float)
ALLOWED = np.array([sin(radians(degrees)) for _, _, _, degrees in HINGES])
# [L, 9, 4]: what takes a flattened rotation R to the bone's lean n.(R b) and to its lever (R b) x n, as
# (b x n)^T = b^T [n]x; in standard deviations.
_BEND = np.concatenate([FORBIDDEN[..., None], cross_matrix(FORBIDDEN)], axis=-1) / SOFTNESS
_BEND = (_BEND[:, :, None] * BONES[:, None, :, None]).reshape(len(HINGES), 9, 4)
_BENT = ALLOWED / SOFTNESS


@cache
def _placement(size: int) -> np.ndarray:
    """[L, 3, size]: where each hinge's own three parameters stand among all."""
    place = np.zeros((len(HINGES), 3, size))
    for row, joint in enumerate(JOINTS):
        place[row, :, 3 * joint : 3 * joint + 3] = np.eye(3)
    return place


@dataclass(frozen=True, eq=False)
class LimitResidual:
    """``value`` [B, L] >= 0 in standard deviations; ``row`` [B, L, 3] its gradient in the joint's vector."""

    value: Array
    row: Array

    def rows(self, size: int) -> Array:
        """The Jacobian over ``size`` parameters. -> [B, L, size]."""
        return (self.row[:, :, None] @ constant(_placement(size), self.row))[:, :, 0]

    def gradient(self, size: int) -> Array:
        """The gradient of half the sum of squares over ``size`` parameters. -> [B, size]."""
        xp = namespace(self.row)
        force = xp.reshape(self.value[..., None] * self.row, (self.row.shape[0], -1))
        return force @ xp.reshape(constant(_placement(size), self.row), (-1, size))


def limit_residual(posed: PosedChain) -> LimitResidual:
    """How far each hinge bends the wrong way; zero within its range."""
    xp = namespace(posed.local)
    joints = constant(JOINTS, posed.local)
    hinges = xp.reshape(xp.take(posed.local, joints, axis=1), (-1, len(HINGES), 1, 9))
    bend = hinges @ constant(_BEND, hinges)
    excess = bend[:, :, 0, 0] - constant(_BENT, hinges)
    active = xp.astype(excess > 0, excess.dtype)
    # d(R b) = (J_l d) x (R b), so its lean towards n changes with J_l^T (R b x n).
    row = (bend[..., 1:] @ xp.take(posed.left_jacobian, joints, axis=1))[:, :, 0]
    return LimitResidual(excess * active, row * active[..., None])
