"""Which bone of another rig is which joint: kept with that rig, guessed from its names, corrected by hand."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from ..lsr1_solver import SMPL_JOINT_NAMES, FitError
from .rig_tables import guess_bones

# Without them there is neither a place nor a size.
_REQUIRED = ("pelvis", *(f"{side}_{j}" for j in ("hip", "knee", "ankle") for side in ("left", "right")))
_UNEVEN_SCALE = 1e-3


def guess_mapping(target: bpy.types.Object) -> None:
    """Fill a rig's list of joints and bones from its bones' names; what was in it goes."""
    held = target.lsr1_copy
    held.kind, found = guess_bones(target.data.bones.keys())
    for joint in SMPL_JOINT_NAMES:
        row = held.joints.get(joint) or held.joints.add()
        row.name, row.bone = joint, found.get(joint, "")


def mapping_of(target: bpy.types.Object) -> dict[str, str]:
    """{joint: bone} of the rig's list, joints without a bone left out.

    Raises FitError where a bone is missing, chosen twice or can't move, or the rig is scaled unevenly.
    """
    mapping = {row.name: row.bone for row in target.lsr1_copy.joints if row.bone}
    _check(target, mapping)
    scales = np.linalg.norm(np.array(target.matrix_world)[:3, :3], axis=0)
    if np.ptp(scales) > _UNEVEN_SCALE * scales.mean() or target.matrix_world.determinant() <= 0:
        raise FitError(f"{target.name} is scaled unevenly or mirrored: apply its scale (Ctrl+A) first")
    return mapping


def _check(target: bpy.types.Object, mapping: Mapping[str, str]) -> None:
    lacking = [joint.replace("_", " ") for joint in _REQUIRED if joint not in mapping]
    if lacking:
        raise FitError(
            f"{target.name} has no bone for {', '.join(lacking[:3])}: choose in the list of joints"
        )
    chosen: dict[str, str] = {}
    for joint, name in mapping.items():
        words, bone = joint.replace("_", " "), target.data.bones.get(name)
        if bone is None:
            raise FitError(f"{target.name} has no bone {name}: choose another for {words}")
        if name in chosen:
            raise FitError(f"{name} is chosen for {chosen[name]} and for {words}: choose another for one")
        if bone.parent is not None and not bone.use_inherit_rotation:
            raise FitError(f"{name} does not inherit its parent's rotation: switch Inherit Rotation on")
        chosen[name] = words
    pelvis = target.data.bones[mapping["pelvis"]]
    if pelvis.parent is not None and pelvis.use_connect:
        raise FitError(f"{pelvis.name} is connected to its parent, so it can't move: disconnect it")
    if not pelvis.use_local_location:
        raise FitError(f"{pelvis.name} is moved along other axes than its own: switch Local Location on")
