"""The initializer's samples, made as they are needed: a pose, a body, a camera, a detector's mistakes.

Everything follows from one table of random numbers a batch, drawn by seed and step: training goes on after an
interruption, and is shared among processes, with the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..body_model import JOINT_COUNT, SMPL_JOINT_NAMES, BodyModel
from ..initializer import SHAPE_COUNT
from ..initializer_input import INPUT_LANDMARKS, SLOTS, SUBSTITUTES
from .config import TrainingConfig
from .corruption import CORRUPTION_DRAWS, corrupt
from .tensors import axis_angle_to_matrix, input_features, turn_to_points
from .world_chain import WorldChain, world_chain, world_rotations

# Uniform numbers of a sample: pose, yaw, pitch, roll, distance, lens, aspect, place (2), whose joints.
VIEW_DRAWS = 10
UNIFORMS = VIEW_DRAWS + CORRUPTION_DRAWS
NORMALS = SHAPE_COUNT + 2 * SLOTS
_SEED_STRIDE = 10_000_019  # more than the steps of any training: seeds share no batch
_SENSOR = 36.0  # mm, the longer side
_MARGIN = 0.98  # of the picture's half sides, within which the person stands
_NEAREST = 0.5  # metres from the camera to the nearest point


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples: ``features`` [B, F]; ``seen`` [B, 25]; the truth in the virtual camera's axes: ``world``
    [B, 24, 3, 3], ``points`` [B, 49, 3] about the pelvis in metres (joints, then landmarks), ``betas``.
    """

    features: torch.Tensor
    seen: torch.Tensor
    world: torch.Tensor
    points: torch.Tensor
    betas: torch.Tensor


@dataclass(frozen=True, eq=False)
class SampleMaker:
    """``poses`` [N, 24, 3, 3] world rotations in half precision; ``stature`` metres; ``substitutes`` [25] the
    joint in place of each landmark, -1 where there is none.
    """

    poses: torch.Tensor
    chain: WorldChain
    stature: float
    substitutes: torch.Tensor
    config: TrainingConfig

    def batch(self, step: int, rows: slice) -> Batch:
        """The chosen rows of the batch of a step."""
        generator = torch.Generator().manual_seed(self.config.seed * _SEED_STRIDE + step)
        count = self.config.initializer.batch
        uniform = torch.rand((count, UNIFORMS), generator=generator)[rows]
        normal = torch.randn((count, NORMALS), generator=generator)[rows]
        return self.make(uniform, normal)

    def make(self, uniform: torch.Tensor, normal: torch.Tensor) -> Batch:
        """Samples from [B, UNIFORMS] and [B, NORMALS] random numbers."""
        u = uniform.unbind(dim=1)
        chosen = (u[0] * len(self.poses)).long().clamp(max=len(self.poses) - 1)
        world = self.camera_rotation(u) @ self.poses[chosen].float()
        betas = normal[:, :SHAPE_COUNT]
        points = self.chain.points(world, betas)
        pelvis = self.place(u, points)
        placed = points + pelvis[:, None]
        plane = placed[..., :2] / -placed[..., 2:]
        height = self.stature / -pelvis[:, 2]
        noise = normal[:, SHAPE_COUNT:].view(-1, SLOTS, 2)
        plane, seen = corrupt(
            self.input_points(u[9], plane), height, uniform[:, VIEW_DRAWS:], noise, self.config.corruption
        )
        turn, plane = turn_to_points(plane, seen)
        return Batch(
            input_features(plane, seen), seen, turn[:, None] @ world, points @ turn.transpose(1, 2), betas
        )

    def camera_rotation(self, u: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """From the world's axes to the camera's. ``u`` the view's draws, [B] each. -> [B, 1, 3, 3]."""
        views = self.config.views
        low, high = np.radians(views.pitch)
        roll = np.radians(views.roll)
        return (
            _about(2, roll * (2 * u[3] - 1))
            @ _about(0, low + (high - low) * u[2])
            @ _about(1, 2 * np.pi * u[1])
        )[:, None]

    def place(self, u: tuple[torch.Tensor, ...], points: torch.Tensor) -> torch.Tensor:
        """The pelvis [B, 3] with the person in the picture.

        Where the person does not fit, the lens gets wider, and at its widest the camera steps back.
        """
        views = self.config.views
        distance, lens = _log_between(views.distance, u[4]), _log_between(views.lens, u[5])
        aspects = torch.tensor(views.aspects)
        aspect = aspects[(u[6] * len(aspects)).long().clamp(max=len(aspects) - 1)]
        sides = torch.stack([torch.ones_like(aspect), aspect], dim=1)
        half = _MARGIN * _SENSOR / 2 * sides / sides.amax(dim=1, keepdim=True)
        distance = torch.maximum(distance, _NEAREST + points[..., 2].amax(dim=1))
        # The middle depth stands for all: perspective within the person is left to the projection.
        reach = (points[..., :2].amax(dim=1) - points[..., :2].amin(dim=1)) / 2
        widest = ((half / reach).amin(dim=1) * distance).clamp(max=lens)
        focal = widest.clamp(min=views.lens[0])
        distance = distance * focal / widest
        across = half * (distance / focal)[:, None]
        middle = (points[..., :2].amax(dim=1) + points[..., :2].amin(dim=1)) / 2
        free = (across - reach).clamp(min=0)
        place = free * (2 * torch.stack([u[7], u[8]], dim=1) - 1) - middle
        return torch.cat([place, -distance[:, None]], dim=1)

    def input_points(self, draw: torch.Tensor, plane: torch.Tensor) -> torch.Tensor:
        """The landmarks; for some samples (``draw`` [B]) SMPL's joints in their places. -> [B, 25, 2]."""
        landmarks = plane[:, JOINT_COUNT:]
        swap = (draw < self.config.corruption.joints)[:, None] & (self.substitutes >= 0)
        return torch.where(swap[..., None], plane[:, self.substitutes.clamp(min=0)], landmarks)


def sample_maker(vectors: np.ndarray, body: BodyModel, config: TrainingConfig) -> SampleMaker:
    """``vectors`` [N, 24, 3] the poses' rotation vectors, as stored by the stage `poses`."""
    worlds = [
        world_rotations(axis_angle_to_matrix(tile.float())).half()
        for tile in torch.split(torch.from_numpy(vectors), 8192)
    ]
    joints = [
        next((SMPL_JOINT_NAMES.index(n) for n in SUBSTITUTES.get(name, ()) if n in SMPL_JOINT_NAMES), -1)
        for name in INPUT_LANDMARKS
    ]
    return SampleMaker(
        torch.cat(worlds),
        world_chain(body, INPUT_LANDMARKS),
        float(np.ptp(body.v_template[:, 1])),
        torch.tensor(joints),
        config,
    )


def _about(axis: int, angle: torch.Tensor) -> torch.Tensor:
    return axis_angle_to_matrix(angle[:, None] * torch.eye(3)[axis])


def _log_between(limits: tuple[float, float], u: torch.Tensor) -> torch.Tensor:
    low, high = np.log(limits)
    return torch.exp(low + (high - low) * u)
