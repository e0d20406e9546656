"""Many plausible poses from the captured ones: mirrored, mixed, shaken, seated, kneeling."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from ..body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from ..limits import HINGES
from ..pose_prior import PosePrior
from ..rotation import axis_angle_to_matrix, matrix_to_axis_angle
from .config import PoseConfig
from .limb_twist import plausible_poses
from .pose_prior import deviations
from .retarget import mirror_rotations

_log = logging.getLogger(__name__)
_TILE = 8192


def _joints(*names: str) -> list[int]:
    return [SMPL_JOINT_NAMES.index(name) for name in names]


def _limb(side: str, *parts: str) -> list[int]:
    return _joints(*(f"{side}_{part}" for part in parts))


# Chains that may be exchanged for another pose's.
CHAINS = (
    _limb("left", "collar", "shoulder", "elbow", "wrist", "hand"),
    _limb("right", "collar", "shoulder", "elbow", "wrist", "hand"),
    _limb("left", "hip", "knee", "ankle", "foot"),
    _limb("right", "hip", "knee", "ankle", "foot"),
    _joints("neck", "head"),
)
LOWER_BODY = [0, *CHAINS[2], *CHAINS[3]]
UPPER_BODY = [j for j in range(JOINT_COUNT) if j not in LOWER_BODY]
# Degrees of hip flexion, hip abduction and knee flexion of a leg: on a chair, kneeling upright, kneeling on
# the heels, and the front leg of a kneeling person.
LEG_POSES = {
    "seated": ((60.0, 105.0), (-3.0, 25.0), (50.0, 115.0)),
    "kneeling": ((-10.0, 30.0), (0.0, 20.0), (75.0, 115.0)),
    "heels": ((30.0, 80.0), (0.0, 25.0), (120.0, 150.0)),
    "front": ((70.0, 110.0), (0.0, 30.0), (70.0, 115.0)),
}
# Which of these the two legs take.
LEG_PAIRS = (
    ("seated", "seated"), ("seated", "seated"), ("kneeling", "kneeling"), ("heels", "heels"),
    ("kneeling", "front"), ("front", "kneeling"),
)  # fmt: skip
# How far a made pose may overstep a hinge's limit: as far as captured ones do.
_HINGE_SLACK = 0.1


def plausibility(prior: PosePrior, rotations: np.ndarray) -> np.ndarray:
    """The squared Mahalanobis distance from the prior's mean. [N, 24, 3, 3] -> [N]."""
    white = np.linalg.solve(
        np.linalg.cholesky(prior.covariance), deviations(rotations, prior.mean_rotations).T
    )
    return (white**2).sum(axis=0)


def within_limits(rotations: np.ndarray) -> np.ndarray:
    """Poses whose knees and elbows do not bend backwards and whose thighs a hip can turn so. -> [N] bool."""
    fine = plausible_poses(rotations)
    for joint, bone, forbidden, degrees in HINGES:
        lean = rotations[:, SMPL_JOINT_NAMES.index(joint)] @ np.array(bone, float) @ np.array(forbidden)
        fine &= lean < np.sin(np.radians(degrees)) + _HINGE_SLACK
    return fine


def widen_poses(captured: np.ndarray, prior: PosePrior, config: PoseConfig, *, seed: int) -> np.ndarray:
    """``config.count`` poses made from the captured ones, as rotation vectors in half precision.

    ``captured`` [N, 24, 3, 3] in the parents' frames, the root's in a world with y up. -> [count, 24, 3]
    float16, radians.
    """
    limit = float(np.quantile(plausibility(prior, captured), 1 - config.implausible))
    found: list[np.ndarray] = []
    made = kept = 0
    random = np.random.default_rng([seed, 17])
    while kept < config.count:
        poses = _Maker(captured, config, random).make(_TILE)
        made += len(poses)
        poses = poses[within_limits(poses)]
        poses = poses[plausibility(prior, poses) <= limit]
        found.append(matrix_to_axis_angle(poses).astype(np.float16))
        kept += len(poses)
    _log.info("%d poses of %d were plausible (limit %.0f)", kept, made, limit)
    return np.concatenate(found)[: config.count]


