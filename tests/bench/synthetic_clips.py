"""Motion capture before one camera a clip: keypoints with a detector's faults in time, and the truth.

T frames, K keypoints. The camera stands still, or turns to follow the person. Noise is correlated in time,
and points are missing in runs, since what hides an elbow hides it for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lsr1_solver import BodyModel
from lsr1_solver.kinematics import BETAS_START, PELVIS, keypoint_chain, pose_chain
from lsr1_solver.rotation import axis_angle_to_matrix
from lsr1_solver.training.retarget import Motion

IMAGE_SIZE = (1920, 1080)
PITCH, ROLL = (-15.0, 35.0), 5.0  # degrees; looking down is positive
DISTANCE, LENS = (2.5, 10.0), (24.0, 85.0)  # metres; mm on a sensor 36 mm long
NEAREST = 1.0  # metres from the camera to any point
# Seconds over which noise is correlated, and of the runs in which a keypoint is missing.
CORRELATION, MISSING_RUN = 0.1, (0.17, 0.5)


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """A person's keypoints in a clip and where they really are.

    ``xy`` [T, K, 2] pixels and ``confidence`` [T, K] (0 and xy 0 where missing); ``exact`` [T, K, 2] without
    noise; ``points`` [T, K, 3] in the world, metres, y up; ``person_height`` [T] pixels.
    """

    name: str
    landmarks: tuple[str, ...]
    frame_rate: float
    xy: np.ndarray
    confidence: np.ndarray
    exact: np.ndarray
    points: np.ndarray
    person_height: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def frames(self, index: slice | np.ndarray) -> SyntheticClip:
        """Some of the frames."""
        names = ("xy", "confidence", "exact", "points", "person_height")
        return replace(self, **{name: getattr(self, name)[index] for name in names})


def world_points(motion: Motion, body: BodyModel, landmarks: Sequence[str], betas: np.ndarray) -> np.ndarray:
    """The landmarks in the motion's world. ``betas`` [S] -> [T, K, 3] metres, y up."""
    chain = keypoint_chain(body, landmarks, shape_count=len(betas))
    x = np.zeros((len(motion.root), chain.size))
    x[:, PELVIS], x[:, BETAS_START:] = motion.root, betas
    return pose_chain(chain, motion.rotations, x).points


def synthetic_clip(
    motion: Motion,
    body: BodyModel,
    landmarks: Sequence[str],
    *,
    seed: int,
    noise: float = 0.01,
    missing: float = 0.2,
    follow: bool = False,
) -> SyntheticClip:
    """A motion before a random camera; ``noise`` and ``missing`` as in ``training.problems``."""
    random = np.random.default_rng(seed)
    points = world_points(motion, body, landmarks, random.standard_normal(10))
    focal, seen = _camera_points(points, random, follow, motion.frame_rate)
    exact = np.array(IMAGE_SIZE) / 2 + focal * seen[..., :2] / -seen[..., 2:] * [1.0, -1.0]
    stature = np.ptp(body.v_template[:, 1])
    height = stature * focal / -seen[..., 2].mean(axis=1)
    shake = _correlated(random, exact.shape, motion.frame_rate)
    xy = exact + noise * height[:, None, None] * shake
    inside = ((xy > 0) & (xy < IMAGE_SIZE)).all(axis=-1)
    confidence = inside & ~_runs(random, exact.shape[:2], missing, motion.frame_rate)
    return SyntheticClip(
        motion.name,
        tuple(landmarks),
        motion.frame_rate,
        np.where(confidence[..., None], xy, 0.0),
        confidence * random.uniform(0.5, 1.0, confidence.shape),
        exact,
        points,
        height,
    )


def with_outliers(clip: SyntheticClip, share: float, *, seed: int) -> SyntheticClip:
    """Some of the seen keypoints, each for a frame, moved by up to half the person's height each way."""
    random = np.random.default_rng([seed, 3])
    hit = (random.uniform(size=clip.confidence.shape) < share) & (clip.confidence > 0)
    shift = random.uniform(-0.5, 0.5, clip.xy.shape) * clip.person_height[:, None, None]
    return replace(clip, xy=clip.xy + hit[..., None] * shift)


def _camera_points(
    points: np.ndarray, random: np.random.Generator, follow: bool, rate: float
) -> tuple[float, np.ndarray]:
    """The focal length in pixels and the points in camera axes (y up, looking along -z)."""
    focal = np.exp(random.uniform(*np.log(LENS))) / 36 * max(IMAGE_SIZE)
    pitch = np.radians(random.uniform(*PITCH))
    roll = np.radians(random.uniform(-ROLL, ROLL))
    yaw = random.uniform(0, 2 * np.pi)
    R = _about(2, roll) @ _about(0, pitch) @ _about(1, yaw)
    path = points.mean(axis=1)
    middle = (path.max(axis=0) + path.min(axis=0)) / 2
    seen = (points - middle) @ R.T
    distance = max(np.exp(random.uniform(*np.log(DISTANCE))), seen[..., 2].max() + NEAREST)
    seen[..., 2] -= distance
    if follow:
        turn = -np.arctan2(*_smooth(seen.mean(axis=1), rate)[:, [0, 2]].T * [[1], [-1]])
        turned = axis_angle_to_matrix(-turn[:, None] * [0.0, 1.0, 0.0])
        seen = seen @ np.swapaxes(turned, -1, -2)
    return float(focal), seen


def _smooth(path: np.ndarray, rate: float) -> np.ndarray:
    """A path [T, 3] as a camera operator follows it: half a second's mean."""
    half = max(1, round(rate / 4))
    padded = np.concatenate([path[:1].repeat(half, 0), path, path[-1:].repeat(half, 0)])
    total = np.cumsum(np.concatenate([np.zeros((1, 3)), padded]), axis=0)
    width = 2 * half + 1
    return (total[width:] - total[:-width]) / width


def _about(axis: int, angle: float) -> np.ndarray:
    return axis_angle_to_matrix(angle * np.eye(3)[axis])


def _correlated(random: np.random.Generator, shape: tuple[int, ...], rate: float) -> np.ndarray:
    """Normal numbers of unit variance that a frame shares with the next. [T, ...]."""
    keep = np.exp(-1 / (CORRELATION * rate))
    fresh = random.standard_normal(shape)
    out = fresh.copy()
    for t in range(1, len(out)):
        out[t] = keep * out[t - 1] + np.sqrt(1 - keep**2) * fresh[t]
    return out


def _runs(random: np.random.Generator, shape: tuple[int, int], share: float, rate: float) -> np.ndarray:
    """[T, K] runs that cover about a ``share`` of each column."""
    covered = np.zeros(shape, dtype=bool)
    low, high = (max(1, round(s * rate)) for s in MISSING_RUN)
    starts = random.uniform(size=shape) < -np.log1p(-share) / ((low + high) / 2)
    length = random.integers(low, high + 1, size=shape)
    for t, k in np.argwhere(starts):
        covered[t : t + length[t, k], k] = True
    return covered
