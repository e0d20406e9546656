"""Keypoints, the body's own points and their differences, drawn over the camera view.

Drawing costs a comparison when nothing has changed: the GPU's batches are kept under a signature of all that
they show.
"""

from __future__ import annotations

import blf
import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from ..lsr1_solver import FitError
from .footage import scene_view
from .keypoint_store import has_keypoints, layout, points_at
from .operators.common import target
from .overlay_data import Frame, Shapes, shapes
from .reprojection import body_points_or_none, pose_signature

_LINE_WIDTH, _TEXT_SIZE = 2.0, 13.0  # pixels of the screen
_LINES, _TRIANGLES = "POLYLINE_SMOOTH_COLOR", "SMOOTH_COLOR"


class _Drawn:
    """The batches of a region, and for what they stand."""

    def __init__(self, signature: tuple[object, ...], lines: object, triangles: object) -> None:
        self.signature, self.lines, self.triangles = signature, lines, triangles


# Batches belong to the GPU, not to the scene: nothing is lost when they go.
_cache: dict[int, _Drawn] = {}
_handle: object | None = None


def camera_frame(
    scene: bpy.types.Scene, region: bpy.types.Region, view: bpy.types.RegionView3D, size: tuple[int, int]
) -> Frame | None:
    """Where the camera's picture of this size is in a region; None outside the camera view."""
    camera = scene.camera
    if view.view_perspective != "CAMERA" or camera is None or camera.type != "CAMERA":
        return None
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    ends = [location_3d_to_region_2d(region, view, corner) for corner in corners]
    if any(end is None for end in ends):
        return None
    flat = np.array(ends)
    low, high = flat.min(axis=0), flat.max(axis=0)
    if min(high - low) <= 0:
        return None
    return Frame(low[0], high[1], (high[0] - low[0]) / size[0], (high[1] - low[1]) / size[1])


def _draw() -> None:
    context = bpy.context
    scene = context.scene
    if not scene.lsr1.settings.show_overlay or not has_keypoints(scene):
        return
    region, view = context.region, context.region_data
    size = tuple(scene.lsr1.keypoints.size)
    frame = camera_frame(scene, region, view, size) if view is not None else None
    found = points_at(scene, scene.frame_current) if frame is not None else None
    if frame is None or found is None:
        return
    xy, confidence = found
    armature, active = target(context), scene.lsr1.keypoints.active
    camera = np.array(scene.camera.matrix_world).tobytes()
    own = pose_signature(armature), scene.lsr1.keypoints.layout, active, frame, camera
    signature = (xy.tobytes(), confidence.tobytes(), *own)
    drawn = _cache.get(region.as_pointer())
    if drawn is None or drawn.signature != signature:
        made = _shapes(context, armature, found, frame)
        drawn = _Drawn(signature, *_batches(made))
        _cache[region.as_pointer()] = drawn
    _show(drawn, region)
    if 0 <= active < len(xy) and confidence[active] > 0:
        _name(layout(scene).names[active], frame.to_region(xy[active]))


def _name(name: str, place: np.ndarray) -> None:
    """The active keypoint's name beside it."""
    blf.size(0, _TEXT_SIZE)
    blf.color(0, 1.0, 1.0, 1.0, 1.0)
    blf.position(0, float(place[0]) + _TEXT_SIZE, float(place[1]) + _TEXT_SIZE / 2, 0)
    blf.draw(0, name.replace("_", " "))


def _shapes(
    context: bpy.types.Context,
    armature: bpy.types.Object | None,
    found: tuple[np.ndarray, np.ndarray],
    frame: Frame,
) -> Shapes:
    scene, known = context.scene, layout(context.scene)
    body = None
    try:
        view = scene_view(scene, context.evaluated_depsgraph_get(), tuple(scene.lsr1.keypoints.size))
        body = body_points_or_none(armature, view, known)
    except FitError:
        pass  # a camera that is no perspective one: the keypoints can be drawn all the same
    return shapes(known, *found, body, scene.lsr1.keypoints.active, frame)


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
    """Regions of another file have other addresses."""
    _cache.clear()


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
    _cache.clear()
