"""A rectangle that is dragged with the mouse, drawn over a 3D view."""

from __future__ import annotations

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

_LINE, _FILL = (1.0, 0.8, 0.1, 1.0), (1.0, 0.8, 0.1, 0.12)
_WIDTH = 2.0  # pixels of the screen
# The corners of a rectangle as steps along x and y, and the triangles between them.
_AROUND = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
_HALVES = ((0, 1, 2), (0, 2, 3))


class DrawnBox:
    """The rectangle of a region, from where the mouse was pressed to where it is. ``remove`` ends it."""

    def __init__(self, region: bpy.types.Region) -> None:
        """Nothing is drawn before ``begin``."""
        self._region = region.as_pointer()
        self._ends: tuple[np.ndarray, np.ndarray] | None = None
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")

    @property
    def is_begun(self) -> bool:
        """Whether the mouse was pressed."""
        return self._ends is not None

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The lower left and the upper right corner, pixels of the region."""
        ends = np.stack(self._ends or (np.zeros(2), np.zeros(2)))
        return ends.min(axis=0), ends.max(axis=0)

    def begin(self, mouse: np.ndarray) -> None:
        """Both corners here [2]."""
        self._ends = mouse, mouse

    def drag(self, mouse: np.ndarray) -> None:
        """The second corner here [2]."""
        if self._ends is not None:
            self._ends = self._ends[0], mouse

    def forget(self) -> None:
        """As before ``begin``."""
        self._ends = None

    def remove(self) -> None:
        """Draw no more."""
        bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")

    def _draw(self) -> None:
        region = bpy.context.region
        if self._ends is None or region is None or region.as_pointer() != self._region:
            return
        low, high = self.corners
        flat = np.zeros((5, 3), dtype=np.float32)
        flat[:, :2] = low + _AROUND * (high - low)
        gpu.state.blend_set("ALPHA")
        fill = gpu.shader.from_builtin("UNIFORM_COLOR")
        fill.uniform_float("color", _FILL)
        batch_for_shader(fill, "TRIS", {"pos": flat[:4]}, indices=_HALVES).draw(fill)
        line = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        line.uniform_float("viewportSize", (region.width, region.height))
        line.uniform_float("lineWidth", _WIDTH)
        line.uniform_float("color", _LINE)
        batch_for_shader(line, "LINE_STRIP", {"pos": flat}).draw(line)
        gpu.state.blend_set("NONE")
