"""Add Body: an armature with SMPL's bones and the skinned mesh, and the shape of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..lsr1_solver import SMPL_JOINT_NAMES, SMPL_PARENTS, BodyModel, BodyPose, FitError
from ..lsr1_solver.body_model import local_rotations
from ..lsr1_solver.bvh import LEAF_TIPS
from .armature import apply_pose
from .body_files import SHAPE_COUNT, body_model, soles
from .body_mesh import make_mesh, set_correctives, shape_keys_of
from .known import Known, known
from .rig import Y_UP_TO_Z_UP, joint_bones, joints_of_shape

NAME = "LSR1 Body"
# The joint that a bone points to, where its first child is not the one.
_POINTS_TO = {"pelvis": "spine1", "spine3": "neck"}
# A bone's Z axis: forward, so that X is the hinge of knees and elbows; feet point forward, theirs is up.
_FORWARD, _UP = Vector((0.0, -1.0, 0.0)), Vector((0.0, 0.0, 1.0))
_SHORTEST = 0.02  # metres: Blender drops bones of no length
_SAME_SHAPE = 1e-6


def add_body(context: bpy.types.Context, model_file: str = "") -> bpy.types.Object:
    """A body at the 3D cursor, at rest, soles on the cursor's height; it becomes the active object.

    Returns the armature; the mesh is its child. FitError where the model file can't be read.
    """
    body = body_model(model_file)
    armature = bpy.data.objects.new(NAME, bpy.data.armatures.new(NAME))
    mesh = bpy.data.objects.new(f"{NAME} Mesh", make_mesh(body))
    collection = _visible_collection(context)
    for obj in (armature, mesh):
        collection.objects.link(obj)
    armature.location = context.scene.cursor.location
    _make_bones(context, armature, body)
    settings = armature.lsr1_body
    settings.model_file, settings.is_ours = model_file, True
    settings.betas = (0.0,) * SHAPE_COUNT
    _bind(mesh, armature, body)
    for obj in context.selected_objects:
        obj.select_set(False)
    armature.select_set(True)
    context.view_layer.objects.active = armature
    context.view_layer.update()
    return armature


def body_parts(armature: bpy.types.Object) -> tuple[Known, ...]:
    """All that ``add_body`` made for a body, while it is as it was made."""
    mesh = mesh_of(armature)
    skin = () if mesh is None else (mesh, mesh.data, *mesh.data.materials)
    return tuple(known(thing) for thing in (armature, armature.data, *skin))


def remove_body(parts: Sequence[Known]) -> None:
    """Take what is left of a body's parts out of the file; what another object uses by now stays."""
    for part in parts:
        thing = part.among(bpy.data.objects)
        if thing is not None:
            bpy.data.objects.remove(thing)
    for things in (bpy.data.armatures, bpy.data.meshes, bpy.data.materials):
        for part in parts:
            thing = part.among(things)
            if thing is not None and not thing.users:
                things.remove(thing)


def _visible_collection(context: bpy.types.Context) -> bpy.types.Collection:
    layer = context.view_layer.active_layer_collection
    hidden = layer.exclude or layer.hide_viewport or layer.collection.hide_viewport
    return context.scene.collection if hidden else layer.collection


def mesh_of(armature: bpy.types.Object) -> bpy.types.Object | None:
    """The mesh that an Armature modifier ties to the rig: the one with shape keys, else the first."""
    skinned = skins_of(armature)
    with_keys = [obj for obj in skinned if obj.data.shape_keys]
    return next(iter(with_keys or skinned), None)


