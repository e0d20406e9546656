"""SMPL's parameters to an armature's pose and back: the only place where axes and bone frames convert.

The solver's axes are y up; a body at rest faces +z with its left along +x. Blender is z up; our rigs face -Y,
their left is +X. In a fit the solver's axes are those of the camera, so the *place* of a pose is a matrix
from the solver's axes to the world: the camera's. Bone-local rotation is ``R_rest^-1 R R_rest``, so tails
and rolls may be anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion

from ..lsr1_solver import SMPL_PARENTS, BodyModel, BodyPose, FitError, rest_joints
from ..lsr1_solver.body_model import local_rotations
from ..lsr1_solver.rotation import matrix_to_axis_angle
from .body_files import body_model, soles
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


def rig_of(armature: bpy.types.Object) -> Rig:
    """Read an armature's rest pose. FitError where it is no SMPL rig, or its scale is uneven."""
    if armature.type != "ARMATURE":
        raise FitError(f"{armature.name} is no armature: choose an SMPL body, or add one")
    if armature.mode == "EDIT":
        raise FitError(f"{armature.name} is in Edit Mode: leave it first")
    bones, lacking = bone_names(armature.data.bones.keys())
    if lacking:
        raise FitError(f"{armature.name} is no SMPL rig: it has no bone for {', '.join(lacking[:3])}")
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
    across = b.T @ a
    axes = max(_right_turns(), key=lambda turn: float(np.sum(turn * across)))
    size = float(np.linalg.norm(b) / np.linalg.norm(a))
    return axes, 10.0 ** round(np.log10(size))


def _without_scale(matrix: np.ndarray) -> np.ndarray:
    """A camera sees along its axes whatever their length."""
    out = matrix.astype(float)
    out[..., :3, :3] /= np.linalg.norm(out[..., :3, :3], axis=-2, keepdims=True)
    return out


