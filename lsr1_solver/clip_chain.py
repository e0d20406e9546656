"""The keypoints of a clip and their gradient, with the frames along the last axis.

The same kinematics as `kinematics`, laid out for a thousand frames of one person: every elementary operation
runs over all frames at once, in memory's order, and what sums over joints or keypoints is one matrix product.
A keypoint is linear in the joints' world transforms, ``p_k = sum_j [G_j | o_j] V_kj``, so the chain is one
matrix V, made once for the clip's one shape.

Shapes: T frames, J = 24 joints, K keypoints, S shape components. Transforms are [J, 4, 3, T]: three columns
and the origin, each with three components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .body_model import JOINT_COUNT, SMPL_PARENTS
from .clip_rotation import cross, cross_sum, exponential, sine_series
from .kinematics import PELVIS, ROTATION_SIZE, KeypointChain, descendant_mask
from .limits import ALLOWED, BONES, FORBIDDEN, JOINTS, SOFTNESS
from .rotation import cross_matrix

_PARENTS = np.array((0, *SMPL_PARENTS[1:]))
# By levels, (first joint, last + 1, their parents): neighbours with one parent, or with neighbours for
# parents in the same order. A view of the parents then serves, where a list of them would copy.
_FAMILIES = (
    (1, 4, slice(0, 1)), (4, 7, slice(1, 4)), (7, 10, slice(4, 7)), (10, 13, slice(7, 10)),
    (13, 15, slice(9, 10)), (15, 18, slice(12, 15)), (18, 20, slice(16, 18)), (20, 22, slice(18, 20)),
    (22, 24, slice(20, 22)),
)  # fmt: skip
# The same where all parents are known: without a break between levels.
_KNOWN_FAMILIES = (
    (1, 4, slice(0, 1)), (4, 13, slice(1, 10)), (13, 15, slice(9, 10)), (15, 18, slice(12, 15)),
    (18, 24, slice(16, 22)),
)  # fmt: skip
_BELOW = descendant_mask()
# [L, 1, 9] and [L, 3, 9]: from each hinge's rotation by columns its lean, and what turns its bone towards its
# forbidden direction, in the parent's frame; see `limits`.
_LEAN = (BONES[:, :, None] * FORBIDDEN[:, None]).reshape(-1, 1, 9)
_LEAN_TORQUE = np.einsum("ld,lec->lcde", BONES, cross_matrix(FORBIDDEN)).reshape(-1, 3, 9)


@dataclass(frozen=True, eq=False)
class ClipChain:
    """A chain and a shape for T frames.

    ``centre`` [24, 3, 3] the rotations about which the joints turn, in their parents' frames; ``root``
    [3, 3, T] the same of the root, one a frame. ``points`` [K, 24 * 4] is V, ``bones`` [24, 3] metres, and
    ``points_shape`` [S, K, 24 * 4], ``bones_shape`` [S, 24, 3] are their changes with the betas.
    """

    centre: np.ndarray
    root: np.ndarray
    points: np.ndarray
    points_shape: np.ndarray
    bones: np.ndarray
    bones_shape: np.ndarray

    def pose(self, x: np.ndarray, betas: np.ndarray) -> PosedClip:
        """Forward kinematics; ``x`` [75, T] rotation vectors and the pelvis, ``betas`` [S]."""
        frames = x.shape[1]
        omega = x[:ROTATION_SIZE].reshape(JOINT_COUNT, 3, frames)
        sine, versine, third = sine_series(np.einsum("jct,jct->jt", omega, omega))
        local = self._local(exponential(omega, sine, versine))
        world, V, points = self._place(local, x[PELVIS], betas)
        return PosedClip(self, betas, omega, sine, versine, third, local, world, V, points)

    def keypoints(self, rotations: np.ndarray, pelvis: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Keypoints [T, K, 3] of given rotations [T, 24, 3, 3] and places [T, 3], metres."""
        local = np.ascontiguousarray(np.transpose(rotations, (1, 3, 2, 0)), dtype=self.points.dtype)
        return np.moveaxis(self._place(local, pelvis.T, betas)[-1], -1, 0)

    def _place(
        self, local: np.ndarray, pelvis: np.ndarray, betas: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The joints' world transforms, V at a shape, and the keypoints [K, 3, T]."""
        frames, dtype, shapes = local.shape[-1], local.dtype, len(betas)
        bones = self.bones + (betas @ self.bones_shape.reshape(shapes, -1)).reshape(-1, 3).astype(dtype)
        V = betas @ self.points_shape.reshape(shapes, -1)
        V = self.points + V.reshape(self.points.shape).astype(dtype)
        world = np.empty((JOINT_COUNT, 4, 3, frames), dtype=dtype)
        world[0, :3], world[0, 3] = local[0], pelvis
        for first, last, parents in _FAMILIES:
            parent, own = world[parents], world[first:last]
            # One pass with no temporary: twice as fast as products and sums of whole arrays.
            np.einsum("jdet,ject->jdct", local[first:last], parent[:, :3], out=own[:, :3])
            moved = np.matmul(bones[first:last, None], parent[:, :3].reshape(len(parent), 3, -1))
            np.add(parent[:, 3], moved.reshape(last - first, 3, frames), out=own[:, 3])
        return world, V, (V @ world.reshape(JOINT_COUNT * 4, -1)).reshape(-1, 3, frames)

    def frames(self, index: np.ndarray) -> ClipChain:
        """Some frames alone."""
        return replace(self, root=self.root[..., index])

    def first_points(self, count: int) -> ClipChain:
        """The first keypoints alone."""
        points_shape = np.ascontiguousarray(self.points_shape[:, :count])
        return replace(self, points=self.points[:count], points_shape=points_shape)

    def _local(self, turned: np.ndarray) -> np.ndarray:
        """``exp(x_j) centre_j`` by columns, [24, 3, 3, T]."""
        frames = turned.shape[-1]
        local = np.matmul(np.swapaxes(self.centre, 1, 2), turned.reshape(JOINT_COUNT, 3, -1))
        local = local.reshape(JOINT_COUNT, 3, 3, frames)
        local[0] = np.einsum("fdt,fet->det", self.root, turned[0])
        return local


@dataclass(frozen=True, eq=False)
class PosedClip:
    """A clip's chain in T poses and one shape, with what the gradient reuses.

    ``betas`` [S]; ``points`` [K, 3, T] metres; ``world`` [24, 4, 3, T]; ``local`` [24, 3, 3, T] by
    columns.
    """

    chain: ClipChain
    betas: np.ndarray
    omega: np.ndarray
    sine: np.ndarray
    versine: np.ndarray
    third: np.ndarray
    local: np.ndarray
    world: np.ndarray
    V: np.ndarray
    points: np.ndarray

    def limits(self) -> np.ndarray:
        """How far each hinge bends the wrong way, standard deviations [L, T]; see `limits`."""
        dtype = self.points.dtype
        lean = (_LEAN.astype(dtype) @ self._hinges)[:, 0]
        return np.maximum((lean - ALLOWED[:, None].astype(dtype)) * dtype.type(1 / SOFTNESS), 0)

    @cached_property
    def _hinges(self) -> np.ndarray:
        """The rotations that have limits, by columns, [L, 9, T]."""
        return self.local[JOINTS].reshape(len(JOINTS), 9, -1)

    def pull_back(self, force: np.ndarray, limits: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The gradient [75, T] and that by the betas [S] of an energy, from its gradient at the keypoints.

        ``force`` [K, 3, T]; ``limits`` [L, T] the energy's derivative by each hinge's lean.
        """
        frames = force.shape[-1]
        on_world = (self.V.T @ force.reshape(len(force), -1)).reshape(JOINT_COUNT, 4, 3, frames)
        wrench = np.empty((JOINT_COUNT, 2, 3, frames), dtype=force.dtype)
        wrench[:, 0] = cross_sum(self.world, on_world)
        wrench[:, 1] = on_world[:, 3]
        for first, last, parents in reversed(_FAMILIES):
            one = parents.stop - parents.start == 1
            wrench[parents] += wrench[first:last].sum(axis=0) if one else wrench[first:last]
        torque = wrench[:, 0] - cross(self.world[:, 3], wrench[:, 1])
        inward, on_bone = np.empty_like(torque), np.zeros((JOINT_COUNT, 3), dtype=force.dtype)
        inward[0] = torque[0]
        for first, last, parents in _KNOWN_FAMILIES:
            parent = self.world[parents, :3]
            np.einsum("ject,jct->jet", parent, torque[first:last], out=inward[first:last])
            np.einsum("ject,jct->je", parent, wrench[first:last, 1], out=on_bone[first:last])
        if limits is not None:
            inward[JOINTS] += limits[:, None] * self._lean_torque()
        # J_l^T = sin t / t I - B [w]x + C w w^T
        by_rotation = self.sine[:, None] * inward
        by_rotation -= self.versine[:, None] * cross(self.omega, inward)
        along = np.einsum("jct,jct->jt", self.omega, inward)
        along *= self.third
        by_rotation += along[:, None] * self.omega
        gradient = np.concatenate([by_rotation.reshape(-1, frames), wrench[0, 1]])
        on_points = (self.world.reshape(JOINT_COUNT * 4, -1) @ force.reshape(len(force), -1).T).T
        shapes = len(self.betas)
        by_shape = self.chain.bones_shape.reshape(shapes, -1) @ on_bone.ravel()
        return gradient, by_shape + self.chain.points_shape.reshape(shapes, -1) @ on_points.ravel()

    def row_jacobian(self, directions: np.ndarray, points: slice) -> tuple[np.ndarray, np.ndarray]:
        """The Jacobian of R linear functions of each of some keypoints, ``directions_kr . point_k``.

        ``directions`` [T, K', R, 3] for the keypoints of the slice -> [T, K' R, 75] by x, [T, K' R, S] by the
        betas.
        """
        frames, count, rows = directions.shape[:3]
        V = self.V[points].reshape(count, JOINT_COUNT, 4)
        by_shape = directions @ self._shape_jacobian(V, points)
        by_moving, moving = self.pose_jacobian(directions, points)
        by_x = np.zeros((frames, count * rows, ROTATION_SIZE + 3), dtype=directions.dtype)
        by_x[..., moving] = by_moving
        return by_x, by_shape.reshape(frames, count * rows, -1)

    def pose_jacobian(self, directions: np.ndarray, points: slice) -> tuple[np.ndarray, np.ndarray]:
        """`row_jacobian` by the numbers of x that move the keypoints, [T, K' R, M]; which these are, [M]."""
        frames, count, rows = directions.shape[:3]
        V = self.V[points].reshape(count, JOINT_COUNT, 4)
        keypoint, joint = np.nonzero(np.abs(V).sum(axis=2) @ _BELOW.T)
        below = V[keypoint] * _BELOW[joint][..., None].astype(V.dtype)
        weight = below[..., 3].sum(axis=1)
        arm = (below.reshape(len(below), -1) @ self.world.reshape(JOINT_COUNT * 4, -1)).reshape(-1, 3, frames)
        arm -= weight[:, None, None] * self.world[joint, 3]
        turn = self._turn()[joint]
        across = np.ascontiguousarray(np.moveaxis(directions, 0, -1))
        moving, place = np.unique(joint, return_inverse=True)
        by_x = np.zeros((frames, count, rows, 3 * len(moving) + 3), dtype=directions.dtype)
        for row in range(rows):
            lever = cross(arm, across[keypoint, row])
            turned = np.einsum("pict,pct->pit", turn, lever)
            for i in range(3):
                by_x[:, keypoint, row, 3 * place + i] = turned[:, i].T
        by_x[..., -3:] = directions
        numbers = (3 * moving[:, None] + np.arange(3)).ravel()
        numbers = np.concatenate([numbers, np.arange(PELVIS.start, PELVIS.stop)])
        return by_x.reshape(frames, count * rows, -1), numbers

    def limit_rows(self) -> np.ndarray:
        """The Jacobian of the hinges' leans by x where they bend the wrong way, [T, L, 75]."""
        frames = self.points.shape[-1]
        torque = self._lean_torque() * (self.limits() > 0)[:, None]
        left_jacobian = exponential(self.omega, self.versine, self.third)[JOINTS]
        rows = np.zeros((frames, len(JOINTS), ROTATION_SIZE + 3), dtype=self.points.dtype)
        by_joint = np.einsum("liet,let->tli", left_jacobian, torque)
        for i in range(3):
            rows[:, np.arange(len(JOINTS)), 3 * JOINTS + i] = by_joint[..., i]
        return rows

    def _lean_torque(self) -> np.ndarray:
        """[L, 3, T]: what turns each hinge's bone towards its forbidden direction, in the parent's frame."""
        return _LEAN_TORQUE.astype(self.points.dtype) @ self._hinges

    def _turn(self) -> np.ndarray:
        """By columns, [24, 3, 3, T]: from a change of a rotation vector to a rotation in the clip's axes."""
        turn = exponential(self.omega, self.versine, self.third)
        turn[1:] = np.einsum("jiet,ject->jict", turn[1:], self.world[_PARENTS[1:], :3])
        return turn

    def _shape_jacobian(self, V: np.ndarray, points: slice) -> np.ndarray:
        """[T, K', 3, S]: bones lengthen along the chain, points move on their joints."""
        frames, count, shapes = self.points.shape[-1], len(V), len(self.chain.bones_shape)
        parent = self.world[_PARENTS[1:], :3].reshape(JOINT_COUNT - 1, 3, -1)
        on_bone = np.matmul(np.swapaxes(self.chain.bones_shape[:, 1:], 0, 1), parent)
        weight = V[..., 3] @ _BELOW.T.astype(V.dtype)
        moved = (weight[:, 1:] @ on_bone.reshape(JOINT_COUNT - 1, -1)).reshape(count, shapes, 3, frames)
        own = self.chain.points_shape[:, points].reshape(shapes * count, -1)
        on_points = (own @ self.world.reshape(JOINT_COUNT * 4, -1)).reshape(shapes, count, 3, frames)
        return np.transpose(moved + np.swapaxes(on_points, 0, 1), (3, 0, 2, 1))


def clip_chain(
    chain: KeypointChain, centre: np.ndarray, root: np.ndarray, dtype: type[np.floating] = np.float32
) -> ClipChain:
    """The chain of a clip. ``centre`` [24, 3, 3] (the root's is not used), ``root`` [T, 3, 3]."""
    count, shapes = len(chain.landmarks), chain.shape_count
    rest, rest_shape = np.asarray(chain.rest), np.asarray(chain.rest_shape).reshape(shapes, -1, 3)
    points = np.zeros((count, JOINT_COUNT, 4))
    points_shape = np.zeros((shapes, count, JOINT_COUNT, 4))
    np.add.at(points[..., :3], (chain.keypoint, chain.joint), rest[JOINT_COUNT:])
    np.add.at(points[..., 3], (chain.keypoint, chain.joint), chain.weight)
    for s in range(shapes):
        np.add.at(points_shape[s, ..., :3], (chain.keypoint, chain.joint), rest_shape[s, JOINT_COUNT:])
    return ClipChain(
        centre.astype(dtype),
        np.ascontiguousarray(np.moveaxis(root, 0, -1), dtype=dtype),
        points.reshape(count, -1).astype(dtype),
        points_shape.reshape(shapes, count, -1).astype(dtype),
        rest[:JOINT_COUNT].astype(dtype),
        rest_shape[:, :JOINT_COUNT].astype(dtype),
    )