def skins_of(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes below a rig that an Armature modifier ties to it."""
    return [
        obj
        for obj in armature.children
        if obj.type == "MESH" and any(m.type == "ARMATURE" and m.object == armature for m in obj.modifiers)
    ]


def _make_bones(context: bpy.types.Context, armature: bpy.types.Object, body: BodyModel) -> None:
    joints = _heads(body, np.zeros(body.shape_count))
    with edit_mode(context, armature):
        bones = armature.data.edit_bones
        for j, name in enumerate(SMPL_JOINT_NAMES):
            bone = bones.new(name)
            bone.head, bone.tail = joints[j], joints[j] + _direction(joints, j)
            bone.align_roll(_UP if "foot" in name else _FORWARD)
            bone.parent = bones[SMPL_JOINT_NAMES[SMPL_PARENTS[j]]] if j else None
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"
        # Joints do not come apart by accident; the root may go anywhere.
        bone.lock_location = (bone.parent is not None,) * 3
    armature.data.display_type = "STICK"
    armature.show_in_front = True


def _heads(body: BodyModel, betas: np.ndarray) -> np.ndarray:
    """Rest joints in armature space. [24, 3]."""
    return joints_of_shape(body, betas) @ Y_UP_TO_Z_UP.T + np.array([0.0, 0.0, soles(body, betas)])


def _direction(joints: np.ndarray, j: int) -> np.ndarray:
    """From a bone's head to its tail [3], armature space."""
    name = SMPL_JOINT_NAMES[j]
    if name in LEAF_TIPS:
        return Y_UP_TO_Z_UP @ np.array(LEAF_TIPS[name])
    target = _POINTS_TO.get(name)
    child = SMPL_JOINT_NAMES.index(target) if target else SMPL_PARENTS.index(j)
    way = joints[child] - joints[j]
    length = float(np.linalg.norm(way))
    return way if length >= _SHORTEST else np.array([0.0, 0.0, _SHORTEST])


def _bind(mesh: bpy.types.Object, armature: bpy.types.Object, body: BodyModel) -> None:
    """Parent, vertex groups and the modifier."""
    mesh.parent = armature
    for j, name in enumerate(SMPL_JOINT_NAMES):
        group = mesh.vertex_groups.new(name=name)
        weights = body.lbs_weights[:, j]
        for vertex in np.flatnonzero(weights > 0).tolist():
            group.add((vertex,), float(weights[vertex]), "REPLACE")
    modifier = mesh.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature


def shown_betas(armature: bpy.types.Object) -> np.ndarray:
    """The shape [10] that the mesh's shape keys show; that of the rest bones where it has none."""
    betas = np.array(armature.lsr1_body.betas)
    mesh = mesh_of(armature)
    for s, key in enumerate(shape_keys_of(mesh) if mesh else ()):
        if key is not None:
            betas[s] = 0.0 if key.mute else key.value
    return betas


def show_betas(armature: bpy.types.Object, betas: np.ndarray) -> None:
    """Set the mesh's shape keys [S]; the bones stay (see ``set_shape``)."""
    mesh = mesh_of(armature)
    for key, value in zip(shape_keys_of(mesh) if mesh else (), betas, strict=False):
        if key is not None and abs(key.value - value) > 1e-7:
            key.value = float(value)


def set_shape(context: bpy.types.Context, armature: bpy.types.Object, betas: np.ndarray) -> None:
    """Give a body of ours a shape [S]: its mesh by shape keys and its rest bones.

    The bones keep their directions, so that keys made before still turn every joint as they did. Bodies of
    other add-ons keep their shape. FitError as ``check_bones_free``; nothing has changed then.
    """
    if not armature.lsr1_body.is_ours:
        return
    padded = np.zeros(SHAPE_COUNT)
    padded[: len(betas)] = betas[:SHAPE_COUNT]
    if not np.allclose(padded, armature.lsr1_body.betas, atol=_SAME_SHAPE):
        check_bones_free(armature)
    show_betas(armature, padded)
    joints_to_shape(context, armature)


def joints_to_shape(context: bpy.types.Context, armature: bpy.types.Object) -> bool:
    """Put the rest bones where the shape that the mesh shows has its joints. Whether they had to move.

    FitError as ``check_bones_free`` and ``joint_bones``; nothing has changed then.
    """
    settings = armature.lsr1_body
    betas = shown_betas(armature)
    if not settings.is_ours or np.allclose(betas, settings.betas, atol=_SAME_SHAPE):
        return False
    heads, names = _heads(body_model(settings.model_file), betas), joint_bones(armature)
    check_bones_free(armature)
    # Before the bones, so that whoever listens to their update finds nothing left to do.
    settings.betas = tuple(betas)
    with edit_mode(context, armature):
        bones = armature.data.edit_bones
        for j, bone in enumerate(bones.get(name or "") for name in names):
            if bone is None:
                continue
            way, roll = bone.tail - bone.head, bone.z_axis.copy()
            bone.head = heads[j]
            bone.tail = Vector(heads[j]) + way.normalized() * float(np.linalg.norm(_direction(heads, j)))
            bone.align_roll(roll)
    return True


def check_bones_free(armature: bpy.types.Object) -> None:
    """FitError where Blender refuses the armature's edit mode: it is of another file."""
    if armature.data.library is not None or armature.data.override_library is not None:
        raise FitError(
            f"The bones of {armature.name} are of another file, so its shape can't change: tick Keep Shape, "
            "or make its armature local"
        )


@contextmanager
def edit_mode(context: bpy.types.Context, armature: bpy.types.Object) -> Iterator[None]:
    """The armature's edit bones for a moment; modes, selection and active object are then as they were.

    FitError as ``check_bones_free``.
    """
    check_bones_free(armature)
    if armature.data.is_editmode:
        yield
        return
    # Blender refuses edit mode to what is hidden or in no scene, and takes all that is selected along.
    stand_in = bpy.data.objects.new(armature.name, armature.data)
    context.scene.collection.objects.link(stand_in)
    layer = context.view_layer
    active, selected = layer.objects.active, list(layer.objects.selected)
    for thing in selected:
        thing.select_set(False)
    layer.objects.active = stand_in
    with context.temp_override(active_object=stand_in, object=stand_in, selected_objects=[stand_in]):
        try:
            bpy.ops.object.mode_set(mode="EDIT")
            yield
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")
            bpy.data.objects.remove(stand_in)
            layer.objects.active = active
            for thing in selected:
                thing.select_set(True)


def show_pose(
    armature: bpy.types.Object, pose: BodyPose, *, frame: int = 0, to_world: Matrix | None = None
) -> None:
    """Show one frame of a fit, its shape too, without moving rest bones: what a preview does every tick."""
    show_betas(armature, np.asarray(pose.betas)[frame])
    apply_pose(armature, pose, frame=frame, to_world=to_world, preview=True)
    mesh = mesh_of(armature)
    if mesh:
        set_correctives(mesh, local_rotations(pose.frames(frame))[0])
