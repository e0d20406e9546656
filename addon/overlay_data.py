"""What the overlay shows, as arrays of lines and triangles. Free of the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lsr1_solver import KeypointFormat

_LEFT, _RIGHT, _MIDDLE = (0.20, 0.55, 1.0), (1.0, 0.35, 0.25), (0.95, 0.85, 0.3)
_BODY, _RESIDUAL, _ACTIVE = (0.95, 0.95, 0.95), (1.0, 0.8, 0.1), (1.0, 1.0, 1.0)
_DOT, _BODY_DOT, _ACTIVE_DOT = 5.0, 3.0, 9.0  # pixels of the screen
# A circle of triangles, closed.
_CORNERS = np.linspace(0.0, 2 * np.pi, 13)
_CIRCLE = np.stack([np.cos(_CORNERS), np.sin(_CORNERS)], axis=1)
# Points of no confidence are missing; the least sure are still seen.
_FAINTEST = 0.35


@dataclass(frozen=True, eq=False)
class Shapes:
    """Lines [L, 2] (ends in pairs) and triangles [T, 2] in pixels of the region, with colours [., 4]."""

    lines: np.ndarray
    line_colours: np.ndarray
    triangles: np.ndarray
    triangle_colours: np.ndarray


@dataclass(frozen=True)
class Frame:
    """The camera's frame in a region: where the picture's top left corner is, and pixels for one of its."""

    left: float
    top: float
    scale_x: float
    scale_y: float

    def to_region(self, xy: np.ndarray) -> np.ndarray:
        """Pixels of the picture [..., 2] (y down) to the region's (y up)."""
        return np.array([self.left, self.top]) + xy * np.array([self.scale_x, -self.scale_y])

    def to_picture(self, xy: np.ndarray) -> np.ndarray:
        """Pixels of the region [..., 2] to the picture's."""
        return (xy - np.array([self.left, self.top])) / np.array([self.scale_x, -self.scale_y])


def side_colour(name: str) -> tuple[float, float, float]:
    """Left, right and middle differ, as in Blender's own mirrored colours."""
    lower = name.lower()
    left, right = lower.startswith(("l", "left")), lower.startswith(("r", "right"))
    if "left" in lower or (left and "_" in lower[:2]):
        return _LEFT
    if "right" in lower or (right and "_" in lower[:2]):
        return _RIGHT
    return _MIDDLE


def shapes(
    layout: KeypointFormat,
    xy: np.ndarray,
    confidence: np.ndarray,
    body: np.ndarray | None,
    active: int,
    frame: Frame,
) -> Shapes:
    """Skeleton, dots, the body's points and residuals for keypoints [K, 2] of the picture."""
    lines: list[np.ndarray] = []
    line_colours: list[tuple[float, ...]] = []
    triangles: list[np.ndarray] = []
    triangle_colours: list[np.ndarray] = []

    def line(a: np.ndarray, b: np.ndarray, colour: tuple[float, ...]) -> None:
        lines.extend((a, b))
        line_colours.extend((colour, colour))

    def dot(centre: np.ndarray, radius: float, colour: tuple[float, ...]) -> None:
        rim = centre + radius * _CIRCLE
        fan = np.stack([np.broadcast_to(centre, rim[1:].shape), rim[:-1], rim[1:]], axis=1)
        triangles.append(fan.reshape(-1, 2))
        triangle_colours.append(np.tile(colour, (3 * len(fan), 1)))

    shown = frame.to_region(xy)
    alpha = _FAINTEST + (1 - _FAINTEST) * np.clip(confidence, 0, 1)
    seen = confidence > 0
    for a, b in layout.edges:
        if seen[a] and seen[b]:
            colour = side_colour(layout.names[b])
            colour = side_colour(layout.names[a]) if colour == _MIDDLE else colour
            line(shown[a], shown[b], (*colour, 0.8 * float(min(alpha[a], alpha[b]))))
    if body is not None:
        own = frame.to_region(body)
        for k in np.flatnonzero(np.isfinite(own).all(axis=1)):
            if seen[k]:
                line(shown[k], own[k], (*_RESIDUAL, 0.9))
            dot(own[k], _BODY_DOT, (*_BODY, 0.9))
    for k in np.flatnonzero(seen):
        if k == active:
            dot(shown[k], _ACTIVE_DOT, (*_ACTIVE, 0.9))
        dot(shown[k], _DOT, (*side_colour(layout.names[k]), float(alpha[k])))
    return Shapes(
        np.array(lines).reshape(-1, 2),
        np.array(line_colours).reshape(-1, 4),
        np.concatenate(triangles) if triangles else np.empty((0, 2)),
        np.concatenate(triangle_colours) if triangle_colours else np.empty((0, 4)),
    )
