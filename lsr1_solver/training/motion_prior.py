"""Learn the motion prior from motion capture: covariances of velocities and accelerations.

From the training split's motions at 30 Hz and their mirror images. Which rate can be trusted: CMU's clips
(120 Hz) taken at lower rates. An error of the markers that is new in every frame makes an acceleration
proportional to rate^2. At 120 Hz that is nearly all there is; scaled down, it is two fifths of the joints'
variance at 60 Hz, a sixth at 30 Hz and a ninth at 24 Hz. 30 Hz is thus the highest rate whose accelerations
are the body's. Velocities hardly depend on it: 24 to 60 Hz differ by a fifth. `rate_rows` measures all this,
and the file's metadata holds it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from ..motion_prior import MOTION_SIZE, MotionPrior
from ..pose_prior import PosePrior
from ..rotation import continuous_axis_angle, matrix_to_axis_angle
from ..weight_files import write_arrays
from .limb_twist import plausible_poses
from .mocap import choose_frames
from .pose_prior import SOURCES, UNDRIVEN, UNDRIVEN_VARIANCE
from .retarget import MIRRORED_JOINTS, Motion

_log = logging.getLogger(__name__)

RATE = 30.0
COMPARED_RATES = (24.0, 30.0, 60.0, 120.0)
# Captured joints jump by up to half a turn for a frame; of each joint, what is beyond this quantile of its
# speeds (or accelerations) is shortened to it. The fastest one in a hundred is where jumps set in.
CLIPPED = 0.99
# Added to the variances: not every source moves every joint. (rad/s)^2, (rad/s^2)^2; m in place of rad.
FLOORS = (0.1**2, 2.0**2)
_ROTATIONS = 3 * JOINT_COUNT
# What a mirror (x -> -x) does to a rotation vector.
_TURNED_OVER = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Samples of ``velocity`` and ``acceleration`` [N, 25, 3]: root, 23 joints, pelvis; seconds."""

    velocity: np.ndarray
    acceleration: np.ndarray


def derivatives(motions: Sequence[Motion], prior: PosePrior, rate: float) -> Derivatives:
    """Of all motions taken at ``rate`` hertz, between plausible poses.

    Raises FitError where a motion is slower than ``rate``.
    """
    velocities, accelerations = [], []
    for motion in motions:
        frames, _ = choose_frames(len(motion.root), motion.frame_rate, rate, motion.name)
        rotations, root = motion.rotations[frames], motion.root[frames]
        joints = rotations[:, 1:] @ np.swapaxes(prior.mean_rotations, -1, -2)
        steps = np.empty((len(frames) - 1, JOINT_COUNT + 1, 3))
        steps[:, 0] = matrix_to_axis_angle(rotations[1:, 0] @ np.swapaxes(rotations[:-1, 0], -1, -2))
        steps[:, 1:-1] = np.diff(continuous_axis_angle(matrix_to_axis_angle(joints)), axis=0)
        steps[:, -1] = np.diff(root, axis=0)
        fine = plausible_poses(rotations)
        fine = fine[1:] & fine[:-1]
        velocities.append(rate * steps[fine])
        accelerations.append(rate**2 * np.diff(steps, axis=0)[fine[1:] & fine[:-1]])
    return Derivatives(np.concatenate(velocities), np.concatenate(accelerations))


def shortened(samples: np.ndarray) -> np.ndarray:
    """Each joint's vectors [N, 25, 3], none longer than the quantile `CLIPPED` of their lengths."""
    length = np.linalg.norm(samples, axis=-1)
    limit = np.quantile(length, CLIPPED, axis=0)
    return samples * np.minimum(1, limit / np.maximum(length, 1e-12))[..., None]


def learn_motion(samples: Derivatives, prior: PosePrior) -> MotionPrior:
    """The covariances of some samples and their mirror images."""
    velocity, acceleration = (
        _covariance(shortened(values), floor, prior)
        for values, floor in zip((samples.velocity, samples.acceleration), FLOORS, strict=True)
    )
    return MotionPrior(velocity, acceleration)


