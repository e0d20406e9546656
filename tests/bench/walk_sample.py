"""The sample walk seen by four calibrated cameras, and its truth in 3D by triangulation.

C cameras, T frames, K = 25 keypoints in OpenPose's BODY_25B order. Calibrated cameras have OpenCV's axes: x
right, y down, looking along +z; the world is in metres with z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

WALK = Path(__file__).resolve().parents[2] / "assets" / "samples" / "walk"

# Residuals beyond this many pixels count less and less: a few times the agreement of the four detections.
_ROBUST_SCALE = 20.0
_REFITS = 10
_UNDISTORT_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """A camera that a calibration knows: ``x ~ intrinsics (rotation X + translation)``, then distortion.

    ``intrinsics`` [3, 3] pixels; ``distortion`` [4] OpenCV's k1, k2, p1, p2; ``rotation`` [3, 3] world to
    camera; ``translation`` [3] metres; ``image_size`` (width, height) pixels.
    """

    name: str
    intrinsics: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    image_size: tuple[int, int]

    def to_camera_axes(self, points: np.ndarray) -> np.ndarray:
        """World points in the camera's own OpenCV axes. [..., 3] metres -> [..., 3] metres."""
        return points @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Where an ideal pinhole would see world points, without distortion. [..., 3] -> [..., 2] pixels."""
        image = self.to_camera_axes(points) @ self.intrinsics.T
        return image[..., :2] / image[..., 2:]

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """What the ideal pinhole would have seen. [..., 2] pixels -> [..., 2] pixels.

        The inverse of OpenCV's distortion (https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html) by fixed
        point iteration, which converges fast where the lens distorts little.
        """
        focal = np.diag(self.intrinsics)[:2]
        centre = self.intrinsics[:2, 2]
        seen = (pixels - centre) / focal
        k1, k2, p1, p2 = self.distortion
        ideal = seen
        for _ in range(_UNDISTORT_ROUNDS):
            x, y = ideal[..., 0], ideal[..., 1]
            square = x * x + y * y
            radial = 1 + square * (k1 + square * k2)
            tangential = [
                2 * p1 * x * y + p2 * (square + 2 * x * x),
                p1 * (square + 2 * y * y) + 2 * p2 * x * y,
            ]
            ideal = (seen - np.stack(tangential, axis=-1)) / radial[..., None]
        return ideal * focal + centre


@dataclass(frozen=True, eq=False)
class WalkSample:
    """The walking person's detections: ``keypoints`` [C, T, 25, 3] pixels (as the lens shows them) and
    confidence, 0 where missing; the cameras; frames a second.
    """

    keypoints: np.ndarray
    cameras: tuple[CalibratedCamera, ...]
    frame_rate: float

    def undistorted(self) -> np.ndarray:
        """The keypoints as ideal pinholes would see them. -> [C, T, 25, 3] pixels and confidence."""
        pixels = [c.undistort(k) for c, k in zip(self.cameras, self.keypoints[..., :2], strict=True)]
        return np.concatenate([np.stack(pixels), self.keypoints[..., 2:]], axis=-1)


@dataclass(frozen=True, eq=False)
class Triangulation:
    """``points`` [..., 3] metres in the world, NaN where fewer than two cameras saw the point; ``residual``
    [C, ...] pixels between detection and reprojection, NaN where there is none.
    """

    points: np.ndarray
    residual: np.ndarray


def load_walk() -> WalkSample:
    """The sample of the repository, ``assets/samples/walk/four_cameras.npz``."""
    with np.load(WALK / "four_cameras.npz") as data:
        cameras = tuple(
            CalibratedCamera(
                name=str(data["names"][c]),
                intrinsics=data["intrinsics"][c],
                distortion=data["distortion"][c],
                rotation=data["rotations"][c],
                translation=data["translations"][c],
                image_size=(int(data["image_sizes"][c, 0]), int(data["image_sizes"][c, 1])),
            )
            for c in range(len(data["names"]))
        )
        return WalkSample(data["keypoints"].astype(np.float64), cameras, float(data["frame_rate"]))


def triangulate(sample: WalkSample, *, robust_scale: float = _ROBUST_SCALE) -> Triangulation:
    """Every keypoint of every frame from all cameras that saw it: -> points [T, 25, 3], residual [C, T, 25].

    Linear triangulation (Hartley and Zisserman, *Multiple View Geometry*, 2nd ed., 12.2) with rows in pixels
    of reprojection error, weighted by confidence, then refitted with weights that fall with the residual
    (Geman-McClure, ``robust_scale`` pixels), so that one camera's mistake does not pull the point; with an
    infinite ``robust_scale`` it is plain least squares.
    """
    observed = sample.undistorted()
    pixels, confidence = observed[..., :2], observed[..., 2]
    P = np.stack([c.intrinsics @ np.c_[c.rotation, c.translation] for c in sample.cameras])
    # u (P_2 X) - P_0 X = 0 and v (P_2 X) - P_1 X = 0, each divided by the depth P_2 X.
    rows = pixels[..., None] * P[:, None, None, 2:] - P[:, None, None, :2]
    enough = np.sum(confidence > 0, axis=0) >= 2
    weight = confidence
    depth = np.ones_like(confidence)
    points = np.full((*enough.shape, 3), np.nan)
    residual = np.full(confidence.shape, np.nan)
    for _ in range(_REFITS):
        points = _null_points(rows * np.sqrt(weight)[..., None, None] / depth[..., None, None])
        depth = np.stack([c.to_camera_axes(points)[..., 2] for c in sample.cameras])
        reprojected = np.stack([c.project(points) for c in sample.cameras])
        residual = np.linalg.norm(reprojected - pixels, axis=-1)
        weight = confidence / (1 + (residual / robust_scale) ** 2) ** 2
    seen = enough & (confidence > 0)
    return Triangulation(np.where(enough[..., None], points, np.nan), np.where(seen, residual, np.nan))


def _null_points(rows: np.ndarray) -> np.ndarray:
    """The points X with ``rows (X, 1) = 0`` in least squares. ``rows`` [C, T, K, 2, 4] -> [T, K, 3]."""
    stacked = np.moveaxis(rows, 0, 2).reshape(*rows.shape[1:3], -1, 4)
    A, b = stacked[..., :3], -stacked[..., 3:]
    # A point that nobody saw has no equations: the smallest regulariser keeps the solve defined.
    normal = np.swapaxes(A, -1, -2) @ A + 1e-9 * np.eye(3)
    return np.linalg.solve(normal, np.swapaxes(A, -1, -2) @ b)[..., 0]
