"""The network that finds people: its anchors, and what its numbers mean.

V. Bazarevsky et al., *BlazePose*, 2020, and *BlazeFace*, 2019 (the anchors and the blending of boxes).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .network import Network, sigmoid
from .region import Region

SIZE = 224
# Cells along each side of a layer, and the anchors of each of its cells.
_LAYERS = ((28, 2), (14, 2), (7, 6))
_THRESHOLD = 0.5
_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class Candidates:
    """N people, the surest first: ``scores`` [N]; ``boxes`` [N, 4] left, top, right, bottom of head and
    trunk; ``pairs`` [N, 2, 2] the middle of the hips and a point above as far as the body reaches. Pixels.
    """

    scores: np.ndarray
    boxes: np.ndarray
    pairs: np.ndarray


class PersonFinder:
    """The person detector, from its ONNX file. FitError as ``Network``."""

    def __init__(self, path: Path) -> None:
        """Load the network."""
        self._network = Network(path, ("Identity", "Identity_1"))

    def __call__(self, image: np.ndarray, region: Region) -> Candidates:
        """The people whom a region of an ``image`` [H, W, 3], uint8 RGB, shows."""
        pixels = region.pixels(image, SIZE, replicate=False).astype(np.float32) * (2 / 255) - 1
        rows, logits = self._network(pixels)
        found = blended(decoded(rows[0], logits.ravel()))
        corners = region.to_picture(found.boxes.reshape(-1, 2, 2))
        return Candidates(found.scores, corners.reshape(-1, 4), region.to_picture(found.pairs))


def anchors() -> np.ndarray:
    """[A, 2] the middles x, y of all anchors, 0 to 1, in the order of the network's rows."""
    layers = []
    for cells, count in _LAYERS:
        middles = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middles, middles, indexing="ij")
        layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(layers)


_ANCHORS = anchors()


def decoded(rows: np.ndarray, logits: np.ndarray) -> Candidates:
    """All anchors above the threshold, in coordinates 0 to 1 of the region.

    ``rows`` [A, 12]: middle and size of the box and four points, in units of the network's pixels, the places
    relative to the anchor; ``logits`` [A].
    """
    scores = sigmoid(logits)
    chosen = np.flatnonzero(scores >= _THRESHOLD)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    values = rows[chosen].reshape(-1, 6, 2) / SIZE
    middle, half = values[:, 0] + _ANCHORS[chosen], values[:, 1] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return Candidates(scores[chosen], boxes, values[:, 2:4] + _ANCHORS[chosen, None])


def blended(found: Candidates) -> Candidates:
    """One candidate for each group of boxes that overlap: their mean, weighted by score.

    The group of the surest candidate is all that overlap with it; then the same among the rest.
    """
    left = np.arange(len(found.scores))
    scores, boxes, pairs = [], [], []
    while len(left):
        group = left[overlap(found.boxes[left[0]], found.boxes[left]) > _OVERLAP]
        group = group if len(group) else left[:1]
        weights = found.scores[group] / found.scores[group].sum()
        scores.append(found.scores[left[0]])
        boxes.append(weights @ found.boxes[group])
        pairs.append(np.tensordot(weights, found.pairs[group], axes=1))
        left = np.setdiff1d(left, group)
    return Candidates(np.array(scores), np.array(boxes).reshape(-1, 4), np.array(pairs).reshape(-1, 2, 2))


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[N] intersection over union of a box [4] with others [N, 4]; 0 where both are empty."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - common
    return np.where(union > 0, common / np.where(union > 0, union, 1.0), 0.0)
