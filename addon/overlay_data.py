"""What the overlay shows, as arrays of lines and triangles. Free of the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lsr1_solver import SMPL_PARENTS, KeypointFormat

_LEFT, _RIGHT, _MIDDLE = (0.20, 0.55, 1.0), (1.0, 0.35, 0.25), (0.95, 0.85, 0.3)
_BODY, _RESIDUAL, _ACTIVE = (0.95, 0.95, 0.95), (1.0, 0.8, 0.1), (1.0, 1.0, 1.0)
_DOT, _BODY_DOT, _ACTIVE_DOT = 5.0, 3.0, 9.0  # pixels of the screen
# A circle of triangles, closed.
_CORNERS = np.linspace(0.0, 2 * np.pi, 13)
_CIRCLE = np.stack([np.cos(_CORNERS), np.sin(_CORNERS)], axis=1)
# Points of no confidence are missing; the least sure are still seen.
_FAINTEST = 0.35
_HANDLE, _HELD = (1.0, 1.0, 1.0, 0.55), (1.0, 0.55, 0.0, 1.0)
_HANDLE_DOT, _HELD_DOT = 3.5, 8.0
# How unsure a limb's depth is: up to how many metres, its colour, and the icon of that colour.
DEPTH_BANDS = (
    (0.05, (0.30, 0.75, 0.35), "COLLECTION_COLOR_04"),
    (0.10, (0.95, 0.85, 0.25), "COLLECTION_COLOR_03"),
    (0.15, (1.00, 0.55, 0.10), "COLLECTION_COLOR_02"),
    (np.inf, (1.00, 0.20, 0.15), "COLLECTION_COLOR_01"),
)
_THINNEST, _RIBBON_ALPHA = 2.0, 0.6


@dataclass(frozen=True, eq=False)
class Shapes:
    """Lines [L, 2] (ends in pairs) and triangles [T, 2] in pixels of the region, with colours [., 4]."""

    lines: np.ndarray
    line_colours: np.ndarray
    triangles: np.ndarray
    triangle_colours: np.ndarray

    @classmethod
    def nothing(cls) -> Shapes:
        """No lines and no triangles."""
        return cls(np.empty((0, 2)), np.empty((0, 4)), np.empty((0, 2)), np.empty((0, 4)))


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
        triangles.append(_disc(centre, radius))
        triangle_colours.append(np.tile(colour, (len(triangles[-1]), 1)))

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


def _disc(centre: np.ndarray, radius: float) -> np.ndarray:
    """A circle's triangles [T, 2]."""
    rim = centre + radius * _CIRCLE
    fan = np.stack([np.broadcast_to(centre, rim[1:].shape), rim[:-1], rim[1:]], axis=1)
    return fan.reshape(-1, 2)


def depth_band(sigma: float) -> int:
    """Which of DEPTH_BANDS a standard deviation is in, metres."""
    return next(i for i, (limit, _, _) in enumerate(DEPTH_BANDS) if sigma <= limit)


def depth_shapes(xy: np.ndarray, metre: np.ndarray, sigma: np.ndarray, frame: Frame) -> Shapes:
    """Bones as ribbons, as wide at each end as its depth is unsure, coloured by the outer end.

    ``xy`` [24, 2] joints in the picture, ``metre`` [24] the picture's pixels for a metre there, ``sigma``
    [24] metres. Joints that are not finite are left out.
    """
    shown = frame.to_region(xy)
    half = 0.5 * np.maximum(sigma * metre * frame.scale_x, _THINNEST)
    triangles, colours = [], []
    for j, parent in enumerate(SMPL_PARENTS):
        way = shown[j] - shown[parent]
        length = float(np.hypot(*way))
        if parent < 0 or not np.isfinite(length) or length < 1e-6:
            continue
        across = np.array([-way[1], way[0]]) / length
        a, b = shown[parent] + half[parent] * across, shown[parent] - half[parent] * across
        c, d = shown[j] - half[j] * across, shown[j] + half[j] * across
        triangles.append([a, b, c, a, c, d])
        colours.append(np.tile((*DEPTH_BANDS[depth_band(sigma[j])][1], _RIBBON_ALPHA), (6, 1)))
    if not triangles:
        return Shapes.nothing()
    return Shapes(
        np.empty((0, 2)), np.empty((0, 4)), np.array(triangles).reshape(-1, 2), np.concatenate(colours)
    )


def joint_shapes(xy: np.ndarray, active: int, frame: Frame) -> Shapes:
    """Dots for joints [24, 2] of the picture that can be dragged; the active one (-1: none) is larger."""
    shown = frame.to_region(xy)
    dots, colours = [], []
    for j in np.flatnonzero(np.isfinite(shown).all(axis=1)).tolist():
        dots.append(_disc(shown[j], _HELD_DOT if j == active else _HANDLE_DOT))
        colours.append(np.tile(_HELD if j == active else _HANDLE, (len(dots[-1]), 1)))
    if not dots:
        return Shapes.nothing()
    return Shapes(np.empty((0, 2)), np.empty((0, 4)), np.concatenate(dots), np.concatenate(colours))
