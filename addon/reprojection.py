"""Where the body's own keypoints are in the picture, from the pose that the bones have now."""

from __future__ import annotations

from functools import lru_cache

import bpy
import numpy as np

from ..lsr1_solver import BodyModel, FitError, KeypointFormat, project
from ..lsr1_solver.kinematics import BETAS_START, PELVIS, KeypointChain, keypoint_chain, pose_chain
from .armature import read_rotations
from .body import mesh_of, shown_betas
from .footage import View, project_world
from .rig import rig_of


@lru_cache(maxsize=4)
def _chain(body: BodyModel, layout: KeypointFormat) -> tuple[KeypointChain, np.ndarray]:
    """The chain of the points that the body has, and which of the format's they are [K]."""
    usable = np.array([name in body.landmarks for name in layout.joints])
    names = [name for name, has in zip(layout.joints, usable, strict=True) if has and name]
    return keypoint_chain(body, names), usable


def body_points(armature: bpy.types.Object, view: View, layout: KeypointFormat) -> np.ndarray:
    """The body's keypoints in the picture, pixels [K, 2]; NaN where the body has no such point."""
    rig = rig_of(armature)
    chain, usable = _chain(rig.body, layout)
    betas = shown_betas(armature)
    shown = betas if armature.lsr1_body.is_ours else None
    local, pelvis = read_rotations(armature, rig, view.to_world, shown)
    x = np.zeros((1, chain.size))
    x[0, PELVIS], x[0, BETAS_START:] = pelvis, betas[: chain.shape_count]
    points = np.full((len(layout), 2), np.nan)
    points[usable] = view.to_picture(project(view.camera, pose_chain(chain, local[None], x).points)[0])
    return points


def body_points_or_none(
    armature: bpy.types.Object | None, view: View, layout: KeypointFormat
) -> np.ndarray | None:
    """``body_points`` for drawing, where a body that can't be read is no error."""
    if armature is None:
        return None
    try:
        return body_points(armature, view, layout)
    except FitError:
        return None


def joints_seen(armature: bpy.types.Object, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Where the joints are in the picture, as the bones stand: pixels [24, 2], and its pixels for a metre of
    the body there [24]. NaN where the rig has no bone for a joint, or it is behind the camera.

    FitError where the armature is no SMPL rig.
    """
    rig = rig_of(armature)
    heads = np.array([[np.nan] * 3 if name is None else armature.pose.bones[name].head for name in rig.bones])
    world = np.array(armature.matrix_world)
    places = heads @ world[:3, :3].T + world[:3, 3]
    camera = np.array(view.to_world)
    ahead = -(places - camera[:3, 3]) @ (camera[:3, 2] / np.linalg.norm(camera[:3, 2]))
    return project_world(view, places), view.camera.focal_length * rig.unit * rig.scale / ahead


def pose_signature(armature: bpy.types.Object | None) -> bytes:
    """Changes when the body's pose, shape or place changes."""
    if armature is None or armature.pose is None:
        return b""
    bones = armature.pose.bones
    basis = np.empty(16 * len(bones), dtype=np.float32)
    bones.foreach_get("matrix_basis", basis)
    mesh = mesh_of(armature)
    keys = mesh.data.shape_keys.key_blocks if mesh and mesh.data.shape_keys else ()
    values = np.zeros(len(keys), dtype=np.float32)
    if len(keys):
        keys.foreach_get("value", values)
    return basis.tobytes() + values.tobytes() + np.array(armature.matrix_world).tobytes()
