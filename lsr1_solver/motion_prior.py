"""The motion prior: how fast joints, root and pelvis move and how fast that changes, from motion capture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .body_model import JOINT_COUNT
from .weight_files import check_covariance, read_arrays

MOTION_PRIOR = Path(__file__).resolve().parents[1] / "assets" / "motion_prior.npz"
# Rotation vectors of the root and the body's 23 joints, and the pelvis' place.
MOTION_SIZE = 3 * JOINT_COUNT + 3
_SHAPES = {"velocity": (MOTION_SIZE, MOTION_SIZE), "acceleration": (MOTION_SIZE, MOTION_SIZE)}


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """Covariances of the velocity and of the acceleration of ``x = [root 3, joints 69, pelvis 3]``.

    Both [75, 75], positive definite, zero mean, in units of time that no frame rate enters: rad/s and m/s,
    rad/s^2 and m/s^2. The joints are ``x_j = log(R_j R0_j^T)`` about the pose prior's mean rotations, in
    the parents' frames, on a branch of the logarithm that is continuous in time. Root (angular velocity) and
    pelvis know no direction, since a camera may look from anywhere, and are independent of the joints and
    of each other.
    """

    velocity: np.ndarray
    acceleration: np.ndarray


def load_motion_prior(path: str | Path = MOTION_PRIOR) -> MotionPrior:
    """Read a motion prior; without a path, the one that comes with the product.

    Raises FitError where the file is missing, damaged or no motion prior.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> MotionPrior:
    arrays = read_arrays(path, "motion prior", _SHAPES)
    for name, covariance in arrays.items():
        check_covariance(path, name, covariance)
    return MotionPrior(arrays["velocity"], arrays["acceleration"])
