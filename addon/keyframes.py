"""Keyframes of whole clips, written in bulk: one array an F-curve, as Blender 4.2 to 5.x keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import BodyPose
from ..lsr1_solver.body_model import local_rotations
from ..lsr1_solver.rotation import matrix_to_quaternion
from .armature import bone_channels
from .body_mesh import corrective_name, corrective_values
from .rig import joints_of_shape, rig_of

# Blender's numbers for keyframe handles (auto clamped) and for interpolation.
_AUTO_CLAMPED = 4
_INTERPOLATIONS = {"CONSTANT": 0, "LINEAR": 1, "BEZIER": 2}


def insert_channels(armature: bpy.types.Object, channels: Sequence[Channel], frames: np.ndarray) -> None:
    """Key channels [B] at scene frames [B], fractions allowed; keys at other frames stay.

    From key to key, and from the key before the first, quaternions keep their sign and angles make no turn.
    """
    curves = ensure_curves(armature, armature.name)
    for channel in channels:
        if channel.held is None:
            _follow_key_before(curves, channel.path, frames, channel.values)
        key_values(curves, channel.path, frames, channel.values, channel.group)


@dataclass(frozen=True, eq=False)
class Channel:
    """What a motion makes of one property of a bone: its data ``path``, the ``values`` [B, N], the ``group``
    of channels, and the bone's rotation ``mode`` where these are rotations ("" where they are places).
    ``held`` [B] are the rows whose numbers must be keyed as they are; None where there are none.
    """

    path: str
    values: np.ndarray
    group: str
    mode: str
    held: np.ndarray | None = None


def motion_channels(
    armature: bpy.types.Object,
    pose: BodyPose,
    to_world: Matrix | np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> list[Channel]:
    """A motion [B] as the channels of an SMPL rig's bones, in their rotation modes.

    ``to_world`` [4, 4] or [B, 4, 4] as in ``apply_pose``. ``betas`` [S] is the shape that the mesh shows
    where the rest bones stand for another: then the bones' places are among the channels, too.

    Raises FitError where the armature is no SMPL rig.
    """
    rig = rig_of(armature)
    shapes, of = np.unique(np.asarray(pose.betas), axis=0, return_inverse=True)
    rest = np.stack([joints_of_shape(rig.body, shape)[0] for shape in shapes])[of.ravel()]
    rotations, locations = bone_channels(rig, local_rotations(pose), rest + pose.transl, to_world, betas)
    found = []
    for j, name in enumerate(rig.bones):
        if name is None:
            continue
        bone = armature.pose.bones[name]
        path, values = _rotation_channels(bone, rotations[:, j])
        found.append(Channel(f"{bone.path_from_id()}.{path}", values, name, bone.rotation_mode))
        if j == 0 or betas is not None:
            found.append(Channel(f"{bone.path_from_id()}.location", locations[:, j], name, ""))
    return found


def key_bone(
    curves: bpy.types.bpy_prop_collection,
    bone: bpy.types.PoseBone,
    times: np.ndarray,
    rotations: np.ndarray,
    locations: np.ndarray | None = None,
) -> None:
    """Key a bone's own rotations [B, 3, 3] in its rotation mode, and locations [B, 3], at frames [B]."""
    path, values = _rotation_channels(bone, rotations)
    full = f"{bone.path_from_id()}.{path}"
    _follow_key_before(curves, full, times, values)
    key_values(curves, full, times, values, bone.name)
    if locations is not None:
        key_values(curves, f"{bone.path_from_id()}.location", times, locations, bone.name)


def _rotation_channels(bone: bpy.types.PoseBone, rotations: np.ndarray) -> tuple[str, np.ndarray]:
    """The data path and values [B, 3 or 4] of a bone's rotations [B, 3, 3] in its mode."""
    if bone.rotation_mode in ("QUATERNION", "AXIS_ANGLE"):
        q = continuous_quaternions(matrix_to_quaternion(rotations))
        return (
            ("rotation_quaternion", q)
            if bone.rotation_mode == "QUATERNION"
            else ("rotation_axis_angle", _axis_angles(q))
        )
    eulers, near = [], bone.rotation_euler
    for rotation in rotations:
        near = Matrix(rotation).to_euler(bone.rotation_mode, near)
        eulers.append(tuple(near))
    return "rotation_euler", np.array(eulers)


def continuous_quaternions(q: np.ndarray) -> np.ndarray:
    """The same rotations [B, 4] (w, x, y, z) with each sign that of its neighbour before."""
    flips = np.sign(np.sum(q[1:] * q[:-1], axis=1))
    signs = np.cumprod(np.concatenate([[1.0], np.where(flips == 0, 1.0, flips)]))
    return q * signs[:, None]


def _axis_angles(q: np.ndarray) -> np.ndarray:
    """Blender's (angle, x, y, z) of quaternions whose signs are continuous."""
    length = np.linalg.norm(q[:, 1:], axis=1)
    angle = 2 * np.arctan2(length, q[:, 0])
    axis = np.where(length[:, None] > 1e-9, q[:, 1:] / np.maximum(length, 1e-9)[:, None], [0.0, 1.0, 0.0])
    return np.concatenate([angle[:, None], axis], axis=1)


