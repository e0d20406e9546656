"""The initializer's network in torch, and its loss."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ..body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from ..initializer import NORM_EPSILON, OUTPUT_SIZE
from ..initializer_input import INPUT_LANDMARKS, INPUT_SIZE
from .config import InitializerConfig
from .samples import Batch
from .tensors import six_d_to_matrix
from .world_chain import WorldChain

# The point at the end of a joint's bone, without which the joint's rotation is a guess.
_BONE_ENDS = {
    "hip": "coco_{}_knee", "knee": "coco_{}_ankle", "ankle": "{}_big_toe", "foot": "{}_big_toe",
    "collar": "coco_{}_shoulder", "shoulder": "coco_{}_elbow", "elbow": "coco_{}_wrist",
    "wrist": "coco_{}_wrist", "hand": "coco_{}_wrist",
}  # fmt: skip


def _bone_end_slots() -> torch.Tensor:
    """[24] the slot of each joint's bone end, -1 for the trunk and the head."""
    slots = []
    for joint in SMPL_JOINT_NAMES:
        side, _, part = joint.rpartition("_")
        slots.append(INPUT_LANDMARKS.index(_BONE_ENDS[part].format(side)) if part in _BONE_ENDS else -1)
    return torch.tensor(slots)


_END_SLOTS = _bone_end_slots()


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.wide = nn.Linear(width, width)
        self.back = nn.Linear(width, width)
        # A residual network that begins as the identity trains at once.
        nn.init.zeros_(self.back.weight)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h + self.back(functional.silu(self.wide(self.norm(h))))


class InitializerNetwork(nn.Module):
    """[B, inputs] -> [B, OUTPUT_SIZE]; the same function as `initializer.run_network`."""

    def __init__(self, width: int, blocks: int, inputs: int = INPUT_SIZE) -> None:
        """Of ``blocks`` residual blocks."""
        super().__init__()
        self.input = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.output = nn.Linear(width, OUTPUT_SIZE)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Six numbers for the rotation in the world of each joint, and the betas."""
        h = self.input(features)
        for block in self.blocks:
            h = block(h)
        return self.output(functional.silu(self.norm(h)))


def initializer_loss(
    answer: torch.Tensor, batch: Batch, chain: WorldChain, config: InitializerConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of an answer [B, OUTPUT_SIZE], and the mean distance of points about the pelvis in metres."""
    world = six_d_to_matrix(answer[:, : 6 * JOINT_COUNT].view(-1, JOINT_COUNT, 6))
    betas = answer[:, 6 * JOINT_COUNT :]
    distance = (chain.points(world, betas) - batch.points).norm(dim=-1)
    joints, landmarks = distance[:, :JOINT_COUNT].mean(), distance[:, JOINT_COUNT:].mean()
    distance = (joints + config.landmark_weight * landmarks) / (1 + config.landmark_weight)
    weight = torch.where(_END_SLOTS < 0, 1.0, batch.seen[:, _END_SLOTS.clamp(min=0)])
    weight = config.unseen + (1 - config.unseen) * weight
    rotation = (weight * (world - batch.world).square().sum(dim=(-1, -2))).mean()
    shape = (betas - batch.betas).square().mean()
    loss = config.point_weight * distance + config.rotation_weight * rotation + config.shape_weight * shape
    return loss, distance.detach()
