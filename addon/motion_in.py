"""A motion file's person on a body: keys in an action of its own, as a fit's are."""

from __future__ import annotations

import bpy
import numpy as np

from ..lsr1_solver import Motion
from .body import mesh_of, set_shape
from .body_mesh import corrective_name
from .camera_path import camera_path, carried_places, relative_to
from .footage import render_size, scene_view
from .keyframes import ensure_curves, key_shape, motion_channels
from .rig import Y_UP_TO_Z_UP
from .takes import begin_take, check_action_free, keep_earlier_take, write_motion
from .timing import exact_rate, scene_rate, set_scene_rate

# What a motion's action says about where it is from.
SOURCE = "lsr1_source"


def import_motion(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    motion: Motion,
    name: str,
    *,
    first: int,
    before_camera: bool,
    use_shape: bool,
    set_rate: bool = False,
) -> np.ndarray:
    """Key a motion on a body in a new action; earlier actions stay.

    The motion takes the time that it took: its frames [N] may lie between the scene's, and are returned. The
    file's floor is the world's; with ``before_camera`` the motion stands before the scene's camera, as a fit
    does. ``use_shape`` gives a body of ours the file's shape, where it is one of its own; ``set_rate`` the
    scene the file's rate.

    FitError where the armature is no SMPL rig, or Blender lets neither its action nor its shape be changed;
    nothing has changed then.
    """
    check_action_free(armature)
    rate = exact_rate(motion.frame_rate) if set_rate else scene_rate(context.scene)
    frames = first + motion.frames * (rate / motion.frame_rate)
    to_world = np.eye(4)
    to_world[:3, :3] = Y_UP_TO_Z_UP
    if before_camera:
        scene = context.scene
        view = scene_view(scene, context.evaluated_depsgraph_get(), render_size(scene))
        to_world = camera_path(context, view, frames, armature).to_world
    if use_shape and motion.has_shape:
        set_shape(context, armature, motion.pose.betas[0])
    action, before = begin_take(armature, name)
    carried = carried_places(context.scene, armature, frames)
    channels = motion_channels(armature, motion.pose, relative_to(armature, carried, to_world))
    action[SOURCE] = str(motion)
    write_motion(ensure_curves(armature, name), channels, frames)
    keep_earlier_take(before)
    _key_correctives(armature, motion, name, frames)
    if set_rate:
        set_scene_rate(context.scene, motion.frame_rate)
    return frames


def _key_correctives(armature: bpy.types.Object, motion: Motion, name: str, frames: np.ndarray) -> None:
    mesh = mesh_of(armature)
    keys = mesh.data.shape_keys if mesh is not None else None
    if keys is None or corrective_name(0) not in keys.key_blocks:
        return
    _, before = begin_take(keys, f"{name} Shape")
    key_shape(mesh, motion.pose, frames.tolist())
    keep_earlier_take(before)
