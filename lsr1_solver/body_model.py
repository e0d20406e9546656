"""SMPL-format bodies: their data, forward kinematics and linear blend skinning.

Loper et al., *SMPL: A Skinned Multi-Person Linear Model*, SIGGRAPH Asia 2015. The functions are stateless.
Metres; y up; in the rest pose (a T-pose) the body faces +z and its left is +x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .arrays import Array, constant, device, namespace
from .rotation import axis_angle_to_matrix

SMPL_JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
# Joints of one depth are neighbours in SMPL's order, so forward kinematics takes a level at a time:
# its joints, and where their parents stand within the level above, a slice where these are neighbours or one
# parent serves all.
LEVELS: tuple[tuple[slice, slice | np.ndarray], ...] = (
    (slice(1, 4), slice(0, 1)),
    (slice(4, 7), slice(0, 3)),
    (slice(7, 10), slice(0, 3)),
    (slice(10, 15), np.array([0, 1, 2, 2, 2])),
    (slice(15, 18), slice(2, 5)),
    (slice(18, 20), slice(1, 3)),
    (slice(20, 22), slice(0, 2)),
    (slice(22, 24), slice(0, 2)),
)
JOINT_COUNT = len(SMPL_JOINT_NAMES)
_LAST_ROW = np.array([[0.0, 0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Landmark:
    """A named point of the body: a weighted sum of mesh vertices and joints (weights sum to 1).

    ``vertices`` indices with their ``vertex_weights``, ``joints`` indices (of 24) with ``joint_weights``.
    """

    vertices: tuple[int, ...] = ()
    vertex_weights: tuple[float, ...] = ()
    joints: tuple[int, ...] = ()
    joint_weights: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class BodyModel:
    """The data of an SMPL-format body, under SMPL's names.

    ``v_template`` [V, 3] metres; ``shapedirs`` [V, 3, S] metres per unit of betas; ``posedirs``
    [V, 3, 207] or None where the body has no pose correctives; ``J_regressor`` [24, V]; ``lbs_weights``
    [V, 24]; ``faces`` [F, 3]; ``quads`` [Q, 4], ``uv`` [Q, 4, 2] where the mesh has them; ``landmarks``
    by name: every SMPL joint and the points that keypoint formats speak of.
    """

    name: str
    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray | None
    J_regressor: np.ndarray
    lbs_weights: np.ndarray
    faces: np.ndarray
    landmarks: Mapping[str, Landmark]
    quads: np.ndarray | None = None
    uv: np.ndarray | None = None

    @property
    def shape_count(self) -> int:
        """S, the number of shape components."""
        return self.shapedirs.shape[2]


@dataclass(frozen=True, eq=False)
class BodyPose:
    """SMPL's parameters for B frames.

    ``global_orient`` [B, 3] and ``body_pose`` [B, 23, 3] axis-angle, radians, each in its parent's frame;
    ``betas`` [B, S]; ``transl`` [B, 3] metres, added after posing (SMPL's convention: the pelvis stands at
    ``J_0(betas) + transl``).
    """

    global_orient: Array
    body_pose: Array
    betas: Array
    transl: Array

    def __len__(self) -> int:
        return self.transl.shape[0]

    def frames(self, index: int | slice | np.ndarray) -> BodyPose:
        """The chosen frames, always as a batch."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        return replace(
            self,
            global_orient=self.global_orient[index],
            body_pose=self.body_pose[index],
            betas=self.betas[index],
            transl=self.transl[index],
        )


def rest_joints(body: BodyModel, betas: Array) -> Array:
    """The joints of the shaped body in its rest pose: ``J_regressor (v_template + shapedirs betas)``.

    ``betas`` [B, S'] with S' <= S -> [B, 24, 3], metres.
    """
    xp = namespace(betas)
    count = betas.shape[1]
    base, directions = _joint_basis(body)
    flat = constant(directions[..., :count].reshape(-1, count).T, betas)
    return constant(base, betas) + xp.reshape(betas @ flat, (-1, JOINT_COUNT, 3))


