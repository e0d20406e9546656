"""Another rig follows a body live, by constraints on a hidden armature, and is let go again.

The hidden armature has a bone for each of the rig's, with the axes that this bone has when the source is at
rest; Armature constraints carry it along with the source's bones. From each of the source's ankles, the
steps scaled, the rig's own leg is built upwards, and what stands on the lower foot is where the pelvis's
bone goes. The rig copies rotations and this place. The user's constraints stay as they are.
"""

from __future__ import annotations

import json

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import SMPL_JOINT_NAMES, SMPL_PARENTS
from .body import edit_mode
from .rest_match import ANKLES, LEGS
from .rig import Rig, rig_of
from .rig_tables import RigTable
from .rig_transfer import Transfer, switches_of

NAME = "LSR1 Copy"
_KINDS = ("COPY_ROTATION", "COPY_LOCATION")
_PLACE, _SIDES = f"{NAME} Place", ("left", "right")
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
    for name in transfer.bones:
        _copy(target.pose.bones[name], "COPY_ROTATION", helper, name)
    _copy(target.pose.bones[transfer.bones[0]], "COPY_LOCATION", helper, _PLACE)
    _switch(target, table)
    target.lsr1_copy.helper = helper


def follows(target: bpy.types.Object) -> bool:
    """Whether a rig is set up to follow, even where the hidden armature has been deleted since."""
    return bool(target.lsr1_copy.before)


def release(target: bpy.types.Object) -> None:
    """Let a rig go: our constraints and the hidden armature are removed, its switches are as before."""
    held = target.lsr1_copy
    helper = held.helper
    for bone in target.pose.bones:
        for constraint in reversed(bone.constraints):
            ours = constraint.type in _KINDS and constraint.name.startswith(NAME)
            if ours and constraint.target == helper:
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
    """The armature that goes along with the source's bones and shows the rig's axes and place."""
    helper = bpy.data.objects.new(NAME, bpy.data.armatures.new(NAME))
    context.scene.collection.objects.link(helper)
    helper.parent = source
    names = dict(zip(transfer.joints, transfer.bones, strict=True))
    axes = {j: rig.axes @ rest for j, rest in zip(transfer.joints, transfer.rest, strict=True)}
    with edit_mode(context, helper):
        for j, name in names.items():
            _new_bone(helper, name, axes[j])
        _new_bone(helper, _PLACE, np.eye(3))
        for side, leg, parts in zip(_SIDES, LEGS, transfer.legs, strict=True):
            above, head = None, np.zeros(3)
            # Upwards: the head of each bone is the lower end of its part.
            for j, part in zip(reversed(leg), reversed(parts), strict=True):
                above = _new_bone(helper, _part(side, j), axes[j], head, above)
                head = head - rig.axes @ part / rig.scale
            _new_bone(helper, _part(side), np.eye(3), head, above)
    bones = helper.pose.bones
    for j, name in names.items():
        carrier = bones[name].constraints.new("ARMATURE").targets.new()
        carrier.target, carrier.subtarget = source, rig.bones[j] or rig.bones[SMPL_PARENTS[j]]
    for side, leg, ankle in zip(_SIDES, LEGS, ANKLES, strict=True):
        for j in leg:
            _copy(bones[_part(side, j)], "COPY_ROTATION", helper, names[j])
        _scaled_step(bones[_part(side, leg[-1])], source, rig.bones[ankle], transfer)
        _copy(bones[_PLACE], "COPY_LOCATION", helper, _part(side))
    _stand_on_the_lower(bones[_PLACE].constraints[1], source, [rig.bones[j] for j in ANKLES], transfer.band)
    helper.hide_viewport = helper.hide_render = helper.hide_select = True
    return helper


def _part(side: str, joint: int | None = None) -> str:
    """The hidden bone of a part of a leg; without a joint, of what stands on it."""
    return f"{NAME} {side} {'place' if joint is None else SMPL_JOINT_NAMES[joint]}"


def _new_bone(
    helper: bpy.types.Object,
    name: str,
    axes: np.ndarray,
    head: np.ndarray | None = None,
    parent: bpy.types.EditBone | None = None,
) -> bpy.types.EditBone:
    bone = helper.data.edit_bones.new(name)
    bone.tail = (0.0, _LENGTH, 0.0)
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = 0.0 if head is None else head
    bone.matrix = Matrix(matrix)
    bone.parent = parent
    return bone


def _copy(bone: bpy.types.PoseBone, kind: str, target: bpy.types.Object, subtarget: str) -> None:
    """A constraint of ours that copies a rotation or a place of the world."""
    constraint = bone.constraints.new(kind)
    constraint.name, constraint.target, constraint.subtarget = NAME, target, subtarget


def _scaled_step(bone: bpy.types.PoseBone, source: bpy.types.Object, ankle: str, transfer: Transfer) -> None:
    """An ankle's place, scaled and moved: Blender's Transformation constraint, extrapolated."""
    constraint = bone.constraints.new("TRANSFORM")
    constraint.target, constraint.subtarget = source, ankle
    constraint.map_from = constraint.map_to = "LOCATION"
    constraint.use_motion_extrapolate = True
    constraint.mix_mode = "REPLACE"
    offset = transfer.ground[1] - transfer.scale * transfer.ground[0]
    for axis, shift in zip("xyz", offset.tolist(), strict=True):
        setattr(constraint, f"map_to_{axis}_from", axis.upper())
        for end, value in (("min", 0.0), ("max", 1.0)):
            setattr(constraint, f"from_{end}_{axis}", value)
            setattr(constraint, f"to_{end}_{axis}", shift + transfer.scale * value)


def _stand_on_the_lower(
    right: bpy.types.Constraint, source: bpy.types.Object, ankles: list[str], band: float
) -> None:
    """The place on the right foot counts as much as in ``Transfer``: by how much higher the left ankle is."""
    driver = right.driver_add("influence").driver
    for name, ankle in zip(_SIDES, ankles, strict=True):
        variable = driver.variables.new()
        variable.name, variable.type = name, "TRANSFORMS"
        height = variable.targets[0]
        height.id, height.bone_target = source, ankle
        height.transform_type, height.transform_space = "LOC_Z", "WORLD_SPACE"
    driver.expression = f"smoothstep({-band!r}, {band!r}, left - right)"


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
