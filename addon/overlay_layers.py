"""What is drawn over the camera view, layer by layer: what a layer shows, and what it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np

from ..lsr1_solver import FitError
from ..lsr1_solver.body_model import SMPL_JOINT_NAMES
from .depths import depths_at
from .footage import camera_frame, render_size, scene_view
from .keypoint_store import has_keypoints, layout, points_at
from .known import Known
from .overlay_data import Shapes, depth_shapes, joint_shapes, shapes
from .reprojection import body_points_or_none, joints_seen, pose_signature
from .rig import target


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in one region: ``make`` gives its shapes, which change only when ``signature`` does;
    ``label`` is a word and its place [2] in the region.
    """

    signature: tuple[object, ...]
    make: Callable[[], Shapes]
    label: tuple[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Handles:
    """While joints of a body can be dragged: the body, and the joint under the mouse or in the hand."""

    body: Known[bpy.types.Object]
    joint: str | None


def keypoint_layer(
    context: bpy.types.Context, region: bpy.types.Region, view: bpy.types.RegionView3D
) -> Layer | None:
    """Keypoints, the body's own points, and their differences."""
    scene = context.scene
    if not scene.lsr1.settings.show_overlay or not has_keypoints(scene):
        return None
    size = tuple(scene.lsr1.keypoints.size)
    frame = camera_frame(scene, region, view, size)
    found = points_at(scene, scene.frame_current_final) if frame is not None else None
    if frame is None or found is None:
        return None
    (xy, confidence), known = found, layout(scene)
    armature, active = target(context), scene.lsr1.keypoints.active

    def make() -> Shapes:
        body = None
        try:
            seen = scene_view(scene, context.evaluated_depsgraph_get(), size)
            body = body_points_or_none(armature, seen, known)
        except FitError:
            pass  # a camera that is no perspective one: the keypoints can be drawn all the same
        return shapes(known, *found, body, active, frame)

    label = None
    if 0 <= active < len(xy) and confidence[active] > 0:
        label = known.names[active], frame.to_region(xy[active])
    held = scene.lsr1.keypoints.layout, active, frame, *_camera_signature(scene)
    return Layer((xy.tobytes(), confidence.tobytes(), pose_signature(armature), *held), make, label)


def depth_layer(
    context: bpy.types.Context, region: bpy.types.Region, view: bpy.types.RegionView3D
) -> Layer | None:
    """Limbs, as wide as their depth is uncertain."""
    scene = context.scene
    armature = target(context) if scene.lsr1.refine.show_depths else None
    sigma = depths_at(scene, armature) if armature is not None else None
    frame = camera_frame(scene, region, view, render_size(scene)) if sigma is not None else None
    if armature is None or sigma is None or frame is None:
        return None

    def make() -> Shapes:
        try:
            seen = scene_view(scene, context.evaluated_depsgraph_get())
            xy, metre = joints_seen(armature, seen)
        except FitError:
            return Shapes.nothing()
        return depth_shapes(xy, metre, sigma, frame)

    return Layer((sigma.tobytes(), pose_signature(armature), frame, *_camera_signature(scene)), make)


def handle_layer(
    context: bpy.types.Context,
    region: bpy.types.Region,
    view: bpy.types.RegionView3D,
    handles: Handles | None,
) -> Layer | None:
    """The joints that can be dragged, the one under the mouse with its name."""
    scene = context.scene
    armature = handles.body.among(scene.objects) if handles is not None else None
    frame = camera_frame(scene, region, view, render_size(scene)) if armature is not None else None
    if handles is None or armature is None or frame is None:
        return None
    try:
        xy, _ = joints_seen(armature, scene_view(scene, context.evaluated_depsgraph_get()))
    except FitError:
        return None
    active = SMPL_JOINT_NAMES.index(handles.joint) if handles.joint else -1
    label = (handles.joint, frame.to_region(xy[active])) if handles.joint else None
    return Layer((xy.tobytes(), active, frame), lambda: joint_shapes(xy, active, frame), label)


def _camera_signature(scene: bpy.types.Scene) -> tuple[object, ...]:
    lens = scene.camera.data
    seen = (
        getattr(lens, name) for name in ("type", "lens", "sensor_width", "sensor_fit", "shift_x", "shift_y")
    )
    return np.array(scene.camera.matrix_world).tobytes(), *seen