def _covariance(samples: np.ndarray, floor: float, prior: PosePrior) -> np.ndarray:
    rows = samples.reshape(len(samples), MOTION_SIZE)
    second = rows.T @ rows / len(rows)
    joints = slice(3, _ROTATIONS)
    covariance = np.zeros_like(second)
    for part in (slice(0, 3), slice(_ROTATIONS, MOTION_SIZE)):
        # The mean over all directions from which a camera may look.
        covariance[part, part] = np.trace(second[part, part]) / 3 * np.eye(3)
    covariance[joints, joints] = (second + mirrored_covariance(second))[joints, joints] / 2
    covariance += floor * np.eye(MOTION_SIZE)
    _move_hands(covariance, prior)
    return (covariance + covariance.T) / 2


def mirrored_covariance(covariance: np.ndarray) -> np.ndarray:
    """The covariance of the mirrored motions. [75, 75] -> [75, 75]."""
    order = np.append(3 * np.repeat(MIRRORED_JOINTS, 3), 3 * np.full(3, JOINT_COUNT))
    order += np.tile(np.arange(3), JOINT_COUNT + 1)
    signs = np.append(np.tile(_TURNED_OVER, JOINT_COUNT), -_TURNED_OVER)
    return signs[:, None] * covariance[np.ix_(order, order)] * signs


def _move_hands(covariance: np.ndarray, prior: PosePrior) -> None:
    """Hands, which no source moves, move as wrists do, in proportion to their spread in the pose prior."""
    for hand in UNDRIVEN:
        wrist, own = (
            slice(3 * j, 3 * j + 3)
            for j in (SMPL_JOINT_NAMES.index(hand.replace("hand", "wrist")), SMPL_JOINT_NAMES.index(hand))
        )
        spread = np.trace(
            prior.covariance[wrist.start - 3 : wrist.stop - 3, wrist.start - 3 : wrist.stop - 3]
        )
        share = 3 * UNDRIVEN_VARIANCE / spread
        covariance[own, :] = covariance[:, own] = 0
        covariance[own, own] = share * np.trace(covariance[wrist, wrist]) / 3 * np.eye(3)


def rate_rows(motions: Sequence[Motion], prior: PosePrior) -> list[dict[str, float]]:
    """At every compared rate, the root-mean-square velocity and acceleration of joints, root and pelvis.

    Of the motions recorded at the highest of these rates; jumps shortened as for the prior.
    """
    fast = [motion for motion in motions if motion.frame_rate >= 0.99 * COMPARED_RATES[-1]]
    rows = []
    for rate in COMPARED_RATES if fast else ():
        samples = derivatives(fast, prior, rate)
        row = {"rate_hz": rate}
        for name, values in (("velocity", samples.velocity), ("acceleration", samples.acceleration)):
            square = (shortened(values) ** 2).sum(axis=-1)
            row[f"joint_{name}"] = float(np.sqrt(square[:, 1:-1].mean()))
            row[f"root_{name}"] = float(np.sqrt(square[:, 0].mean()))
            row[f"pelvis_{name}"] = float(np.sqrt(square[:, -1].mean()))
        rows.append(row)
        _log.info(", ".join(f"{key} {value:.4g}" for key, value in row.items()))
    return rows


def save_motion_prior(
    path: Path, motion: MotionPrior, sample_count: int, rates: list[dict[str, float]]
) -> None:
    """Write the prior, its sources and how it was made."""
    metadata = {
        "what": "motion prior of LSR1 Body Fit: covariances of velocity (rad/s, m/s) and acceleration"
        " (rad/s^2, m/s^2) of the root, the joints' log(R_j R0_j^T) and the pelvis",
        "sources": SOURCES,
        "split": "train (without CMU 05, CMU 61, ACCAD Male1_C: test; CMU 49: validation)",
        "velocities": sample_count,
        "mirrored": True,
        "rate_hz": RATE,
        "clipped_quantile": CLIPPED,
        "variance_floors": FLOORS,
        "undriven_joints": UNDRIVEN,
        "root_mean_squares_by_rate": rates,
    }
    write_arrays(path, metadata, {"velocity": motion.velocity, "acceleration": motion.acceleration})
