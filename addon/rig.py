"""An armature seen as SMPL's joints: which bones, which way it is up, how large, whoever made it.

The solver's axes are y up; a body at rest faces +z with its left along +x. Blender is z up; our rigs face -Y,
their left is +X. Rigs of other add-ons may be y up, in centimetres, and hang below other bones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import SMPL_PARENTS, BodyModel, FitError, rest_joints
from .body_files import body_model
from .rig_names import bone_names

# From the solver's y up to Blender's z up: (x, y, z) -> (x, -z, y).
Y_UP_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_UNEVEN_SCALE = 1e-3


@dataclass(frozen=True, eq=False)
class Rig:
    """An armature seen as SMPL's joints.

    ``bones`` [24] names (None: the rig has no such joint); ``rest`` [24, 4, 4] rest matrices in armature
    space; ``above`` [24, 4, 4] what stands between a joint's SMPL parent and its bone at rest, other bones'
    poses included; ``axes`` [3, 3] from the solver's axes to the armature's; ``unit`` armature units a metre;
    ``origin`` [3] where the solver's origin is in armature space; ``world`` [4, 4] the object's matrix and
    ``scale`` its uniform scale; ``betas`` the shape that the rest bones stand for.
    """

    bones: tuple[str | None, ...]
    rest: np.ndarray
    above: np.ndarray
    axes: np.ndarray
    unit: float
    origin: np.ndarray
    world: np.ndarray
    scale: float
    body: BodyModel
    betas: np.ndarray

    def place(self, to_world: Matrix | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """From the solver's axes to armature space: rotations [..., 3, 3] and a [..., 4, 4] for metres.

        A body scaled by its object is set that much farther from the camera: the picture stays the same.
        None stands for the armature's own axes.
        """
        affine = np.eye(4)
        if to_world is None:
            affine[:3, :3], affine[:3, 3] = self.unit * self.axes, self.origin
            return self.axes, affine
        grown = np.diag([self.unit * self.scale] * 3 + [1.0])
        affine = np.linalg.inv(self.world) @ _without_scale(np.array(to_world)) @ grown
        return affine[..., :3, :3] / self.unit, affine


def is_rig(armature: bpy.types.Object | None) -> bool:
    """Whether the object is an armature with SMPL's joints. Cheap enough for a poll."""
    if armature is None or armature.type != "ARMATURE":
        return False
    return not bone_names(armature.data.bones.keys())[1]


def body_of(obj: bpy.types.Object | None) -> bpy.types.Object | None:
    """The rig that an object is or belongs to (its mesh), or None."""
    while obj is not None and not is_rig(obj):
        obj = obj.parent
    return obj


def target(context: bpy.types.Context) -> bpy.types.Object | None:
    """The body that is meant: the active object's, else the only one in the scene."""
    own = body_of(context.active_object)
    if own is not None:
        return own
    rigs = [obj for obj in context.scene.objects if is_rig(obj)]
    ours = [obj for obj in rigs if obj.lsr1_body.is_ours]
    found = ours or rigs
    return found[0] if len(found) == 1 else None


def rig_of(armature: bpy.types.Object) -> Rig:
    """Read an armature's rest pose. FitError where it is no SMPL rig, or its scale is uneven."""
    if armature.type != "ARMATURE":
        raise FitError(f"{armature.name} is no armature: choose an SMPL body, or add one")
    if armature.mode == "EDIT":
        raise FitError(f"{armature.name} is in Edit Mode: leave it first")
    bones = joint_bones(armature)
    world = np.array(armature.matrix_world)
    scales = np.linalg.norm(world[:3, :3], axis=0)
    if np.ptp(scales) > _UNEVEN_SCALE * scales.mean() or np.linalg.det(world[:3, :3]) <= 0:
        raise FitError(f"{armature.name} is scaled unevenly or mirrored: apply its scale (Ctrl+A) first")
    rest = np.stack([_rest_matrix(armature, name) for name in bones])
    body, betas = body_model(armature.lsr1_body.model_file), np.array(armature.lsr1_body.betas)
    joints = joints_of_shape(body, betas)
    axes, unit = np.copy(Y_UP_TO_Z_UP), 1.0
    if not armature.lsr1_body.is_ours:
        axes, unit = _axes_and_unit(joints, rest[:, :3, 3])
    origin = rest[0, :3, 3] - unit * axes @ joints[0]
    above = np.stack([_above(armature, bones, j) for j in range(len(bones))])
    return Rig(bones, rest, above, axes, unit, origin, world, float(scales.mean()), body, betas)


def joint_bones(armature: bpy.types.Object) -> tuple[str | None, ...]:
    """The bones [24] of an armature that are SMPL's joints, None for hands that it lacks.

    FitError where it is no SMPL rig.
    """
    bones, lacking = bone_names(armature.data.bones.keys())
    if lacking:
        raise FitError(f"{armature.name} is no SMPL rig: it has no bone for {', '.join(lacking[:3])}")
    return bones


def joints_of_shape(body: BodyModel, betas: np.ndarray) -> np.ndarray:
    """The rest joints [24, 3] of a shape [S'], metres, cut to the components that the body has."""
    return rest_joints(body, np.asarray(betas, dtype=float)[None, : body.shape_count])[0]


def _rest_matrix(armature: bpy.types.Object, name: str | None) -> np.ndarray:
    return np.eye(4) if name is None else np.array(armature.data.bones[name].matrix_local)


def _above(armature: bpy.types.Object, bones: tuple[str | None, ...], joint: int) -> np.ndarray:
    """From the SMPL parent's posed frame (the armature's, at the root) to the joint's rest frame."""
    name = bones[joint]
    if name is None:
        return np.eye(4)
    stop = bones[SMPL_PARENTS[joint]] if joint else None
    bone = armature.data.bones[name]
    matrix = Matrix.Identity(4)
    while True:
        parent = bone.parent
        relative = parent.matrix_local.inverted() @ bone.matrix_local if parent else bone.matrix_local
        matrix = relative @ matrix
        if parent is None or parent.name == stop:
            return np.array(matrix)
        bone = parent
        matrix = armature.pose.bones[bone.name].matrix_basis @ matrix


@lru_cache(maxsize=1)
def _right_turns() -> np.ndarray:
    """The 24 rotations that take axes to axes. [24, 3, 3]."""
    turns = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    return np.stack([turn for turn in turns if np.linalg.det(turn) > 0])


def _axes_and_unit(joints: np.ndarray, heads: np.ndarray) -> tuple[np.ndarray, float]:
    """Which way a foreign rig is up, and its units a metre, from where its joints are at rest.

    The last two joints (hands) may be absent and are not asked.
    """
    a, b = joints[:22] - joints[0], heads[:22] - heads[0]
    size = float(np.linalg.norm(b) / np.linalg.norm(a))
    return nearest_axes(a, b), 10.0 ** round(np.log10(size))


def nearest_axes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation from axes to axes [3, 3] that brings the vectors a [N, 3] nearest to b [N, 3]."""
    across = b.T @ a
    return max(_right_turns(), key=lambda turn: float(np.sum(turn * across)))


def _without_scale(matrix: np.ndarray) -> np.ndarray:
    """A camera sees along its axes whatever their length."""
    out = matrix.astype(float)
    out[..., :3, :3] /= np.linalg.norm(out[..., :3, :3], axis=-2, keepdims=True)
    return out
