"""Armatures and figures for the tests."""

import bpy
import numpy as np
from mathutils import Vector


def armature_of(
    names: list[str | None],
    parents: list[int],
    heads: np.ndarray,
    rolls: list[float],
    *,
    tails: str = "up",
    extra_root: str | None = None,
) -> bpy.types.Object:
    """Bones at the heads [24, 3]; tails 0.1 above ("up") or at the first child ("child")."""
    armature = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    root = None
    if extra_root:
        root = bones.new(extra_root)
        root.head, root.tail = (0.0, 0.0, 0.0), (0.0, 0.3, 0.1)
    for j, name in enumerate(names):
        if name is None:
            continue
        bone = bones.new(name)
        bone.head = heads[j]
        child = parents.index(j) if j in parents and tails == "child" else None
        bone.tail = heads[child] if child is not None else Vector(heads[j]) + Vector((0.0, 0.0, 0.1))
        bone.roll = rolls[j]
        bone.parent = bones[names[parents[j]]] if parents[j] >= 0 else root
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def bone_heads(armature: bpy.types.Object, names: list[str]) -> np.ndarray:
    """Posed heads in the world [N, 3]."""
    bpy.context.view_layer.update()
    return np.array([armature.matrix_world @ armature.pose.bones[name].head for name in names])


def world_vertices(mesh: bpy.types.Object) -> np.ndarray:
    """The mesh as it is seen, in the world [V, 3]."""
    evaluated = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    vertices = evaluated.to_mesh().vertices
    flat = np.empty(3 * len(vertices), dtype=np.float32)
    vertices.foreach_get("co", flat)
    world = np.array(evaluated.matrix_world)
    return flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