def _follow_key_before(
    curves: bpy.types.bpy_prop_collection, path: str, times: np.ndarray, values: np.ndarray
) -> None:
    """Give quaternions, in place, the sign of the key before the first."""
    if not path.endswith("rotation_quaternion"):
        return
    own = [curves.find(path, index=i) for i in range(4)]
    before = times.min() - 1e-3
    if all(curve is not None and len(curve.keyframe_points) for curve in own):
        last = np.array([curve.evaluate(before) for curve in own])
        if last @ values[0] < 0:
            values *= -1


def key_values(
    curves: bpy.types.bpy_prop_collection,
    path: str,
    times: np.ndarray,
    values: np.ndarray,
    group: str,
    interpolation: str = "BEZIER",
) -> None:
    """Key a property's numbers [B, N] at scene frames [B] by its data path, in a group of channels."""
    for index in range(values.shape[1]):
        curve = curves.find(path, index=index)
        if curve is None:
            curve = new_curve(curves, path, index, group)
        add_keys(curve, times, values[:, index], interpolation)


def new_curve(curves: bpy.types.bpy_prop_collection, path: str, index: int, group: str) -> bpy.types.FCurve:
    """A curve in a group; Blender 4.4 renamed the argument where actions have channel bags."""
    known = curves.bl_rna.functions["new"].parameters.keys()
    if "group_name" in known:
        return curves.new(path, index=index, group_name=group)
    return curves.new(path, index=index, action_group=group)


def add_keys(
    curve: bpy.types.FCurve, times: np.ndarray, values: np.ndarray, interpolation: str = "BEZIER"
) -> None:
    """Key a curve's numbers [B] at scene frames [B]; keys at other frames stay."""
    points = curve.keyframe_points
    if len(points):
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            points.insert(time, value, options={"FAST"})
    else:
        order = np.argsort(times, kind="stable")
        points.add(len(times))
        points.foreach_set("co", np.stack([times, values], axis=1)[order].astype(np.float32).ravel())
        for side in ("handle_left_type", "handle_right_type"):
            points.foreach_set(side, np.full(len(times), _AUTO_CLAMPED, dtype=np.int32))
        points.foreach_set(
            "interpolation", np.full(len(times), _INTERPOLATIONS[interpolation], dtype=np.int32)
        )
    curve.update()


def ensure_curves(owner: bpy.types.ID, name: str) -> bpy.types.bpy_prop_collection:
    """The F-curves of the action that animates an object, made where there are none.

    Actions have slots since Blender 4.4; before, and in 4.2, the action holds the curves itself.
    """
    data = owner.animation_data or owner.animation_data_create()
    if data.action is None:
        data.action = bpy.data.actions.new(f"{name} Action")
    action = data.action
    if not hasattr(action, "slots"):
        return action.fcurves
    if data.action_slot is None:
        # Another's slot would move both.
        suitable = data.action_suitable_slots
        own = [slot for slot in suitable if slot.identifier == data.last_slot_identifier]
        found = own or [slot for slot in suitable if not slot.users()]
        data.action_slot = found[0] if found else action.slots.new(owner.id_type, owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(data.action_slot, ensure=True).fcurves


def curves_there(owner: bpy.types.ID) -> bpy.types.bpy_prop_collection | None:
    """The F-curves that animate a thing, None where it has none: nothing is made or assigned."""
    data = owner.animation_data
    if data is None or data.action is None:
        return None
    if not hasattr(data.action, "slots"):
        return data.action.fcurves
    layers, slot = data.action.layers, data.action_slot
    bag = layers[0].strips[0].channelbag(slot) if slot and layers and layers[0].strips else None
    return bag.fcurves if bag is not None else None


def key_shape(mesh: bpy.types.Object, pose: BodyPose, frames: Sequence[float]) -> None:
    """Key a mesh's pose correctives for the poses [B], where the mesh has them."""
    keys = mesh.data.shape_keys
    if keys is None or corrective_name(0) not in keys.key_blocks:
        return
    curves = ensure_curves(keys, mesh.name)
    values = corrective_values(local_rotations(pose))
    times = np.asarray(frames, dtype=float)
    for index in range(values.shape[1]):
        path = f'key_blocks["{corrective_name(index)}"].value'
        key_values(curves, path, times, values[:, index : index + 1], "Pose Correctives")


def hold_until(curves: bpy.types.bpy_prop_collection, channel: Channel, shots: np.ndarray) -> None:
    """At scene frames [N] at which new shots begin, the channel's key before holds until then, and the curve
    on one side doesn't bend for the sake of the other.
    """
    for index in range(channel.values.shape[1]) if len(shots) else ():
        curve = curves.find(channel.path, index=index)
        points = curve.keyframe_points
        places = np.empty(2 * len(points), dtype=np.float32)
        points.foreach_get("co", places)
        for after in np.searchsorted(places[::2], shots - 1e-3).tolist():
            if 0 < after < len(points):
                points[after - 1].interpolation = "CONSTANT"
                points[after - 1].handle_left_type = points[after].handle_right_type = "VECTOR"
        curve.update()
