"""Two rest poses compared: what turns one into the other, how long the legs are, how high the ankles stand.

All in the solver's axes and in metres of the world; joints are SMPL's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import bpy
import numpy as np

from ..lsr1_solver import SMPL_JOINT_NAMES, SMPL_PARENTS
from ..lsr1_solver.rotation import axis_angle_to_matrix, rotation_between
from .body import skins_of

J = {name: j for j, name in enumerate(SMPL_JOINT_NAMES)}
_SIDES = ("left", "right")
# What moves each leg's three parts, from the pelvis's bone to the ankle.
LEGS = [[J["pelvis"], J[f"{side}_hip"], J[f"{side}_knee"]] for side in _SIDES]
ANKLES = tuple(J[f"{side}_ankle"] for side in _SIDES)
# Where a limb's bone points to: the joint whose direction is made the source's.
_POINTS_TO = {
    J[f"{side}_{joint}"]: J[f"{side}_{child}"]
    for side in _SIDES
    for joint, child in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
_HANDS = tuple(J[f"{side}_{joint}"] for side in _SIDES for joint in ("wrist", "hand"))
_FEET = {J[f"{side}_{joint}"]: side for side in _SIDES for joint in ("ankle", "foot")}
_UP = np.array([0.0, 1.0, 0.0])
# An ankle higher above the origin than this share of the leg does not stand on it.
_ANKLE_SHARE = 0.25


def alignment(heads: Mapping[int, np.ndarray], source: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """From each bone's rest in one rig to its rest in the source, {joint: [3, 3]}; rest ``heads`` {joint:
    [3]}.

    Limbs are turned, each by the smallest rotation, until they point where the source's do, the upper bone
    first, as an animator straightens an arm; hands go along. Feet turn about the vertical alone and the trunk
    not at all: both rigs stand upright with their soles on the floor.
    """
    align: dict[int, np.ndarray] = {}
    for j in sorted(heads):
        above = SMPL_PARENTS[j]
        child = _POINTS_TO.get(j)
        align[j] = np.eye(3)
        if child is not None and child in heads:
            before = align[above] if above in _POINTS_TO and above in align else np.eye(3)
            way = source[child] - source[j]
            align[j] = rotation_between(before @ (heads[child] - heads[j]), way) @ before
        elif j in _HANDS and above in align:
            align[j] = align[above]
        elif j in _FEET:
            align[j] = _heading(_FEET[j], heads, source)
    return align


def _heading(side: str, heads: Mapping[int, np.ndarray], source: Mapping[int, np.ndarray]) -> np.ndarray:
    """A foot's turn about the vertical: it points where the source's does."""
    ankle, foot = J[f"{side}_ankle"], J[f"{side}_foot"]
    if foot not in heads or ankle not in heads:
        return np.eye(3)
    own, other = heads[foot] - heads[ankle], source[foot] - source[ankle]
    turn = np.arctan2(other[0], other[2]) - np.arctan2(own[0], own[2])
    return axis_angle_to_matrix(turn * _UP)


def leg_vectors(heads: Mapping[int, np.ndarray], align: Mapping[int, np.ndarray]) -> np.ndarray:
    """Pelvis's bone to hip to knee to ankle, left and right, turned as the source's rest. [2, 3, 3]."""
    chains = [[*leg, ankle] for leg, ankle in zip(LEGS, ANKLES, strict=True)]
    return np.array([[align[a] @ (heads[b] - heads[a]) for a, b in pairwise(chain)] for chain in chains])


def leg_length(heads: Mapping[int, np.ndarray]) -> float:
    """From hip over knee to ankle, the mean of both sides."""
    parts = leg_vectors(heads, dict.fromkeys(heads, np.eye(3)))[:, 1:]
    return float(np.linalg.norm(parts, axis=-1).sum() / len(_SIDES))


def ankle_height(
    armature: bpy.types.Object, up: np.ndarray, heads: Mapping[int, np.ndarray], leg: float
) -> float:
    """How high the ankles are above the floor at rest.

    ``up`` [3] takes points of the armature's space to heights. Rigs stand on their origin; the floor of one
    that doesn't is below its mesh, else below the lowest bone.
    """
    ankle = float(np.mean([heads[j][1] for j in ANKLES]))
    if 0 <= ankle <= _ANKLE_SHARE * leg:
        return ankle
    heights = [_rest_points(mesh, armature) @ up for mesh in skins_of(armature)]
    bones = np.array([bone.head_local for bone in armature.data.bones]) @ up
    return max(0.0, ankle - float(np.concatenate(heights or [bones]).min()))


def _rest_points(mesh: bpy.types.Object, armature: bpy.types.Object) -> np.ndarray:
    """The vertices [V, 3] of a skin at rest, in the armature's space."""
    flat = np.empty(3 * len(mesh.data.vertices), dtype=np.float32)
    mesh.data.vertices.foreach_get("co", flat)
    matrix = np.array(armature.matrix_world.inverted() @ mesh.matrix_world)
    return flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
