"""Keypoints, the body's own points, unsure depths and a tool's handles, drawn over the camera view.

Drawing costs a comparison when nothing has changed: the GPU's batches are kept under a signature of all that
they show.
"""

from __future__ import annotations

import blf
import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent
from gpu_extras.batch import batch_for_shader

from .overlay_data import Shapes
from .overlay_layers import Handles, depth_layer, handle_layer, keypoint_layer

_LINE_WIDTH, _TEXT_SIZE = 2.0, 13.0  # pixels of the screen
_LINES, _TRIANGLES = "POLYLINE_SMOOTH_COLOR", "SMOOTH_COLOR"


class _Drawn:
    """The batches of a layer in a region, and for what they stand."""

    def __init__(self, signature: tuple[object, ...], lines: object, triangles: object) -> None:
        self.signature, self.lines, self.triangles = signature, lines, triangles


# Batches belong to the GPU, and handles to the tool that runs: nothing is lost when they go.
_cache: dict[tuple[int, str], _Drawn] = {}
_handles: Handles | None = None
_handle: object | None = None


def show_handles(handles: Handles | None) -> None:
    """Mark the joints of a body that can be dragged, until None is given."""
    global _handles
    _handles = handles


def _draw() -> None:
    context = bpy.context
    region, view = context.region, context.region_data
    if view is None:
        return
    layers = {
        "depths": depth_layer(context, region, view),
        "keypoints": keypoint_layer(context, region, view),
        "handles": handle_layer(context, region, view, _handles),
    }
    for name, layer in layers.items():
        if layer is None:
            continue
        key = region.as_pointer(), name
        drawn = _cache.get(key)
        if drawn is None or drawn.signature != layer.signature:
            drawn = _cache[key] = _Drawn(layer.signature, *_batches(layer.make()))
        _show(drawn, region)
        if layer.label is not None:
            _name(*layer.label)


def _name(name: str, place: np.ndarray) -> None:
    """A point's name beside it."""
    blf.size(0, _TEXT_SIZE)
    blf.color(0, 1.0, 1.0, 1.0, 1.0)
    blf.position(0, float(place[0]) + _TEXT_SIZE, float(place[1]) + _TEXT_SIZE / 2, 0)
    blf.draw(0, name.replace("_", " "))


def _batches(made: Shapes) -> tuple[object, object]:
    def batch(shader: str, kind: str, points: np.ndarray, colours: np.ndarray) -> object:
        flat = np.zeros((len(points), 3), dtype=np.float32)
        flat[:, :2] = points
        content = {"pos": flat, "color": colours.astype(np.float32)}
        return batch_for_shader(gpu.shader.from_builtin(shader), kind, content)

    return (
        batch(_LINES, "LINES", made.lines, made.line_colours) if len(made.lines) else None,
        batch(_TRIANGLES, "TRIS", made.triangles, made.triangle_colours) if len(made.triangles) else None,
    )


def _show(drawn: _Drawn, region: bpy.types.Region) -> None:
    gpu.state.blend_set("ALPHA")
    if drawn.lines is not None:
        shader = gpu.shader.from_builtin(_LINES)
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", _LINE_WIDTH)
        drawn.lines.draw(shader)
    if drawn.triangles is not None:
        shader = gpu.shader.from_builtin(_TRIANGLES)
        shader.bind()
        drawn.triangles.draw(shader)
    gpu.state.blend_set("NONE")


@persistent
def _forget(*_: object) -> None:
    """Regions of another file have other addresses, and no tool runs there."""
    _cache.clear()
    show_handles(None)


def register() -> None:
    """Begin to draw."""
    global _handle
    if not bpy.app.background:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    bpy.app.handlers.load_post.append(_forget)


def unregister() -> None:
    """Stop drawing."""
    global _handle
    bpy.app.handlers.load_post.remove(_forget)
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
    _forget()
