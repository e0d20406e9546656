"""The keypoints of a body, their gradient and their Jacobian, without the mesh.

A landmark is a sparse sum over mesh vertices, and linear blend skinning moves a vertex by a weighted sum
over joints. Gathered by joint, a landmark is a short list of *attachments*: a point ``v_a(betas)`` fixed to
joint ``j`` with weight ``w_a``, posed as ``q_a = G_j v_a + w_a o_j``. Summing attachments gives exactly the
landmark on the skinned mesh (pose correctives, which move the surface by millimetres, are left out), and a
fit touches a hundred points instead of thousands of vertices.

The derivatives are those of a rigid tree: turning joint ``j`` by the small world rotation ``w`` moves an
attachment below it by ``w x (q_a - w_a o_j)``, so a force on the keypoints becomes torques, summed over
subtrees by one product with a descendant mask.

Shapes: A attachments, K keypoints, S shape components; the parameter vector has P = 72 + 3 + S entries:
24 rotation vectors, the pelvis position, the betas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache

import numpy as np

from .arrays import Array, constant, device, namespace
from .body_model import JOINT_COUNT, SMPL_PARENTS, BodyModel, Landmark, forward_kinematics
from .errors import FitError
from .rotation import cross_matrix, exponential_and_left_jacobian

ROTATION_SIZE = 3 * JOINT_COUNT
PELVIS = slice(ROTATION_SIZE, ROTATION_SIZE + 3)
BETAS_START = ROTATION_SIZE + 3


# [9, 3]: from the flattened matrix q f^T to q x f.
_TORQUE = -cross_matrix(np.eye(3)).reshape(3, 9).T


def descendant_mask() -> np.ndarray:
    """[24, 24]: 1 where the column's joint is the row's joint or hangs below it."""
    mask = np.eye(JOINT_COUNT)
    for child in range(JOINT_COUNT - 1, 0, -1):
        mask[SMPL_PARENTS[child]] += mask[child]
    return mask


@dataclass(frozen=True, eq=False)
class KeypointChain:
    """What a fit needs of a body for one list of landmarks; the arrays are numpy's or torch's.

    ``rest`` [24 + A, 3] and ``rest_shape`` [S, (24 + A) * 3]: bone offsets (the root's is zero: the pelvis
    position is a parameter) and attachments of the template and their change with the betas, metres.
    ``joint`` [A], ``weight`` [A]; ``gather`` [K, A] sums attachments to keypoints; ``subtree`` [24, A] is 1
    where the attachment hangs below the joint.
    """

    landmarks: tuple[str, ...]
    rest: Array
    rest_shape: Array
    joint: Array
    keypoint: Array
    weight: Array
    gather: Array
    subtree: Array
    # For the derivatives: [K, 24] the weight of keypoint k's attachments below joint j; [M + 1, A + 24] what
    # makes of attachments and joints the M lever arms of keypoints about joints above them, and a last row of
    # zeros; [K * 24] where each k and j find theirs; [72, K * S] takes the joints' rotations to the change of
    # the keypoints with the betas.
    below_weight: Array
    arms: Array
    arm_of: Array
    shape_by_joint: Array

    @property
    def shape_count(self) -> int:
        """S, the number of shape components."""
        return self.rest_shape.shape[0]

    @property
    def size(self) -> int:
        """P, the length of the parameter vector."""
        return BETAS_START + self.shape_count

    def to(self, like: Array) -> KeypointChain:
        """The same chain in the library, precision and device of ``like``."""
        xp = namespace(like)

        def real(a: Array) -> Array:
            return xp.asarray(a, dtype=like.dtype, device=device(like))

        def index(a: Array) -> Array:
            return xp.asarray(a, device=device(like))

        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "landmarks"}
        indices = ("joint", "keypoint", "arm_of")
        return replace(self, **{name: (index if name in indices else real)(a) for name, a in own.items()})


def keypoint_chain(body: BodyModel, landmarks: Sequence[str], *, shape_count: int = 10) -> KeypointChain:
    """Reduce a body to the joints and the landmarks of a fit; the same ones give the same chain.

    Raises FitError for a landmark that the body does not have.
    """
    return _keypoint_chain(body, tuple(landmarks), min(shape_count, body.shape_count))


@lru_cache(maxsize=16)
def _keypoint_chain(body: BodyModel, landmarks: tuple[str, ...], count: int) -> KeypointChain:
    """Made once: a fit that follows the mouse would spend most of its time here."""
    shapedirs = body.shapedirs[..., :count]
    joints = body.J_regressor @ body.v_template
    joints_shape = np.einsum("jv,vcs->jcs", body.J_regressor, shapedirs)
    parents = list(SMPL_PARENTS[1:])
    bones = np.concatenate([np.zeros((1, 3)), joints[1:] - joints[parents]])
    bones_shape = np.concatenate([np.zeros((1, 3, count)), joints_shape[1:] - joints_shape[parents]])

    keypoint, joint, weight, points, points_shape = [], [], [], [], []
    for k, name in enumerate(landmarks):
        landmark = body.landmarks.get(name)
        if landmark is None:
            raise FitError(f"The body {body.name!r} has no landmark {name!r}")
        for j, w, point, point_shape in _attachments(body, landmark, joints, joints_shape, shapedirs):
            keypoint.append(k)
            joint.append(j)
            weight.append(w)
            points.append(point)
            points_shape.append(point_shape)
    gather = np.zeros((len(landmarks), len(joint)))
    gather[keypoint, np.arange(len(joint))] = 1
    subtree = descendant_mask()[:, joint]
    below = gather[:, None] * subtree
    below_weight = below @ np.array(weight)
    arms = np.concatenate([below, -below_weight[..., None] * np.eye(JOINT_COUNT)], axis=-1)
    moved = below.any(axis=-1)
    rest_shape = np.concatenate([bones_shape, np.array(points_shape)])
    # A bone turns with its parent, an attachment with its joint.
    by_joint = np.zeros((JOINT_COUNT, 3, len(landmarks), count))
    for child, parent in enumerate(SMPL_PARENTS[1:], start=1):
        by_joint[parent] += np.einsum("k,cs->cks", below_weight[:, child], bones_shape[child])
    for k, j, shape in zip(keypoint, joint, points_shape, strict=True):
        by_joint[j, :, k] += shape
    return KeypointChain(
        landmarks,
        np.concatenate([bones, np.array(points)]),
        np.ascontiguousarray(rest_shape.reshape(-1, count).T),
        np.array(joint),
        np.array(keypoint),
        np.array(weight),
        gather,
        subtree,
        below_weight,
        np.concatenate([arms[moved], np.zeros((1, arms.shape[-1]))]),
        np.where(moved, np.cumsum(moved).reshape(moved.shape) - 1, moved.sum()).reshape(-1),
        by_joint.reshape(ROTATION_SIZE, -1),
    )


def _attachments(
    body: BodyModel, landmark: Landmark, joints: np.ndarray, joints_shape: np.ndarray, shapedirs: np.ndarray
) -> list[tuple[int, float, np.ndarray, np.ndarray]]:
    """(joint, weight, point [3], its change with the betas [3, S]) for each joint that moves the landmark."""
    vertices = list(landmark.vertices)
    by_vertex = np.array(landmark.vertex_weights)[:, None] * body.lbs_weights[vertices]
    found = []
    for j in range(JOINT_COUNT):
        blend = by_vertex[:, j]
        total = float(blend.sum())
        point = blend @ body.v_template[vertices] - total * joints[j]
        point_shape = np.tensordot(blend, shapedirs[vertices], 1) - total * joints_shape[j]
        on_joint = sum(w for i, w in zip(landmark.joints, landmark.joint_weights, strict=True) if i == j)
        if total or on_joint:
            found.append((j, total + on_joint, point, point_shape))
    return found


@dataclass(frozen=True, eq=False)
class PosedChain:
    """A chain in B poses, with what the derivatives reuse.

    ``points`` [B, K, 3] keypoints; ``positions`` [B, 24, 3] joints; ``attached`` [B, A, 3]; rotations
    [B, 24, 3, 3]: ``G`` in the world, ``local`` in the parent's frame, and the ``centre`` of the parameters.
    """

    points: Array
    positions: Array
    attached: Array
    G: Array
    local: Array
    centre: Array
    left_jacobian: Array

    @cached_property
    def turn(self) -> Array:
        """What takes a change of a rotation vector to a rotation in the world. -> [B, 24, 3, 3].

        exp(x + d) = exp(J_l d) exp(x), seen from the world: G_parent J_l = G centre^T J_l^T, as
        G = G_parent exp(x) centre and exp(-x) J_l = J_l^T.
        """
        return self.G @ namespace(self.G).matrix_transpose(self.left_jacobian @ self.centre)


def pose_chain(chain: KeypointChain, centre: Array, x: Array) -> PosedChain:
    """Forward kinematics of the keypoints.

    ``centre`` [B, 24, 3, 3] rotations around which the parameters turn: joint j's rotation in its parent's
    frame is ``exp(x_j) centre_j``; ``x`` [B, P] (rotation vectors in radians, pelvis in metres, betas).
    """
    omega = namespace(x).reshape(x[:, :ROTATION_SIZE], (-1, JOINT_COUNT, 3))
    exponential, left_jacobian = exponential_and_left_jacobian(omega)
    local = exponential @ centre
    world, attached = _carried(chain, local, x)
    return PosedChain(
        chain.gather @ attached, world[..., :3, 3], attached, world[..., :3, :3], local, centre, left_jacobian
    )


def keypoints_at(chain: KeypointChain, local: Array, x: Array) -> Array:
    """The keypoints alone, [B, K, 3], of joints that are turned by ``local`` [B, 24, 3, 3] and nothing else.

    Of ``x`` [B, P] pelvis and betas count.
    """
    return chain.gather @ _carried(chain, local, x)[1]


def _carried(chain: KeypointChain, local: Array, x: Array) -> tuple[Array, Array]:
    """The joints in the world [B, 24, 4, 4] and the attachments that they carry [B, A, 3]."""
    xp = namespace(x)
    rest = chain.rest + xp.reshape(x[:, BETAS_START:] @ chain.rest_shape, (x.shape[0], -1, 3))
    bones = xp.concat([x[:, None, PELVIS], rest[:, 1:JOINT_COUNT]], axis=1)
    world = forward_kinematics(local, bones)
    carrier = xp.take(world, chain.joint, axis=1)
    attached = (carrier[..., :3, :3] @ rest[:, JOINT_COUNT:, :, None])[..., 0]
    return world, attached + chain.weight[:, None] * carrier[..., :3, 3]


def pull_back(chain: KeypointChain, posed: PosedChain, force: Array) -> Array:
    """The gradient of an energy with respect to the parameters from its gradient at the keypoints.

    ``force`` [B, K, 3] = dE/dpoints -> [B, P] = dE/dx: forces become torques on the subtrees.
    """
    xp = namespace(force)
    batch = force.shape[0]
    on_attachment = xp.take(force, chain.keypoint, axis=1)
    # Torques by the antisymmetric part of sums of q f^T: a handful of products instead of cross products.
    outer = posed.attached[..., :, None] * on_attachment[..., None, :]
    weighted = chain.weight[:, None] * on_attachment
    total = chain.subtree @ xp.concat([xp.reshape(outer, (batch, -1, 9)), weighted], axis=-1)
    pull = total[..., 9:]
    about_joint = posed.positions[..., :, None] * pull[..., None, :]
    torque = (total[..., :9] - xp.reshape(about_joint, (batch, -1, 9))) @ constant(_TORQUE, force)
    by_rotation = (xp.matrix_transpose(posed.turn) @ torque[..., None])[..., 0]
    # Every force in every joint's frame, where the shape moves the keypoints.
    by_joint = xp.reshape(xp.matrix_transpose(posed.G), (batch, -1, 3)) @ xp.matrix_transpose(force)
    shape_by_joint = xp.reshape(chain.shape_by_joint, (-1, chain.shape_count))
    by_shape = xp.reshape(by_joint, (batch, -1)) @ shape_by_joint
    return xp.concat([xp.reshape(by_rotation, (batch, -1)), pull[:, 0], by_shape], axis=1)


def row_jacobian(chain: KeypointChain, posed: PosedChain, directions: Array) -> Array:
    """The Jacobian of R linear functions of each keypoint, ``directions_kr . point_k``.

    ``directions`` [B, K, R, 3] -> [B, K * R, P]. Projecting before differentiating spares the third
    dimension of a camera's two rows.
    """
    xp = namespace(directions)
    batch, count, rows = directions.shape[:3]
    arms = chain.arms @ xp.concat([posed.attached, posed.positions], axis=1)
    arm = xp.reshape(xp.take(arms, chain.arm_of, axis=1), (batch, count, JOINT_COUNT, 3))
    # (arm x direction)^T = arm^T [direction]x, one product a keypoint; then one a joint with its turn.
    crosses = xp.permute_dims(cross_matrix(directions), (0, 1, 3, 2, 4))
    lever = arm @ xp.reshape(crosses, (batch, count, 3, rows * 3))
    lever = xp.permute_dims(xp.reshape(lever, (batch, count, JOINT_COUNT, rows, 3)), (0, 2, 1, 3, 4))
    by_rotation = xp.reshape(lever, (batch, JOINT_COUNT, count * rows, 3)) @ posed.turn
    by_rotation = xp.reshape(xp.permute_dims(by_rotation, (0, 2, 1, 3)), (batch, -1, ROTATION_SIZE))
    by_pelvis = xp.reshape(directions, (batch, -1, 3))
    by_shape = xp.reshape(directions @ _shape_jacobian(chain, posed), (batch, count * rows, -1))
    return xp.concat([by_rotation, by_pelvis, by_shape], axis=-1)


def _shape_jacobian(chain: KeypointChain, posed: PosedChain) -> Array:
    """[B, K, 3, S]: bones lengthen along the chain, attachments move on their joints."""
    xp = namespace(posed.G)
    by_row = xp.reshape(xp.permute_dims(posed.G, (0, 2, 1, 3)), (-1, ROTATION_SIZE))
    moved = xp.reshape(by_row @ chain.shape_by_joint, (-1, 3, posed.points.shape[1], chain.shape_count))
    return xp.permute_dims(moved, (0, 2, 1, 3))
