"""Square regions of a picture: what a network is shown, and where its answers lie in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, ceil, cos, pi, sin

import numpy as np

from ..errors import FitError

# The circle through the pair's second point holds the body; a little room is left round it.
_ROOM = 1.25
# A box that somebody drew ends at the skin.
_ROOM_ROUND_BOX = 1.4
# Regions whose middles and sides differ by less than this part show the same.
_NEAR = 0.15


@dataclass(frozen=True, eq=False)
class Region:
    """A square of the picture: ``centre`` [2] and ``side`` in pixels; ``rotation`` in radians, clockwise.

    Coordinates within it run from 0 at its top left to 1.
    """

    centre: np.ndarray
    side: float
    rotation: float = 0.0

    @property
    def axes(self) -> np.ndarray:
        """[2, 2] the rotation of the region's axes to the picture's; its columns are the region's x and y."""
        c, s = cos(self.rotation), sin(self.rotation)
        return np.array([[c, -s], [s, c]])

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] of the region, 0 to 1, in pixels of the picture."""
        return self.centre + self.side * (points - 0.5) @ self.axes.T

    def from_picture(self, points: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of the picture in the region's coordinates, 0 to 1."""
        return 0.5 + (points - self.centre) @ self.axes / self.side

    def near(self, other: Region) -> bool:
        """Whether the two show the same."""
        larger, smaller = max(self.side, other.side), min(self.side, other.side)
        apart = float(np.linalg.norm(self.centre - other.centre))
        return apart < _NEAR * larger and larger < (1 + _NEAR) * smaller

    def pixels(self, image: np.ndarray, size: int, *, replicate: bool) -> np.ndarray:
        """The region of an ``image`` [H, W, 3] as [size, size, 3].

        What lies outside of the picture repeats its border, or is black.
        """
        import cv2

        to_picture = np.empty((2, 3))
        to_picture[:, :2] = self.side / size * self.axes
        to_picture[:, 2] = self.to_picture(np.zeros(2))
        border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, to_picture, (size, size), flags=how, borderMode=border)


def region_of_pair(pair: np.ndarray) -> Region:
    """The region of a body; ``pair`` [2, 2] pixels: the middle of the hips, and a point above, as far as the
    body reaches.
    """
    x, y = pair[1] - pair[0]
    turned = pi / 2 - atan2(-y, x)
    return Region(pair[0], 2 * _ROOM * float(np.hypot(x, y)), (turned + pi) % (2 * pi) - pi)


def region_of_box(box: tuple[float, float, float, float]) -> Region:
    """The region to begin with for a box (left, top, right, bottom) that a user has drawn, in pixels.

    FitError where the box is empty.
    """
    left, top, right, bottom = box
    if not np.isfinite(box).all() or left == right or top == bottom:
        raise FitError(f"The box {box} is empty: draw it round a whole person")
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return Region(centre, _ROOM_ROUND_BOX * max(abs(right - left), abs(bottom - top)))


def whole(width: int, height: int) -> Region:
    """The square round the whole picture."""
    return Region(np.array([width / 2, height / 2]), float(max(width, height)))


def tiles(width: int, height: int, *, fine: bool) -> list[Region]:
    """Squares that cover the picture, each half over the next: as wide as its shorter side, and half that
    where ``fine``.
    """
    shorter = min(width, height)
    found = []
    for side in (shorter, shorter / 2)[: 1 + fine]:
        for y in _middles(height, side):
            found.extend(Region(np.array([x, y]), side) for x in _middles(width, side))
    # In a square picture the first is the whole picture once more.
    return found[width == height :]


def _middles(length: float, side: float) -> np.ndarray:
    """The middles of intervals of ``side`` that cover ``length`` and overlap by a half at least."""
    count = ceil(2 * (length - side) / side) + 1
    return np.linspace(side / 2, length - side / 2, count)
