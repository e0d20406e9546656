"""Another rig follows a body live, by constraints on a hidden armature, and is let go again.

The hidden armature has a bone for each of the rig's, with the axes that this bone has when the source is at
rest; Armature constraints carry it along with the source's bones. The rig copies its rotations and, scaled,
the place of its first bone. The user's constraints stay as they are.
"""

from __future__ import annotations

import json

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import SMPL_PARENTS
from .body import edit_mode
from .rest_match import HIPS
from .rig import Rig, rig_of
from .rig_tables import RigTable
from .rig_transfer import Transfer, switches_of

NAME = "LSR1 Copy"
_LENGTH = 0.1  # of the hidden bones, in the source's units


def follow(
    context: bpy.types.Context,
    source: bpy.types.Object,
    target: bpy.types.Object,
    transfer: Transfer,
    table: RigTable | None = None,
) -> None:
    """Let a rig follow the source from now on; what it followed before is let go.

    FitError where the source is no SMPL rig.
    """
    release(target)
    rig = rig_of(source)
    helper = _hidden_armature(context, source, rig, transfer)
    helper.name = f"{NAME} to {target.name}"
    for bone, name in ((target.pose.bones[name], name) for name in transfer.bones):
        constraint = bone.constraints.new("COPY_ROTATION")
        constraint.name, constraint.target, constraint.subtarget = NAME, helper, name
    _copy_place(target.pose.bones[transfer.bones[0]], helper, transfer)
    _switch(target, table)
    target.lsr1_copy.helper = helper


def release(target: bpy.types.Object) -> None:
    """Let a rig go: our constraints and the hidden armature are removed, its switches are as before."""
    held = target.lsr1_copy
    helper = held.helper
    for bone in target.pose.bones:
        for constraint in reversed(bone.constraints):
            if constraint.name.startswith(NAME) and constraint.target == helper:
                bone.constraints.remove(constraint)
    if helper is not None:
        data = helper.data
        bpy.data.objects.remove(helper)
        bpy.data.armatures.remove(data)
    before = json.loads(held.before or "{}")
    for name, values in before.get("switches", ()):
        if name in target.pose.bones:
            target.pose.bones[name].id_properties_ensure().update(values)
    for name, matrix in before.get("rest", ()):
        if name in target.pose.bones:
            target.pose.bones[name].matrix_basis = Matrix(matrix)
    held.before = ""
    target.update_tag()


def _hidden_armature(
    context: bpy.types.Context, source: bpy.types.Object, rig: Rig, transfer: Transfer
) -> bpy.types.Object:
    """The armature that goes along with the source's bones and shows the rig's axes."""
    helper = bpy.data.objects.new(NAME, bpy.data.armatures.new(NAME))
    context.scene.collection.objects.link(helper)
    helper.parent = source
    hips = rig.rest[list(HIPS), :3, 3].mean(axis=0)
    matrix = np.eye(4)
    matrix[:3, 3] = hips - rig.axes @ transfer.hips / (transfer.scale * rig.scale)
    with edit_mode(context, helper):
        for n, name in enumerate(transfer.bones):
            bone = helper.data.edit_bones.new(name)
            bone.tail = (0.0, _LENGTH, 0.0)
            matrix[:3, :3] = rig.axes @ transfer.rest[n]
            bone.matrix = Matrix(matrix)
    for joint, name in zip(transfer.joints, transfer.bones, strict=True):
        constraint = helper.pose.bones[name].constraints.new("ARMATURE")
        carrier = constraint.targets.new()
        carrier.target, carrier.subtarget = source, rig.bones[joint] or rig.bones[SMPL_PARENTS[joint]]
    helper.hide_viewport = helper.hide_render = helper.hide_select = True
    return helper


def _copy_place(bone: bpy.types.PoseBone, helper: bpy.types.Object, transfer: Transfer) -> None:
    """The helper's place, scaled and moved: Blender's Transformation constraint, extrapolated."""
    constraint = bone.constraints.new("TRANSFORM")
    constraint.name, constraint.target, constraint.subtarget = f"{NAME} Place", helper, bone.name
    constraint.map_from = constraint.map_to = "LOCATION"
    constraint.use_motion_extrapolate = True
    constraint.mix_mode = "REPLACE"
    offset = transfer.ground[1] - transfer.scale * transfer.ground[0]
    for axis, shift in zip("xyz", offset.tolist(), strict=True):
        setattr(constraint, f"map_to_{axis}_from", axis.upper())
        for end, value in (("min", 0.0), ("max", 1.0)):
            setattr(constraint, f"from_{end}_{axis}", value)
            setattr(constraint, f"to_{end}_{axis}", shift + transfer.scale * value)


def _switch(target: bpy.types.Object, table: RigTable | None) -> None:
    """Switch a rig to the bones that follow, bones between them at rest; how it was is remembered."""
    switches = []
    for bone, name, value in list(switches_of(target, table)):
        switches.append((bone.name, {name: bone[name]}))
        bone[name] = value
    still = [
        target.pose.bones[name] for name in (table.at_rest if table else ()) if name in target.pose.bones
    ]
    rest = [(bone.name, [list(row) for row in bone.matrix_basis]) for bone in still]
    for bone in still:
        bone.matrix_basis = Matrix.Identity(4)
    target.lsr1_copy.before = json.dumps({"switches": switches, "rest": rest})
    target.update_tag()
