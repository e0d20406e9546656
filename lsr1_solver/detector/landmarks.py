"""The network that finds a person's 33 points in a region, and what its numbers mean.

V. Bazarevsky et al., *BlazePose*, 2020; I. Grishchenko et al., *BlazePose GHUM Holistic*, 2022 (the points
in metres).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .network import Network, sigmoid
from .region import Region, region_of_pair

SIZE = 256
COUNT = 33
# 33 points of the body, the pair of the next region, and four that are of no use.
_ROWS, _USED = 39, 35
_WINDOW = 4  # cells on each side
_SURE = 0.5
PRESENT = 0.5
# The network's axes: x right, y down, z away from the camera.
_TO_CAMERA_AXES = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What the network says of one person.

    ``score`` whether there is somebody; ``points`` [33, 2] pixels; ``visibility`` [33] 0 to 1; ``world``
    [33, 3] metres in camera axes (x right, y up, z towards the camera), origin between the hips; ``pair``
    [2, 2] pixels, the points that give the region (see ``region_of_pair``).
    """

    score: float
    points: np.ndarray
    visibility: np.ndarray
    world: np.ndarray
    pair: np.ndarray

    @property
    def size(self) -> float:
        """The diameter of the circle round the body, pixels."""
        return 2 * float(np.linalg.norm(self.pair[1] - self.pair[0]))

    @property
    def region(self) -> Region:
        """Where to look for this person in the next frame."""
        return region_of_pair(self.pair)


class LandmarkFinder:
    """A landmark model, from its ONNX file. FitError as ``Network``."""

    def __init__(self, path: Path) -> None:
        """Load the network."""
        self._network = Network(path, ("Identity", "Identity_1", "Identity_3", "Identity_4"))

    def __call__(self, image: np.ndarray, region: Region) -> Landmarks:
        """The person whom a region of an ``image`` [H, W, 3], uint8 RGB, shows."""
        pixels = region.pixels(image, SIZE, replicate=True).astype(np.float32) / 255
        rows, score, heatmaps, world = self._network(pixels)
        rows = rows.reshape(_ROWS, 5).astype(np.float64)
        xy = region.to_picture(refined(rows[:_USED, :2] / SIZE, heatmaps[0, :_USED]))
        world = world.reshape(_ROWS, 3)[:COUNT].astype(np.float64)
        world[:, :2] = world[:, :2] @ region.axes.T
        return Landmarks(
            score=float(score.ravel()[0]),
            points=xy[:COUNT],
            visibility=sigmoid(rows[:COUNT, 3]),
            world=world * _TO_CAMERA_AXES,
            pair=xy[COUNT:_USED],
        )


def refined(points: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Points moved to the middle of the heatmap around them, where that is sure of itself.

    ``points`` [N, 2] 0 to 1; ``heatmaps`` [N, H, W] logits. The middle is that of a window of 9 x 9 cells,
    weighted by probability.
    """
    count, height, width = heatmaps.shape
    size = np.array([width, height])
    cell = np.trunc(points * size).astype(int)
    inside = np.all((cell >= 0) & (cell < size), axis=1)
    x, y = np.where(inside[:, None], cell, 0).T
    padded = np.pad(heatmaps, ((0, 0), (_WINDOW, _WINDOW), (_WINDOW, _WINDOW)), constant_values=-np.inf)
    steps = np.arange(2 * _WINDOW + 1)
    rows, columns = y[:, None] + steps, x[:, None] + steps
    windows = sigmoid(padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]])
    total = windows.sum(axis=(1, 2))
    sure = inside & (windows.max(axis=(1, 2)) >= _SURE)
    total = np.where(sure, total, 1.0)
    middle_x = (windows.sum(axis=1) * (columns - _WINDOW)).sum(axis=1) / total / width
    middle_y = (windows.sum(axis=2) * (rows - _WINDOW)).sum(axis=1) / total / height
    return np.where(sure[:, None], np.stack([middle_x, middle_y], axis=1), points)
