"""The clip initializer's samples: five frames of a motion before one camera, made as they are needed.

Half the windows are captured ones, mirrored, mixed, at another pace; the rest are the many widened poses,
each moved as some captured pose moved. A detector's faults last: noise and gaps are correlated from frame to
frame, and what is out of sight stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..body_model import JOINT_COUNT, BodyModel
from ..clip_initializer import OFFSETS
from ..initializer import SHAPE_COUNT
from ..initializer_input import SLOTS
from .config import TrainingConfig
from .corruption import KINDS, SWAP_KIND, corrupt
from .limb_twist import plausible_poses
from .poses import UPPER_BODY
from .retarget import MIRRORED_JOINTS, Motion
from .samples import VIEW_DRAWS, Batch, SampleMaker, sample_maker
from .tensors import axis_angle_to_matrix, clip_features, plane_in_view, turn_to_points
from .world_chain import WorldChain, world_rotations

# The frames of a window in time's order; the middle one is asked for.
TIMES = (*OFFSETS[:2], 0.0, *OFFSETS[2:])
FRAMES, MIDDLE = len(TIMES), 2
NEIGHBOURS = [frame for frame in range(FRAMES) if frame != MIDDLE]
# Uniform numbers of a window: which, which other, which pose, mirrored (2), mixed, widened, pace, shaken,
# whose end is missing (2), alone; for every frame its jitter, whether it is missing, and its sides swapped.
_WINDOW_DRAWS = 12
_FRAME_DRAWS = 3
UNIFORMS = VIEW_DRAWS + _WINDOW_DRAWS + FRAMES * _FRAME_DRAWS + KINDS
_FIELDS = 4 * SLOTS  # of `corrupt`, but from normal numbers that are correlated in time
NORMALS = SHAPE_COUNT + 3 * JOINT_COUNT + FRAMES * (2 * SLOTS + _FIELDS)
_SEED_STRIDE = 10_000_019
_CANDIDATE_RATE = 10.0  # hertz at which a motion's frames may be a window's middle
_NEAREST = 0.3  # metres before the camera: what is nearer, or behind it, is not seen
_UPPER = torch.tensor(UPPER_BODY)
_MIRROR_SIGNS = torch.tensor([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Windows:
    """Captured motions frame after frame: ``rotations`` [N, 24, 3, 3] in the parents' frames, in half
    precision; ``root`` [N, 3] metres; of each frame the ``rate`` [N] hertz and its motion's ``first`` and
    ``last`` frame; ``middles`` [C] the frames that a window may be about.
    """

    rotations: torch.Tensor
    root: torch.Tensor
    rate: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    middles: torch.Tensor

    def at(self, draw: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Windows [B, 5]: rotations, the root's way from the middle frame, whether there is such a frame.

        ``draw`` [B] chooses the middle; ``times`` [B, 5] in seconds from there.
        """
        middle = self.middles[(draw * len(self.middles)).long().clamp(max=len(self.middles) - 1)][:, None]
        wished = middle + (times * self.rate[middle]).round().long()
        frame = wished.clamp(self.first[middle], self.last[middle])
        return self.rotations[frame].float(), self.root[frame] - self.root[middle], frame == wished