@dataclass(frozen=True, eq=False)
class _Maker:
    captured: np.ndarray
    config: PoseConfig
    random: np.random.Generator

    def make(self, count: int) -> np.ndarray:
        config, random = self.config, self.random
        poses, other = self._draw(count), self._draw(count)
        between = random.uniform(size=count) < config.interpolated
        poses[between, 1:] = _interpolate(
            poses[between, 1:], other[between, 1:], random.uniform(0.2, 0.8, between.sum())
        )
        mixed = np.flatnonzero(random.uniform(size=count) < config.mixed)
        poses[mixed[:, None], UPPER_BODY] = self._draw(len(mixed))[:, UPPER_BODY]
        strong = random.uniform(size=count) < config.strong
        for chain in CHAINS:
            rows = np.flatnonzero(strong & (random.uniform(size=count) < config.exchanged))
            poses[rows[:, None], chain] = self._draw(len(rows))[:, chain]
        self._pose_legs(poses, np.flatnonzero(random.uniform(size=count) < config.posed))
        low, high = np.where(strong[:, None], config.strong_noise, config.mild_noise).T
        size = random.uniform(low, high)[:, None, None]
        poses = axis_angle_to_matrix(size * random.standard_normal((count, JOINT_COUNT, 3))) @ poses
        self._tip_pelvis(poses)
        tilted = strong & (random.uniform(size=count) < config.tilted)
        tilt = config.tilt * random.standard_normal((int(tilted.sum()), 3)) * [1.0, 0.0, 1.0]
        poses[tilted, 0] = axis_angle_to_matrix(tilt) @ poses[tilted, 0]
        return poses

    def _draw(self, count: int) -> np.ndarray:
        """Captured poses, half of them in the mirror."""
        poses = self.captured[self.random.integers(len(self.captured), size=count)]
        half = self.random.uniform(size=count) < 0.5
        poses[half] = mirror_rotations(poses[half])
        return poses

    def _tip_pelvis(self, poses: np.ndarray) -> None:
        """Tip every pelvis forwards or back between legs and spine that stay as they are."""
        tip = self.config.pelvis_tip * self.random.standard_normal(len(poses))
        poses[:, 0] = poses[:, 0] @ _about(0, tip)
        for joint in _joints("left_hip", "right_hip", "spine1"):
            poses[:, joint] = _about(0, -tip) @ poses[:, joint]

    def _pose_legs(self, poses: np.ndarray, rows: np.ndarray) -> None:
        """Seat the rows of ``poses`` or make them kneel: their legs bent within a living joint's limits."""
        random = self.random
        pair = random.integers(len(LEG_PAIRS), size=len(rows))
        for number, legs in enumerate(LEG_PAIRS):
            chosen = rows[pair == number]
            yaw = random.uniform(-np.pi, np.pi, len(chosen))
            lean = np.radians(random.uniform(-20, 20, len(chosen)))
            poses[chosen, 0] = _about(1, yaw) @ _about(0, lean)
            # What both legs share of a posture, and what is each leg's own.
            common = random.uniform(size=(len(chosen), 3))
            for side, leg in zip(("left", "right"), legs, strict=True):
                share = 0.7 * common + 0.3 * random.uniform(size=common.shape)
                low, high = np.array(LEG_POSES[leg]).T
                flexion, abduction, knee = np.radians(low + share * (high - low)).T
                hip, below, ankle = _limb(side, "hip", "knee", "ankle")
                outward = abduction if side == "left" else -abduction
                poses[chosen, hip] = _about(0, -flexion) @ _about(2, outward)
                poses[chosen, below] = _about(0, knee)
                poses[chosen, ankle] = _about(0, np.radians(random.uniform(-20, 40, len(chosen))))


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(angle[:, None] * np.eye(3)[axis])


def _interpolate(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The rotations at ``share`` of the way from a to b. [N, J, 3, 3] each, [N] -> the same."""
    step = matrix_to_axis_angle(np.swapaxes(a, -1, -2) @ b)
    return a @ axis_angle_to_matrix(share[:, None, None] * step)
