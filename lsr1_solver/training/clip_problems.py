"""Clips with a known answer: motions of motion capture before a synthetic camera that stands still.

Cameras are those of `problems`, one for the whole clip, with the person in the picture all the time. Faults
last: noise is correlated in time, and keypoints are missing in runs, since what hides an elbow hides it for a
while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..body_model import BodyModel
from ..kinematics import BETAS_START, keypoint_chain, pose_chain
from ..rotation import axis_angle_to_matrix
from .problems import (
    DISTANCE,
    LENS,
    PITCH,
    ROLL,
    SHAPE_COUNT,
    log_uniform,
    place_in_picture,
    project_points,
    stature,
)
from .retarget import Motion

# Seconds over which noise is correlated: three frames at 30 Hz.
CORRELATION = 0.1
# Seconds that a keypoint is missing: 5 to 15 frames at 30 Hz.
MISSING_RUN = (1 / 6, 1 / 2)
IMAGE_SIZE = (1920, 1080)


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """T frames of K keypoints of one person, and their answer.

    ``xy`` [T, K, 2] pixels and ``confidence`` [T, K], 0 (and xy 0) where missing, else 1; ``focal_length``
    pixels, the principal point is the picture's middle; ``image_size`` (width, height). The truth in camera
    axes (x right, y up, looking along -z): ``rotations`` [T, 24, 3, 3] in the parents' frames, ``pelvis``
    [T, 3] and ``joints`` [T, 24, 3] metres, ``betas`` [10], ``xy_exact`` [T, K, 2] without noise, ``up`` [3]
    away from the ground. ``person_height`` [T] the standing person's height at the pelvis' depth, pixels.
    """

    name: str
    group: str
    landmarks: tuple[str, ...]
    frame_rate: float
    xy: np.ndarray
    confidence: np.ndarray
    focal_length: float
    image_size: tuple[int, int]
    rotations: np.ndarray
    pelvis: np.ndarray
    joints: np.ndarray
    betas: np.ndarray
    xy_exact: np.ndarray
    up: np.ndarray
    person_height: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def every(self, step: int, first: int = 0) -> SyntheticClip:
        """One frame in ``step`` from the ``first`` on, as a slower camera would have filmed it."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        once = ("betas", "up")
        slower = {n: v[first::step] for n, v in own.items() if isinstance(v, np.ndarray) and n not in once}
        return replace(self, frame_rate=self.frame_rate / step, **slower)


def sample_clip(
    motion: Motion,
    body: BodyModel,
    landmarks: Sequence[str],
    *,
    seed: int,
    noise: float = 0.01,
    missing: float = 0.2,
) -> SyntheticClip:
    """A motion's keypoints before a random camera, of a body of random shape.

    ``noise``, one standard deviation as a share of the person's height, and ``missing``, the share of
    keypoints, as in `problems.sample_problems`; camera, noise and gaps each have a stream of ``seed``.
    Raises FitError for a landmark that the body does not have.
    """
    random = np.random.default_rng(seed)
    pitch, roll = (np.radians(random.uniform(*limits)) for limits in (PITCH, (-ROLL, ROLL)))
    yaw = random.uniform(0, 2 * np.pi)
    camera = _about(2, roll) @ _about(0, pitch) @ _about(1, yaw)
    betas = random.standard_normal(SHAPE_COUNT)
    rotations = motion.rotations.copy()
    rotations[:, 0] = camera @ rotations[:, 0]
    path = (motion.root - motion.root.mean(axis=0)) @ camera.T
    points, joints = (
        places + path[:, None] for places in _about_pelvis(body, tuple(landmarks), rotations, betas)
    )
    everything = np.concatenate([points, joints], axis=1).reshape(1, -1, 3)
    wished = log_uniform(random, DISTANCE, 1), log_uniform(random, LENS, 1), random.uniform(-1, 1, (1, 2))
    focal, origin = place_in_picture(wished[1], wished[0], wished[2], everything, IMAGE_SIZE)
    points, joints, pelvis = points + origin, joints + origin, path + origin
    exact = project_points(points, np.full(len(points), focal[0]), IMAGE_SIZE)
    height = stature(body, betas[None]) * focal / -pelvis[:, 2]
    shake = _correlated(np.random.default_rng([seed, 1]), exact.shape, CORRELATION * motion.frame_rate)
    seen = ~_runs(np.random.default_rng([seed, 2]), exact.shape[:2], missing, motion.frame_rate)
    return SyntheticClip(
        motion.name,
        motion.group,
        tuple(landmarks),
        motion.frame_rate,
        np.where(seen[..., None], exact + noise * height[:, None, None] * shake, 0.0),
        seen.astype(np.float64),
        float(focal[0]),
        IMAGE_SIZE,
        rotations,
        pelvis,
        joints,
        betas,
        exact,
        camera @ np.array([0.0, 1.0, 0.0]),
        height,
    )


def _about_pelvis(
    body: BodyModel, landmarks: tuple[str, ...], rotations: np.ndarray, betas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks [T, K, 3] and joints [T, 24, 3] with the pelvis at the origin."""
    chain = keypoint_chain(body, landmarks, shape_count=SHAPE_COUNT)
    x = np.zeros((len(rotations), chain.size))
    x[:, BETAS_START:] = betas[: chain.shape_count]
    posed = pose_chain(chain, rotations, x)
    return posed.points, posed.positions


def _about(axis: int, angle: float) -> np.ndarray:
    return axis_angle_to_matrix(angle * np.eye(3)[axis])


def _correlated(random: np.random.Generator, shape: tuple[int, ...], frames: float) -> np.ndarray:
    """Normal numbers of unit variance, correlated along the first axis: by 1/e after so many ``frames``."""
    keep = np.exp(-1 / frames)
    out = random.standard_normal(shape)
    out[1:] *= np.sqrt(1 - keep**2)
    for t in range(1, len(out)):
        out[t] += keep * out[t - 1]
    return out


def _runs(random: np.random.Generator, shape: tuple[int, int], share: float, rate: float) -> np.ndarray:
    """[T, K] bool: runs of `MISSING_RUN` seconds that cover about a ``share`` of each column."""
    low, high = (max(1, round(seconds * rate)) for seconds in MISSING_RUN)
    # Some began before the clip.
    starts = random.uniform(size=(shape[0] + high, shape[1])) < -np.log1p(-share) / ((low + high) / 2)
    covered = np.zeros(starts.shape, dtype=bool)
    for t, k in zip(*np.nonzero(starts), strict=True):
        covered[t : t + random.integers(low, high + 1), k] = True
    return covered[high:]