@dataclass(frozen=True, eq=False)
class ClipSampleMaker:
    """``vectors`` [M, 24, 3] widened poses as rotation vectors, half precision; ``still`` has the camera."""

    windows: Windows
    vectors: torch.Tensor
    still: SampleMaker
    config: TrainingConfig

    @property
    def chain(self) -> WorldChain:
        """The body."""
        return self.still.chain

    def batch(self, step: int, rows: slice) -> Batch:
        """The chosen rows of the batch of a step."""
        generator = torch.Generator().manual_seed(self.config.seed * _SEED_STRIDE + step)
        count = self.config.clip_initializer.network.batch
        uniform = torch.rand((count, UNIFORMS), generator=generator)[rows]
        normal = torch.randn((count, NORMALS), generator=generator)[rows]
        return self.make(uniform, normal)

    def make(self, uniform: torch.Tensor, normal: torch.Tensor) -> Batch:
        """Samples from [B, UNIFORMS] and [B, NORMALS] random numbers."""
        view, window, frame, kinds = uniform.split(
            [VIEW_DRAWS, _WINDOW_DRAWS, FRAMES * _FRAME_DRAWS, KINDS], dim=1
        )
        frame = frame.view(-1, FRAMES, _FRAME_DRAWS)
        shape, shake, faults = normal.split(
            [SHAPE_COUNT, 3 * JOINT_COUNT, FRAMES * (2 * SLOTS + _FIELDS)], dim=1
        )
        local, way, there = self._motion(window.unbind(dim=1), frame[..., 0], shake)
        there = there & ~self._missing(window.unbind(dim=1), frame[..., 1])
        u = view.unbind(dim=1)
        camera = self.still.camera_rotation(u)
        batch = len(uniform)
        local[:, :, 0] = camera @ local[:, :, 0]
        world = world_rotations(local.flatten(0, 1)).view(batch, FRAMES, JOINT_COUNT, 3, 3)
        betas = shape[:, None].expand(-1, FRAMES, -1)
        points = self.chain.points(world.flatten(0, 1), betas.flatten(0, 1)).view(batch, FRAMES, -1, 3)
        pelvis = self.still.place(u, points[:, MIDDLE])[:, None] + way @ camera[:, 0].transpose(-1, -2)
        placed = points + pelvis[:, :, None]
        depth = -placed[..., 2:]
        plane = placed[..., :2] / depth.clamp(min=_NEAREST)
        height = self.still.stature / -pelvis[:, MIDDLE, 2]
        plane, seen = self._detect(view[:, 9], plane, height, kinds, frame[..., 2], faults)
        in_front = (depth[:, :, JOINT_COUNT:, 0] > _NEAREST).all(dim=-1)
        seen = seen * (there & in_front)[..., None]
        turn, middle = turn_to_points(plane[:, MIDDLE], seen[:, MIDDLE])
        near_seen = seen[:, NEIGHBOURS]
        near = plane_in_view(turn[:, None], plane[:, NEIGHBOURS], near_seen)
        return Batch(
            clip_features(middle, seen[:, MIDDLE], near, near_seen),
            seen[:, MIDDLE],
            turn[:, None] @ world[:, MIDDLE],
            points[:, MIDDLE] @ turn.transpose(1, 2),
            shape,
        )

    def _motion(
        self, u: tuple[torch.Tensor, ...], jitter: torch.Tensor, shake: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotations [B, 5, 24, 3, 3] in the parents' frames, the root's way [B, 5, 3], which are there."""
        config = self.config.clip_initializer
        pace = torch.exp(config.pace * (2 * u[7] - 1))[:, None]
        moved = config.jitter * (2 * jitter - 1)
        moved[:, MIDDLE] = 0
        times = pace * (torch.tensor(TIMES) + moved)
        local, way, there = self.windows.at(u[0], times)
        _mirror(local, way, u[3] < 0.5)
        mixed = torch.nonzero(u[5] < config.mixed)[:, 0]
        other, other_way, _ = self.windows.at(u[1][mixed], times[mixed])
        _mirror(other, other_way, u[4][mixed] < 0.5)
        local[mixed[:, None], :, _UPPER] = other[:, :, _UPPER].transpose(1, 2)
        widened = u[6] < config.widened
        shaken = torch.nonzero(~widened)[:, 0]
        noise = config.shake * u[8][shaken, None, None] * shake[shaken].view(-1, JOINT_COUNT, 3)
        local[shaken] = axis_angle_to_matrix(noise)[:, None] @ local[shaken]
        # Every pose that a still is read from, moved as this one moved.
        rows = torch.nonzero(widened)[:, 0]
        chosen = (u[2][rows] * len(self.vectors)).long().clamp(max=len(self.vectors) - 1)
        pose = axis_angle_to_matrix(self.vectors[chosen].float())
        carry = pose @ local[rows, MIDDLE].transpose(-1, -2)
        way[rows] = way[rows] @ carry[:, 0].transpose(-1, -2)
        local[rows] = carry[:, None] @ local[rows]
        return local, way, there

    def _missing(self, u: tuple[torch.Tensor, ...], draw: torch.Tensor) -> torch.Tensor:
        """Neighbours that a cut, a clip's end or a gap has taken away. -> [B, 5] bool."""
        config = self.config.clip_initializer
        gone = draw < config.dropped
        # Of the frames before (and after) the farther one alone, or both.
        for end, frames in ((u[9], (0, 1)), (u[10], (4, 3))):
            gone[:, frames[0]] |= end < config.borders
            gone[:, frames[1]] |= end < config.borders / 2
        gone |= (u[11] < config.alone)[:, None]
        gone[:, MIDDLE] = False
        return gone

    def _detect(
        self,
        joints: torch.Tensor,
        plane: torch.Tensor,
        height: torch.Tensor,
        kinds: torch.Tensor,
        swap: torch.Tensor,
        faults: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keypoints [B, 5, 25, 2] and which are seen [B, 5, 25]."""
        config = self.config.clip_initializer
        batch = len(plane)
        noise, fields = faults.view(batch, FRAMES, -1).split([2 * SLOTS, _FIELDS], dim=2)
        noise = _correlated(noise, config.noise_correlation)
        fields = torch.special.ndtr(_correlated(fields, config.gap_correlation))
        kinds = kinds[:, None].repeat(1, FRAMES, 1)
        kinds[..., SWAP_KIND] = swap
        uniform = torch.cat([kinds, fields], dim=2).flatten(0, 1)
        points = self.still.input_points(joints.repeat_interleave(FRAMES), plane.flatten(0, 1))
        plane, seen = corrupt(
            points,
            height.repeat_interleave(FRAMES),
            uniform,
            noise.reshape(-1, SLOTS, 2),
            self.config.corruption,
        )
        return plane.view(batch, FRAMES, SLOTS, 2), seen.view(batch, FRAMES, SLOTS)


def _mirror(local: torch.Tensor, way: torch.Tensor, chosen: torch.Tensor) -> None:
    """See the chosen windows in a mirror (x -> -x), in place."""
    signs = _MIRROR_SIGNS[:, None] * _MIRROR_SIGNS
    local[chosen] = local[chosen][:, :, list(MIRRORED_JOINTS)] * signs
    way[chosen] *= _MIRROR_SIGNS


def _correlated(normal: torch.Tensor, keep: float) -> torch.Tensor:
    """[B, 5, F] independent normal numbers -> such of unit variance that keep so much from frame to frame."""
    frames = [normal[:, 0]]
    for t in range(1, normal.shape[1]):
        frames.append(keep * frames[-1] + (1 - keep**2) ** 0.5 * normal[:, t])
    return torch.stack(frames, dim=1)


def windows(motions: Sequence[Motion]) -> Windows:
    """The windows of some motions."""
    lengths = [len(motion.root) for motion in motions]
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    middles = []
    for motion, begin in zip(motions, first, strict=True):
        frames = np.arange(0, len(motion.root), max(1, round(motion.frame_rate / _CANDIDATE_RATE)))
        middles.append(begin + frames[plausible_poses(motion.rotations[frames])])

    def each(values: Sequence[float] | np.ndarray) -> np.ndarray:
        return np.repeat(values, lengths)

    return Windows(
        torch.from_numpy(np.concatenate([motion.rotations.astype(np.float16) for motion in motions])),
        torch.from_numpy(np.concatenate([motion.root.astype(np.float32) for motion in motions])),
        torch.from_numpy(each([motion.frame_rate for motion in motions]).astype(np.float32)),
        torch.from_numpy(each(first)),
        torch.from_numpy(each(first + lengths) - 1),
        torch.from_numpy(np.concatenate(middles)),
    )


def clip_sample_maker(
    motions: Sequence[Motion], vectors: np.ndarray, body: BodyModel, config: TrainingConfig
) -> ClipSampleMaker:
    """``vectors`` [N, 24, 3] the widened poses' rotation vectors, as stored by the stage `poses`."""
    # Of the stills' maker only the body and the camera are of use here.
    return ClipSampleMaker(
        windows(motions), torch.from_numpy(vectors), sample_maker(vectors[:1], body, config), config
    )
