"""Clips with a known answer: a stick person who walks, dances and jumps before a camera, in pixels."""

from __future__ import annotations

import numpy as np

NAMES = (
    "nose", "neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_eye", "right_eye",
)  # fmt: skip
HEIGHT = 400.0  # pixels


def walker(
    frames: int, rate: float, *, yaw: float = 0.5, speed: float = 1.2, steps: float = 1.0, noise: float = 0.0
) -> np.ndarray:
    """A person of 1.7 m walking; ``yaw`` 0 comes towards the camera, pi / 2 is in profile.

    ``speed`` metres and ``steps`` strides a second; ``noise`` in heights. -> [T, 16, 2] pixels.
    """
    time = np.arange(frames) / rate
    points = _stick(2 * np.pi * steps * time)
    across, ahead, up = points[..., 0], points[..., 2] + speed * time[:, None], points[..., 1]
    x = across * np.cos(yaw) + ahead * np.sin(yaw)
    pixels = np.stack([x, -up], axis=-1) * HEIGHT / 1.7 + [300.0, 600.0]
    shake = np.random.default_rng(0).standard_normal(pixels.shape)
    return pixels + noise * HEIGHT * shake


def _stick(phase: np.ndarray) -> np.ndarray:
    """The walk at phases [T]: x to the left, y up, z ahead, metres -> [T, 16, 3]."""
    swing = 0.45 * np.sin(phase)
    zero = np.zeros_like(phase)

    def at(x: float, y: float | np.ndarray, z: float | np.ndarray) -> np.ndarray:
        return np.stack([zero + x, zero + y, zero + z], axis=-1)

    def limb(x: float, top: float, length: float, angle: np.ndarray, bend: np.ndarray) -> list[np.ndarray]:
        """The limb's joints below the first: two bones of one length, turned forwards by angles."""
        y, z = top - length * np.cos(angle), length * np.sin(angle)
        return [at(x, y, z), at(x, y - length * np.cos(angle - bend), z + length * np.sin(angle - bend))]

    knees = [0.25 * (1 - np.cos(phase)), 0.25 * (1 + np.cos(phase))]
    left_arm = limb(0.2, 1.4, 0.28, -swing, 0 * swing - 0.3)
    right_arm = limb(-0.2, 1.4, 0.28, swing, 0 * swing - 0.3)
    left_leg = limb(0.1, 0.9, 0.43, swing, knees[0])
    right_leg = limb(-0.1, 0.9, 0.43, -swing, knees[1])
    points = [at(0, 1.55, 0.1), at(0, 1.42, 0), at(0.2, 1.4, 0), at(-0.2, 1.4, 0)]
    points += [left_arm[0], right_arm[0], left_arm[1], right_arm[1], at(0.1, 0.9, 0), at(-0.1, 0.9, 0)]
    points += [
        left_leg[0],
        right_leg[0],
        left_leg[1],
        right_leg[1],
        at(0.04, 1.6, 0.08),
        at(-0.04, 1.6, 0.08),
    ]
    return np.stack(points, axis=1)


def exchanged(xy: np.ndarray, frames: slice, parts: tuple[str, ...]) -> np.ndarray:
    """The clip with left and right exchanged in some frames, in the points whose names hold these parts."""
    out = xy.copy()
    for i, name in enumerate(NAMES):
        side = "left" if name.startswith("left") else "right"
        other = name.replace(side, "right" if side == "left" else "left")
        if side in name and any(part in name for part in parts):
            out[frames, i] = xy[frames, NAMES.index(other)]
    return out
