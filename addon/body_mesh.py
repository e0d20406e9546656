"""The body's mesh: quads, UVs, a plain material, and shape keys for the shape and the pose correctives."""

from __future__ import annotations

import bpy
import numpy as np

from ..lsr1_solver import BodyModel
from .body_files import SHAPE_COUNT, sole_heights
from .rig import Y_UP_TO_Z_UP

NAME = "LSR1 Body"
SHAPE_RANGE = 5.0
# What the open body's first components mean (assets/open_body.LICENSE.md); SMPL's have no names.
_MEANINGS = {"open_body": {0: "stature", 1: "build"}}
_SKIN = (0.62, 0.52, 0.45, 1.0)


def make_mesh(body: BodyModel) -> bpy.types.Mesh:
    """The body at rest with its shape keys, standing on the origin in every shape."""
    mesh = bpy.data.meshes.new(NAME)
    base = _turned(body.v_template) + np.array([0.0, 0.0, sole_heights(body)[0]])
    faces = body.faces if body.quads is None else body.quads
    mesh.from_pydata(base, (), faces.tolist())
    if body.quads is not None and body.uv is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        layer.data.foreach_set("uv", body.uv.astype(np.float32).ravel())
    mesh.shade_smooth()
    mesh.materials.append(_material())
    mesh.update()
    _make_shape_keys(mesh, body, base)
    return mesh


def shape_key_name(body_name: str, component: int) -> str:
    """What the shape key of a component is called: "shape_01 stature"."""
    meaning = _MEANINGS.get(body_name, {}).get(component, "")
    return f"shape_{component + 1:02d} {meaning}".strip()


def shape_keys_of(mesh: bpy.types.Object) -> list[bpy.types.ShapeKey | None]:
    """The mesh's shape keys by component, None where one was deleted."""
    keys = mesh.data.shape_keys.key_blocks if mesh.data.shape_keys else ()
    by_number = {key.name[:8]: key for key in keys if key.name.startswith("shape_")}
    return [by_number.get(f"shape_{s + 1:02d}") for s in range(SHAPE_COUNT)]


def set_correctives(mesh: bpy.types.Object, rotations: np.ndarray) -> None:
    """Set the pose correctives, where the mesh has them, for joint rotations [24, 3, 3] in model axes."""
    keys = mesh.data.shape_keys.key_blocks if mesh.data.shape_keys else {}
    if corrective_name(0) not in keys:
        return
    for index, value in enumerate(corrective_values(rotations[None])[0].tolist()):
        key = keys.get(corrective_name(index))
        if key is not None:
            key.value = value


def corrective_values(rotations: np.ndarray) -> np.ndarray:
    """SMPL's pose features of joint rotations: [B, 24, 3, 3] -> [B, 207]."""
    return (rotations[:, 1:] - np.eye(3)).reshape(len(rotations), -1)


def corrective_name(index: int) -> str:
    """The shape key of one of SMPL's 207 pose features."""
    return f"pose_{index + 1:03d}"


def _turned(points: np.ndarray) -> np.ndarray:
    return points @ Y_UP_TO_Z_UP.T


def _make_shape_keys(mesh: bpy.types.Mesh, body: BodyModel, base: np.ndarray) -> None:
    owner = bpy.data.objects.new(NAME, mesh)
    owner.shape_key_add(name="Basis", from_mix=False)
    for s in range(min(body.shape_count, SHAPE_COUNT)):
        name = shape_key_name(body.name, s)
        lifted = np.array([0.0, 0.0, sole_heights(body)[1][s]])
        _add_key(owner, name, base + _turned(body.shapedirs[..., s]) + lifted, SHAPE_RANGE)
    if body.posedirs is not None:
        for index in range(body.posedirs.shape[2]):
            # A rotation's entry differs from the identity's by at most 2.
            _add_key(owner, corrective_name(index), base + _turned(body.posedirs[..., index]), 2.0)
    bpy.data.objects.remove(owner)


def _add_key(owner: bpy.types.Object, name: str, points: np.ndarray, limit: float) -> None:
    key = owner.shape_key_add(name=name, from_mix=False)
    key.slider_min, key.slider_max, key.value = -limit, limit, 0.0
    key.data.foreach_set("co", points.astype(np.float32).ravel())


def _material() -> bpy.types.Material:
    material = bpy.data.materials.get(NAME)
    if material is None:
        material = bpy.data.materials.new(NAME)
        material.diffuse_color = _SKIN
        if not material.use_nodes:  # from 5.0 on a material always has nodes
            material.use_nodes = True
        shader = material.node_tree.nodes.get("Principled BSDF")
        if shader is not None:
            shader.inputs["Base Color"].default_value = _SKIN
            shader.inputs["Roughness"].default_value = 0.7
    return material
