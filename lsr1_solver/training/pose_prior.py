"""Learn the pose prior from motion capture.

``python -m lsr1_solver.training.pose_prior MOCAP_FOLDER -o assets/pose_prior.npz``

The poses are those of the training split at 10 Hz, without those that nearly repeat another, each with its
mirror image, so that left and right are treated alike.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..body_model import SMPL_JOINT_NAMES
from ..errors import FitError
from ..pose_prior import BODY_JOINTS, POSE_PRIOR, PosePrior
from ..rotation import axis_angle_to_matrix, matrix_to_axis_angle
from ..weight_files import write_arrays
from .limb_twist import plausible_poses
from .retarget import Motion, load_motions, mirror_rotations, open_body_joints, world_joints

_log = logging.getLogger(__name__)

RATE = 10.0
# Poses closer than this (root-mean-square over the joints, metres) to one that is kept are left out.
SAME_POSE = 0.025
# Added to every variance, rad^2: what retargeting and markers do not know, and what keeps hinges invertible.
FLOOR = 0.05**2
# No source moves the hands against the wrists.
UNDRIVEN = ("left_hand", "right_hand")
UNDRIVEN_VARIANCE = 0.1**2
_BLOCK = 256

SOURCES = (
    "ACCAD motion capture: The Ohio State University, Advanced Computing Center for the Arts and Design,"
    " CC BY 3.0",
    "CMU motion capture: mocap.cs.cmu.edu, created with funding from NSF EIA-0196217",
)


def distinct_poses(rotations: np.ndarray, rest_joints: np.ndarray, distance: float = SAME_POSE) -> np.ndarray:
    """The poses to keep, so that none lies within ``distance`` of an earlier one that is kept.

    Distance is the root-mean-square over the 24 joints relative to the root and its orientation, metres.
    ``rotations`` [N, 24, 3, 3]; ``rest_joints`` [24, 3] -> indices [M], ascending.
    """
    upright = rotations.copy()
    upright[:, 0] = np.eye(3)
    _, positions = world_joints(upright, np.zeros((len(rotations), 3)), rest_joints)
    points = positions.reshape(len(positions), -1) / np.sqrt(positions.shape[1])
    squares = (points**2).sum(axis=1)
    kept = np.empty(0, dtype=int)
    for start in range(0, len(points), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(points)))
        apart = squares[block, None] + squares[kept] - 2 * points[block] @ points[kept].T
        block = block[(apart > distance**2).all(axis=1)]
        within = squares[block, None] + squares[block] - 2 * points[block] @ points[block].T
        chosen: list[int] = []
        for i in range(len(block)):
            if (within[i, chosen] > distance**2).all():
                chosen.append(i)
        kept = np.concatenate([kept, block[chosen]])
    return kept


def plausible(motions: Sequence[Motion]) -> np.ndarray:
    """The plausible poses of some motions. -> [N, 24, 3, 3]."""
    rotations = np.concatenate([motion.rotations for motion in motions])
    return rotations[plausible_poses(rotations)]


def mean_rotation(rotations: np.ndarray, *, iterations: int = 50) -> np.ndarray:
    """The Karcher mean: the rotation to which the deviations ``log(R R0^T)`` sum to zero.

    Moakher, *Means and averaging in the group of rotations*, 2002. ``rotations`` [N, 3, 3] -> [3, 3].
    """
    U, _, Vt = np.linalg.svd(rotations.mean(axis=0))
    mean = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    for _ in range(iterations):
        step = matrix_to_axis_angle(rotations @ mean.T).mean(axis=0)
        mean = axis_angle_to_matrix(step) @ mean
        if np.linalg.norm(step) < 1e-10:
            break
    return mean


def deviations(rotations: np.ndarray, mean_rotations: np.ndarray) -> np.ndarray:
    """``omega_j = log(R_j R0_j^T)``, radians. [N, 24, 3, 3] or [N, 23, 3, 3], [23, 3, 3] -> [N, 69]."""
    omega = matrix_to_axis_angle(rotations[:, -BODY_JOINTS:] @ np.swapaxes(mean_rotations, -1, -2))
    return omega.reshape(len(rotations), -1)


def learn(rotations: np.ndarray) -> PosePrior:
    """The Gaussian of some poses and their mirror images. ``rotations`` [N, 24, 3, 3]."""
    both = np.concatenate([rotations, mirror_rotations(rotations)])
    means = np.stack([mean_rotation(both[:, j]) for j in range(1, BODY_JOINTS + 1)])
    omega = deviations(both, means)
    covariance = omega.T @ omega / len(omega) + FLOOR * np.eye(omega.shape[1])
    for joint in UNDRIVEN:
        rows = slice(3 * (SMPL_JOINT_NAMES.index(joint) - 1), 3 * SMPL_JOINT_NAMES.index(joint))
        covariance[rows, rows] = UNDRIVEN_VARIANCE * np.eye(3)
    return PosePrior(means, (covariance + covariance.T) / 2)


def log_likelihood(prior: PosePrior, rotations: np.ndarray) -> np.ndarray:
    """The log density of the deviations of some poses. [N, 24, 3, 3] -> [N]."""
    omega = deviations(rotations, prior.mean_rotations)
    L = np.linalg.cholesky(prior.covariance)
    white = np.linalg.solve(L, omega.T)
    constant = np.log(np.diag(L)).sum() + 0.5 * len(L) * np.log(2 * np.pi)
    return -0.5 * (white**2).sum(axis=0) - constant


def sample_poses(prior: PosePrior, count: int, *, seed: int) -> np.ndarray:
    """Poses drawn from the prior, the root at rest. -> [count, 24, 3, 3]."""
    draws = np.random.default_rng(seed).standard_normal((count, len(prior.covariance)))
    omega = (draws @ np.linalg.cholesky(prior.covariance).T).reshape(count, BODY_JOINTS, 3)
    root = np.broadcast_to(np.eye(3), (count, 1, 3, 3))
    return np.concatenate([root, axis_angle_to_matrix(omega) @ prior.mean_rotations], axis=1)


def save(path: Path, prior: PosePrior, pose_count: int) -> None:
    """Write the prior, its sources and how it was made."""
    metadata = {
        "what": "pose prior of LSR1 Body Fit: R_j = exp(omega_j) R0_j, omega ~ N(0, covariance), radians",
        "sources": SOURCES,
        "split": "train (without CMU 05, CMU 61, ACCAD Male1_C: test; CMU 49: validation)",
        "poses": pose_count,
        "mirrored": True,
        "rate_hz": RATE,
        "same_pose_m": SAME_POSE,
        "variance_floor_rad2": FLOOR,
        "undriven_joints": UNDRIVEN,
        "undriven_variance_rad2": UNDRIVEN_VARIANCE,
    }
    arrays = {"mean_rotations": prior.mean_rotations, "covariance": prior.covariance}
    write_arrays(path, metadata, arrays)


def _report(prior: PosePrior, mocap_folder: Path, rest_joints: np.ndarray, train: np.ndarray) -> None:
    groups = {"train": train}
    for motion in load_motions(
        mocap_folder, rate=RATE, splits=("validation", "test"), rest_joints=rest_joints
    ):
        poses = plausible([motion])
        groups[motion.group] = np.concatenate([groups.get(motion.group, poses[:0]), poses])
    for group, poses in groups.items():
        likelihood = log_likelihood(prior, poses)
        _log.info(
            "%s: %d poses, log likelihood %.1f +- %.1f a pose",
            group,
            len(poses),
            likelihood.mean(),
            likelihood.std(),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lsr1_solver.training.pose_prior", description=__doc__)
    parser.add_argument("mocap_folder", type=Path, help="the folder of the motion capture's zip files")
    parser.add_argument("-o", "--output", type=Path, default=POSE_PRIOR)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        rest_joints = open_body_joints()
        motions = load_motions(options.mocap_folder, rate=RATE, splits=("train",), rest_joints=rest_joints)
        poses = plausible(motions)
        chosen = poses[distinct_poses(poses, rest_joints)]
        _log.info("%d clips, %d poses, %d of them distinct", len(motions), len(poses), len(chosen))
        prior = learn(chosen)
        save(options.output, prior, len(chosen))
        _log.info("wrote %s", options.output)
        _report(prior, options.mocap_folder, rest_joints, chosen)
    except FitError as error:
        _log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