def bone_channels(
    rig: Rig,
    local: np.ndarray,
    pelvis: np.ndarray,
    to_world: Matrix | np.ndarray | None,
    betas: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What to write to the bones for joint rotations and a place.

    ``local`` [..., 24, 3, 3] in the parents' frames, ``pelvis`` [..., 3] metres, both in the solver's axes;
    ``to_world`` [4, 4] or one a frame; ``betas`` [S] where the mesh shows another shape than the rest bones
    stand for: the bones then move so that the mesh is right. Returns the bones' own rotations
    [..., 24, 3, 3] and locations [..., 24, 3].
    """
    turn, affine = rig.place(to_world)
    wanted = joints_of_shape(rig.body, rig.betas if betas is None else betas)
    moved = joints_of_shape(rig.body, rig.betas) - wanted
    if betas is not None:  # the mesh keeps its soles on the origin
        moved = moved + np.array([0.0, soles(rig.body, rig.betas) - soles(rig.body, betas), 0.0])
    G: list[np.ndarray] = []
    posed: list[np.ndarray] = []
    basis, location = np.empty_like(local), np.zeros(local.shape[:-1])
    heads: list[np.ndarray] = []
    for j, parent in enumerate(SMPL_PARENTS):
        own = rig.axes @ local[..., j, :, :] @ rig.axes.T
        if parent < 0:
            G.append(turn @ rig.axes.T @ own)
            before = np.broadcast_to(rig.above[j], (*local.shape[:-3], 4, 4))
            heads.append((affine[..., :3, :3] @ pelvis[..., None])[..., 0] + affine[..., :3, 3])
        else:
            G.append(G[parent] @ own)
            before = posed[parent] @ rig.above[j]
            heads.append(heads[parent] + rig.unit * G[parent] @ rig.axes @ (wanted[j] - wanted[parent]))
        frame = before[..., :3, :3]
        basis[..., j, :, :] = _transposed(frame) @ G[j] @ rig.rest[j, :3, :3]
        matrix = before.copy()
        matrix[..., :3, :3] = frame @ basis[..., j, :, :]
        if parent < 0 or betas is not None:
            matrix[..., :3, 3] = heads[j] + rig.unit * G[j] @ rig.axes @ moved[j]
            shift = matrix[..., :3, 3] - before[..., :3, 3]
            location[..., j, :] = (_transposed(frame) @ shift[..., None])[..., 0]
        posed.append(matrix)
    return basis, location


def _transposed(matrix: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrix, -1, -2)


def apply_pose(
    armature: bpy.types.Object,
    pose: BodyPose,
    *,
    frame: int = 0,
    to_world: Matrix | np.ndarray | None = None,
    preview: bool = False,
) -> None:
    """Put an SMPL rig in a pose: rotations of all joints, the pelvis in its place.

    ``to_world`` takes the solver's axes to the world: the matrix of the camera for which the pose was fitted
    (None: the armature's own axes). Each bone keeps its rotation mode; nothing is keyed. The rest bones are
    not touched: ``set_shape`` of the body does that first. A ``preview`` shows the shape of the pose without,
    by moving the posed bones.

    Raises FitError where the armature is no SMPL rig.
    """
    rig = rig_of(armature)
    one = pose.frames(frame)
    betas = np.asarray(one.betas)[0]
    pelvis = joints_of_shape(rig.body, betas)[0] + one.transl[0]
    same = np.allclose(betas, rig.betas[: len(betas)], atol=1e-5)
    moved = betas if preview and armature.lsr1_body.is_ours and not same else None
    apply_rotations(armature, rig, local_rotations(one)[0], pelvis, to_world, moved)


def apply_rotations(
    armature: bpy.types.Object,
    rig: Rig,
    local: np.ndarray,
    pelvis: np.ndarray,
    to_world: Matrix | np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> None:
    """``apply_pose`` from matrices [24, 3, 3] and the pelvis's place [3] in metres."""
    basis, location = bone_channels(rig, local, pelvis, to_world, betas)
    ours = armature.lsr1_body.is_ours
    for j, name in enumerate(rig.bones):
        if name is None:
            continue
        bone = armature.pose.bones[name]
        write_rotation(bone, basis[j])
        if j == 0 or ours:
            bone.location = location[j]


def write_rotation(bone: bpy.types.PoseBone, rotation: np.ndarray) -> None:
    """Set a bone's own rotation [3, 3] in its rotation mode, near the values that it has."""
    quaternion = Matrix(rotation).to_quaternion()
    if bone.rotation_mode == "QUATERNION":
        quaternion.make_compatible(bone.rotation_quaternion)
        bone.rotation_quaternion = quaternion
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = quaternion.to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    else:
        bone.rotation_euler = Matrix(rotation).to_euler(bone.rotation_mode, bone.rotation_euler)


def read_rotation(bone: bpy.types.PoseBone) -> np.ndarray:
    """A bone's own rotation [3, 3] from the channels of its rotation mode."""
    if bone.rotation_mode == "QUATERNION":
        return np.array(Quaternion(bone.rotation_quaternion).normalized().to_matrix())
    if bone.rotation_mode == "AXIS_ANGLE":
        angle, *axis = bone.rotation_axis_angle
        return np.array(Quaternion(axis, angle).to_matrix()) if any(axis) else np.eye(3)
    return np.array(Euler(bone.rotation_euler, bone.rotation_mode).to_matrix())


def read_pose(
    armature: bpy.types.Object,
    *,
    betas: np.ndarray | None = None,
    to_world: Matrix | np.ndarray | None = None,
) -> BodyPose:
    """The pose of an SMPL rig as the solver's parameters, one frame: the inverse of ``apply_pose``.

    ``betas`` [S] is the shape that the mesh shows (default: the one that the rest bones stand for);
    ``to_world`` as there. What constraints add is not read.
    """
    rig = rig_of(armature)
    local, pelvis = read_rotations(armature, rig, to_world)
    shape = (rig.betas if betas is None else betas)[None, : rig.body.shape_count]
    omega = matrix_to_axis_angle(local)
    transl = pelvis - joints_of_shape(rig.body, shape[0])[0]
    return BodyPose(omega[None, 0], omega[None, 1:], np.array(shape, dtype=float), transl[None])


def read_rotations(
    armature: bpy.types.Object, rig: Rig, to_world: Matrix | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Joint rotations [24, 3, 3] in the parents' frames and the pelvis's place [3], in the solver's axes."""
    turn, affine = rig.place(to_world)
    count = len(rig.bones)
    posed, G = np.empty((count, 3, 3)), np.empty((count, 3, 3))
    local = np.empty((count, 3, 3))
    for j, parent in enumerate(SMPL_PARENTS):
        name = rig.bones[j]
        basis = np.eye(3) if name is None else read_rotation(armature.pose.bones[name])
        before = rig.above[j, :3, :3] if parent < 0 else posed[parent] @ rig.above[j, :3, :3]
        posed[j] = before @ basis
        G[j] = posed[j] @ rig.rest[j, :3, :3].T
        if parent < 0:
            local[j] = turn.T @ G[j] @ rig.axes
        else:
            local[j] = rig.axes.T @ G[parent].T @ G[j] @ rig.axes
    head = rig.above[0] @ np.append(np.array(armature.pose.bones[rig.bones[0]].location), 1.0)
    pelvis = np.linalg.solve(affine, head)[:3]
    return local, pelvis