@lru_cache(maxsize=8)
def _joint_basis(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The mean body's joints [24, 3] and their change with the betas [24, 3, S], metres."""
    return body.J_regressor @ body.v_template, np.einsum("jv,vcs->jcs", body.J_regressor, body.shapedirs)


def forward_kinematics(rotations: Array, bones: Array) -> Array:
    """World transforms of the joints, one level of the tree at a time.

    ``rotations`` [B, 24, 3, 3] in the parent's frame; ``bones`` [B, 24, 3] rest offsets from the parent
    (the root's: where the pelvis stands), metres. Returns [B, 24, 4, 4]: rotation ``[..., :3, :3]`` and
    position ``[..., :3, 3]`` of each joint.
    """
    xp = namespace(rotations)
    last_row = xp.zeros((*rotations.shape[:2], 1, 4), dtype=rotations.dtype, device=device(rotations))
    last_row = last_row + constant(_LAST_ROW, rotations)
    local = xp.concat([xp.concat([rotations, bones[..., None]], axis=-1), last_row], axis=-2)
    levels = [local[:, :1]]
    for joints, above in LEVELS:
        parents = levels[-1]
        if isinstance(above, slice):
            parents = parents[:, above]
        else:
            parents = xp.take(parents, constant(above, rotations), axis=1)
        levels.append(parents @ local[:, joints])
    return xp.concat(levels, axis=1)


def bone_offsets(joints: Array) -> Array:
    """Each joint's rest offset from its parent, the root's from the origin. [B, 24, 3] -> [B, 24, 3]."""
    xp = namespace(joints)
    parents = constant(np.array(SMPL_PARENTS[1:]), joints)
    return xp.concat([joints[:, :1], joints[:, 1:] - xp.take(joints, parents, axis=1)], axis=1)


def posed_joints(body: BodyModel, pose: BodyPose) -> Array:
    """The positions of SMPL's 24 joints. -> [B, 24, 3], metres."""
    world = forward_kinematics(local_rotations(pose), bone_offsets(rest_joints(body, pose.betas)))
    return world[..., :3, 3] + pose.transl[:, None]


def local_rotations(pose: BodyPose) -> Array:
    """Every joint's rotation in its parent's frame, the root's first. -> [B, 24, 3, 3]."""
    xp = namespace(pose.body_pose)
    return axis_angle_to_matrix(xp.concat([pose.global_orient[:, None], pose.body_pose], axis=1))


def skin(body: BodyModel, pose: BodyPose) -> Array:
    """The posed mesh by linear blend skinning with SMPL's pose correctives where the body has them.

    -> [B, V, 3], metres (Loper et al. 2015, eq. 2 to 9).
    """
    xp = namespace(pose.betas)

    count = pose.betas.shape[1]
    vertex_count = body.v_template.shape[0]
    shaped = constant(body.shapedirs[..., :count].reshape(-1, count).T, pose.betas)
    v = constant(body.v_template, pose.betas) + xp.reshape(pose.betas @ shaped, (-1, vertex_count, 3))
    rotations = local_rotations(pose)
    joints = rest_joints(body, pose.betas)
    world = forward_kinematics(rotations, bone_offsets(joints))
    G, positions = world[..., :3, :3], world[..., :3, 3]
    if body.posedirs is not None:
        feature = xp.reshape(rotations[:, 1:] - xp.eye(3, dtype=v.dtype, device=device(v)), (v.shape[0], -1))
        v = v + xp.reshape(feature @ constant(body.posedirs.reshape(-1, 207).T, v), v.shape)
    # A vertex moves with G_j (v - J_j) + position_j: blended as one 3x4 matrix a vertex.
    offset = positions - (G @ joints[..., None])[..., 0] + pose.transl[:, None]
    affine = xp.reshape(xp.concat([G, offset[..., None]], axis=-1), (-1, JOINT_COUNT, 12))
    blend = xp.reshape(constant(body.lbs_weights, v) @ affine, (-1, vertex_count, 3, 4))
    return (blend[..., :3] @ v[..., None])[..., 0] + blend[..., 3]
