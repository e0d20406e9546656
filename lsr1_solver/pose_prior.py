"""The pose prior: a Gaussian over deviations from a mean pose, learned from motion capture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .body_model import JOINT_COUNT
from .errors import FitError
from .weight_files import check_covariance, read_arrays

POSE_PRIOR = Path(__file__).resolve().parents[1] / "assets" / "pose_prior.npz"
BODY_JOINTS = JOINT_COUNT - 1
_SHAPES = {"mean_rotations": (BODY_JOINTS, 3, 3), "covariance": (3 * BODY_JOINTS, 3 * BODY_JOINTS)}


@dataclass(frozen=True, eq=False)
class PosePrior:
    """The 23 joints below the root: R_j = exp([omega_j]x) R0_j with omega ~ N(0, covariance).

    ``mean_rotations`` [23, 3, 3], R0, in the parents' frames; ``covariance`` [69, 69], rad^2, of the stacked
    omegas (axis-angle in the parents' frames), positive definite.
    """

    mean_rotations: np.ndarray
    covariance: np.ndarray


def load_pose_prior(path: str | Path = POSE_PRIOR) -> PosePrior:
    """Read a pose prior; without a path, the one that comes with the product.

    Raises FitError where the file is missing, damaged or no pose prior.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> PosePrior:
    arrays = read_arrays(path, "pose prior", _SHAPES)
    rotations = arrays["mean_rotations"]
    square = rotations @ np.swapaxes(rotations, -1, -2)
    if np.abs(square - np.eye(3)).max() > 1e-4 or np.linalg.det(rotations).min() < 0:
        raise FitError(f"{path}: mean_rotations must be rotation matrices")
    check_covariance(path, "covariance", arrays["covariance"])
    return PosePrior(rotations, arrays["covariance"])
