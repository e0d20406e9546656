"""A body's joints and landmarks from rotations in the world, in torch: what a training step differentiates.

With every joint's rotation known in the world, a joint stands where the rotated bones above it add up to;
no chain of products is needed, and each is one product with a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from ..body_model import JOINT_COUNT, SMPL_PARENTS, BodyModel
from ..kinematics import keypoint_chain


@dataclass(frozen=True, eq=False)
class WorldChain:
    """``rest`` [24 + A, 3] bones and attachments and ``rest_shape`` [S, (24 + A) * 3] their change with the
    betas; ``carrier`` [24 + A] the joint whose rotation carries each; ``sums`` [24 + K, 24 + A] adds them up
    to joints and landmarks, the pelvis at the origin.
    """

    rest: torch.Tensor
    rest_shape: torch.Tensor
    carrier: torch.Tensor
    sums: torch.Tensor

    def points(self, world: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        """Joints and landmarks about the pelvis. ``world`` [B, 24, 3, 3], ``betas`` [B, S] ->
        [B, 24 + K, 3], metres, joints first.
        """
        rest = self.rest + (betas @ self.rest_shape).view(len(betas), -1, 3)
        carried = (world[:, self.carrier] * rest[:, :, None]).sum(dim=-1)
        # One large product instead of many with three columns.
        summed = carried.transpose(1, 2).reshape(-1, self.sums.shape[1]) @ self.sums.T
        return summed.view(len(betas), 3, -1).transpose(1, 2)


def world_chain(body: BodyModel, landmarks: tuple[str, ...]) -> WorldChain:
    """The chain of a body. Raises FitError for a landmark that the body does not have."""
    chain = keypoint_chain(body, landmarks)
    above = np.zeros((JOINT_COUNT, JOINT_COUNT))
    for joint in range(1, JOINT_COUNT):
        above[joint] = above[SMPL_PARENTS[joint]]
        above[joint, joint] = 1
    gather, joint = np.asarray(chain.gather), np.asarray(chain.joint)
    attached = gather @ (np.asarray(chain.weight)[:, None] * above[joint])
    sums = np.block([[above, np.zeros((JOINT_COUNT, len(joint)))], [attached, gather]])
    carrier = np.concatenate([np.maximum(SMPL_PARENTS, 0), joint])

    def real(a: object) -> torch.Tensor:
        return torch.from_numpy(cast("np.ndarray", a).astype(np.float32))

    return WorldChain(real(chain.rest), real(chain.rest_shape), torch.from_numpy(carrier), real(sums))


def world_rotations(local: torch.Tensor) -> torch.Tensor:
    """From rotations in the parents' frames [B, 24, 3, 3] to rotations in the world."""
    world = [local[:, 0]]
    for joint in range(1, JOINT_COUNT):
        world.append(world[SMPL_PARENTS[joint]] @ local[:, joint])
    return torch.stack(world, dim=1)
