"""A person's keypoints in the pictures of a clip, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .errors import FitError
from .keypoint_formats import (
    BLAZEPOSE_33,
    BODY_25,
    BODY_25B,
    COCO_17,
    COCO_18,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    FORMATS,
    HALPE_26,
    HALPE_136,
    MPII_16,
    PHALP_45,
    POSETRACK_17,
    SMPL_24,
    KeypointFormat,
    keypoint_format,
)

__all__ = [
    "BLAZEPOSE_33",
    "BODY_25",
    "BODY_25B",
    "COCO_17",
    "COCO_18",
    "COCO_WHOLEBODY_133",
    "CROWDPOSE_14",
    "FORMATS",
    "HALPE_26",
    "HALPE_136",
    "MPII_16",
    "PHALP_45",
    "POSETRACK_17",
    "SMPL_24",
    "KeypointFormat",
    "Keypoints2D",
    "keypoint_format",
    "keypoints_2d",
]


@dataclass(frozen=True, eq=False)
class Keypoints2D:
    """One person's K keypoints in B frames.

    ``xy`` [B, K, 2] pixels, origin at the picture's top left, y down; ``confidence`` [B, K] from 0 (missing,
    ``xy`` is then 0) to 1; ``image_size`` width and height in pixels where known; ``frame_numbers`` [B] the
    number that the file gives each row, consecutive: a frame in which the person isn't seen is a row of
    confidence 0. ``xyz`` [B, K, 3] metres with ``xyz_confidence`` [B, K]: 3D keypoints where the file holds
    them, in camera axes (x right, y up, z towards the camera; of MediaPipe and the detector, with the origin
    between the hips), or, where there is no picture, in the capture's (FreeMoCap).

    FitError where shapes disagree or a number is not finite; ``keypoints_2d`` takes arrays as they come.
    """

    xy: np.ndarray
    confidence: np.ndarray
    format: KeypointFormat
    image_size: tuple[int, int] | None = None
    frame_numbers: np.ndarray | None = None
    xyz: np.ndarray | None = None
    xyz_confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the shapes against each other and every number for being finite."""
        frames, count = self.xy.shape[0] if self.xy.ndim else 0, len(self.format)
        wanted: tuple[tuple[str, np.ndarray | None, tuple[int, ...]], ...] = (
            ("xy", self.xy, (frames, count, 2)),
            ("confidence", self.confidence, (frames, count)),
            ("frame_numbers", self.frame_numbers, (frames,)),
            ("xyz", self.xyz, (frames, count, 3)),
            ("xyz_confidence", self.xyz_confidence, (frames, count)),
        )
        for name, array, shape in wanted:
            if array is None:
                continue
            if array.shape != shape:
                raise FitError(f"{name} has shape {array.shape}; {self.format.name} needs {shape}.")
            if not np.isfinite(array).all():
                raise FitError(
                    f"{name} holds numbers that are not finite; keypoints_2d() marks them missing."
                )
        if (self.confidence < 0).any():
            raise FitError("confidence holds negative numbers; keypoints_2d() marks them missing.")
        if (self.xyz is None) != (self.xyz_confidence is None):
            raise FitError("xyz and xyz_confidence come together; keypoints_2d() fills in the second.")
        if self.image_size is not None and min(self.image_size) <= 0:
            raise FitError(f"The image size is {self.image_size}; width and height are positive pixels.")

    def __len__(self) -> int:
        return self.xy.shape[0]

    @property
    def numbers(self) -> np.ndarray:
        """[B] the frames' numbers: the file's, or else 0, 1, 2, ..."""
        return np.arange(len(self)) if self.frame_numbers is None else self.frame_numbers

    @property
    def present(self) -> np.ndarray:
        """[B] whether the person is seen in the frame: any keypoint in 2D or 3D."""
        weight = self.confidence.sum(axis=1)
        if self.xyz_confidence is not None:
            weight = weight + self.xyz_confidence.sum(axis=1)
        return weight > 0

    def frames(self, index: int | slice | np.ndarray) -> Keypoints2D:
        """The chosen frames, always as a batch."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)

        def chosen(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[index]

        return replace(
            self,
            xy=self.xy[index],
            confidence=self.confidence[index],
            frame_numbers=chosen(self.frame_numbers),
            xyz=chosen(self.xyz),
            xyz_confidence=chosen(self.xyz_confidence),
        )

    def missing(self, frame: int) -> tuple[str, ...]:
        """The names of the keypoints that ``frame`` doesn't show."""
        return tuple(
            name for name, seen in zip(self.format.names, self.confidence[frame] > 0, strict=True) if not seen
        )


def keypoints_2d(
    xy: np.ndarray,
    confidence: np.ndarray | None,
    format: KeypointFormat | str,
    *,
    image_size: tuple[int, int] | None = None,
    frame_numbers: np.ndarray | None = None,
    xyz: np.ndarray | None = None,
    xyz_confidence: np.ndarray | None = None,
) -> Keypoints2D:
    """Keypoints from arrays as they come; the arrays are copied and never written to.

    ``xy`` [B, K, 2] (or [K, 2]: one frame) pixels; ``confidence`` [B, K], None where the detector gives none:
    then 1. A point is missing where a coordinate or its confidence is not finite, where the confidence is not
    positive, and where x and y are both exactly 0 (what detectors write for a point that they didn't find).
    Scores above 1 count as 1. ``xyz`` likewise.

    Raises FitError where the shapes disagree.
    """
    points, weights = _cleaned(xy, confidence, 2)
    points_3d, weights_3d = (None, None) if xyz is None else _cleaned(xyz, xyz_confidence, 3)
    numbers = None if frame_numbers is None else np.array(frame_numbers, dtype=np.int64)
    layout = keypoint_format(format)
    return Keypoints2D(points, weights, layout, image_size, numbers, points_3d, weights_3d)


def _cleaned(points: np.ndarray, scores: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies [B, K, size] and [B, K] in float64 with missing points at 0 and confidence 0."""
    points = np.array(points, dtype=np.float64)
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[2] != size:
        raise FitError(f"Keypoints have shape {points.shape}; right is frames x keypoints x {size}.")
    weights = np.ones(points.shape[:2]) if scores is None else np.array(scores, dtype=np.float64)
    weights = weights.reshape(points.shape[:2]) if weights.size == points[..., 0].size else weights
    if weights.shape != points.shape[:2]:
        raise FitError(f"Confidences have shape {weights.shape}; the keypoints need {points.shape[:2]}.")
    known = np.isfinite(points).all(axis=2) & ~np.isnan(weights) & (weights > 0) & (points != 0).any(axis=2)
    # A score of infinity is no score: the point is not believed.
    known &= np.isfinite(weights)
    points[~known] = 0.0
    return points, np.where(known, np.minimum(weights, 1.0), 0.0)
