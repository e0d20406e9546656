"""What everybody else does with a trembling motion: the one-euro filter and Savitzky and Golay's.

Both act on rotations as unit quaternions, signs made continuous and length restored, and on the place of
the pelvis; the shape is the clip's mean. T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lsr1_solver import BodyModel, BodyPose
from lsr1_solver.body_model import rest_joints
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_quaternion, quaternion_to_axis_angle

# From [T, N, C] to the same.
Filter = Callable[[np.ndarray], np.ndarray]
# What the speed is smoothed with before it sets the one-euro filter's cutoff, hertz: its authors' value.
SPEED_CUTOFF = 1.0


@dataclass(frozen=True)
class SavitzkyGolay:
    """A polynomial of ``degree`` through ``window`` frames (odd), its middle the answer.

    Savitzky and Golay, *Smoothing and Differentiation of Data by Simplified Least Squares Procedures*, 1964.
    At the ends the polynomial of the first and of the last window goes on; a clip shorter than the window is
    one window.
    """

    window: int
    degree: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """[T, ...] -> the same."""
        window = min(self.window, len(values) - (len(values) + 1) % 2)
        half = window // 2
        places = np.arange(-half, half + 1) / max(half, 1)
        powers = places[:, None] ** np.arange(min(self.degree, window - 1) + 1)
        fitted = powers @ np.linalg.pinv(powers)
        rows = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
        smooth = np.empty_like(values)
        smooth[half : len(values) - half] = rows @ fitted[half]
        smooth[:half] = np.moveaxis(rows[0] @ fitted[:half].T, -1, 0)
        if half:
            smooth[-half:] = np.moveaxis(rows[-1] @ fitted[-half:].T, -1, 0)
        return smooth


@dataclass(frozen=True)
class OneEuro:
    """A low pass whose cutoff grows with speed: ``cutoff`` hertz at rest, ``slope`` more for a unit a second.

    Casiez, Roussel and Vogel, *1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
    Interactive Systems*, CHI 2012. One cutoff for each of the N vectors, by the length of its velocity. The
    authors' filter knows no future; ``twice`` runs it forwards and back, which takes its delay away.
    """

    cutoff: float
    slope: float
    frame_rate: float
    twice: bool = False

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """[T, N, C] -> the same."""
        smooth = self._forwards(values)
        return self._forwards(smooth[::-1])[::-1] if self.twice else smooth

    def _forwards(self, values: np.ndarray) -> np.ndarray:
        smooth = np.empty_like(values)
        smooth[0] = values[0]
        velocity = np.zeros_like(values[0])
        of_speed = self._share(np.array(SPEED_CUTOFF))
        for t in range(1, len(values)):
            velocity += of_speed * ((values[t] - smooth[t - 1]) * self.frame_rate - velocity)
            speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
            share = self._share(self.cutoff + self.slope * speed)
            smooth[t] = smooth[t - 1] + share * (values[t] - smooth[t - 1])
        return smooth

    def _share(self, cutoff: np.ndarray) -> np.ndarray:
        """How much of a new value is taken."""
        return 1 / (1 + self.frame_rate / (2 * np.pi * cutoff))


def continuous_quaternions(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions whose sign is that of the frame before. [T, N, 3, 3] -> [T, N, 4]."""
    q = matrix_to_quaternion(rotations)
    flips = np.sum(q[1:] * q[:-1], axis=-1) < 0
    q[1:] *= np.where(np.cumsum(flips, axis=0) % 2 == 1, -1.0, 1.0)[..., None]
    return q


def smoothed(pose: BodyPose, body: BodyModel, smooth: Filter) -> BodyPose:
    """A motion with rotations and place filtered."""
    vectors = np.concatenate([pose.global_orient[:, None], pose.body_pose], axis=1)
    q = smooth(continuous_quaternions(axis_angle_to_matrix(vectors)))
    turned = quaternion_to_axis_angle(q / np.linalg.norm(q, axis=-1, keepdims=True))
    betas = np.tile(pose.betas.mean(axis=0), (len(pose), 1))
    pelvis = rest_joints(body, pose.betas)[:, 0] + pose.transl
    transl = smooth(pelvis[:, None])[:, 0] - rest_joints(body, betas)[:, 0]
    return BodyPose(turned[:, 0], turned[:, 1:], betas, transl)


def candidates(frame_rate: float) -> Mapping[str, list[Filter]]:
    """The settings among which a tuning chooses."""
    windows, cutoffs, slopes = (5, 9, 15, 21, 31, 45, 61), (0.1, 0.2, 0.4, 0.8, 1.6, 3.2), (0, 0.1, 0.3, 1, 3)
    return {
        "Savitzky-Golay": [SavitzkyGolay(window, degree) for degree in (1, 2, 3) for window in windows],
        **{
            name: [OneEuro(cutoff, slope, frame_rate, twice) for cutoff in cutoffs for slope in slopes]
            for name, twice in (("one-euro", False), ("one-euro, there and back", True))
        },
    }
