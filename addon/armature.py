"""SMPL's parameters to an armature's pose and back: the only place where axes and bone frames convert.

The solver's axes are y up; a body at rest faces +z with its left along +x. Blender is z up; our rigs face -Y,
their left is +X. In a fit the solver's axes are those of the camera, so the *place* of a pose is a matrix
from the solver's axes to the world: the camera's. Bone-local rotation is ``R_rest^-1 R R_rest``, so tails
and rolls may be anything.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion

from ..lsr1_solver import SMPL_PARENTS, BodyPose
from ..lsr1_solver.body_model import local_rotations
from ..lsr1_solver.rotation import matrix_to_axis_angle
from .body_files import soles
from .rig import Rig, joints_of_shape, rig_of


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
    moved = _moved_joints(rig, betas)
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


def _moved_joints(rig: Rig, betas: np.ndarray | None) -> np.ndarray:
    """From the joints of a shape that the mesh shows to the rest bones [24, 3], metres."""
    if betas is None:
        return np.zeros((len(rig.bones), 3))
    moved = joints_of_shape(rig.body, rig.betas) - joints_of_shape(rig.body, betas)
    # The mesh keeps its soles on the origin.
    return moved + np.array([0.0, soles(rig.body, rig.betas) - soles(rig.body, betas), 0.0])


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
    shown = betas if armature.lsr1_body.is_ours else None
    local, pelvis = read_rotations(armature, rig, to_world, shown)
    shape = (rig.betas if betas is None else betas)[None, : rig.body.shape_count]
    omega = matrix_to_axis_angle(local)
    transl = pelvis - joints_of_shape(rig.body, shape[0])[0]
    return BodyPose(omega[None, 0], omega[None, 1:], np.array(shape, dtype=float), transl[None])


def read_rotations(
    armature: bpy.types.Object,
    rig: Rig,
    to_world: Matrix | np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Joint rotations [24, 3, 3] in the parents' frames and the pelvis's place [3], in the solver's axes.

    ``betas`` [S] where the mesh shows another shape than the rest bones stand for.
    """
    bones = [None if name is None else armature.pose.bones[name] for name in rig.bones]
    basis = np.stack([np.eye(3) if bone is None else read_rotation(bone) for bone in bones])
    location = np.array(armature.pose.bones[rig.bones[0]].location)
    return joints_of_channels(rig, basis, location, to_world, betas)


def joints_of_channels(
    rig: Rig,
    basis: np.ndarray,
    location: np.ndarray,
    to_world: Matrix | np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of ``bone_channels``: from the bones' own rotations [..., 24, 3, 3] and the root's location
    [..., 3] to joint rotations [..., 24, 3, 3] in the parents' frames and the pelvis's place [..., 3].
    """
    turn, affine = rig.place(to_world)
    posed: list[np.ndarray] = []
    G: list[np.ndarray] = []
    local = np.empty_like(basis)
    for j, parent in enumerate(SMPL_PARENTS):
        above = rig.above[j, :3, :3]
        posed.append((above if parent < 0 else posed[parent] @ above) @ basis[..., j, :, :])
        G.append(posed[j] @ rig.rest[j, :3, :3].T)
        before = _transposed(turn) if parent < 0 else rig.axes.T @ _transposed(G[parent])
        local[..., j, :, :] = before @ G[j] @ rig.axes
    head = location @ rig.above[0, :3, :3].T + rig.above[0, :3, 3]
    head = head - rig.unit * G[0] @ rig.axes @ _moved_joints(rig, betas)[0]
    inverse = np.linalg.inv(affine)
    return local, (inverse[..., :3, :3] @ head[..., None])[..., 0] + inverse[..., :3, 3]
