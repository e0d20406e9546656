"""The clips of `video.py`: stretches of held-out motions at a wished length, and where feet stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lsr1_solver import BodyModel
from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from lsr1_solver.training.clip_problems import SyntheticClip, sample_clip
from lsr1_solver.training.limb_twist import plausible_poses
from lsr1_solver.training.retarget import Motion
from tests.bench.hmr_bench import LANDMARKS

# Frames in which a played motion turns round, at either end.
TURN = 8
FEET = [SMPL_JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]
# A foot stands where it moves by less than this in both steps around a frame, metres a second, and is no
# higher above the clip's ground than this, metres.
STANDING_SPEED, STANDING_HEIGHT = 0.1, 0.05


def plausible_stretch(motion: Motion) -> Motion:
    """The longest run of frames whose legs a hip can turn so (see `plausible_poses`)."""
    fine = np.concatenate([[0], plausible_poses(motion.rotations).astype(int), [0]])
    begins, ends = np.flatnonzero(np.diff(fine) == 1), np.flatnonzero(np.diff(fine) == -1)
    longest = int(np.argmax(ends - begins))
    chosen = slice(int(begins[longest]), int(ends[longest]))
    return replace(motion, rotations=motion.rotations[chosen], root=motion.root[chosen])


def back_and_forth(motion: Motion, count: int) -> Motion:
    """The motion at ``count`` frames: cut, or played to its end, back, and so on.

    Every turn takes 2 `TURN` frames in which the playback slows down and gathers speed again, so that nothing
    stops dead; between turns the frames are the motion's own. A motion needs more than 3 `TURN` frames.
    """
    length = len(motion.root)
    if length >= count:
        return replace(motion, rotations=motion.rotations[:count], root=motion.root[:count])
    # Playback slows down over the last TURN frames before an end, and so covers half of them.
    period = length - 1 + TURN
    phase = np.arange(count) % (2 * period)
    travelled = np.minimum(phase, 2 * period - phase) - TURN / 2
    first, last = TURN / 2, length - 1 - TURN / 2
    before, after = np.maximum(first - travelled, 0), np.maximum(travelled - last, 0)
    slow = [_slowed(part) for part in (before, after)]
    position = np.clip(travelled, first, last) - slow[0] + slow[1]
    return _played(motion, position)


def _slowed(frames: np.ndarray) -> np.ndarray:
    """How far playback gets in so many frames while it comes to rest over `TURN`."""
    return frames - frames**2 / (2 * TURN)


def _played(motion: Motion, position: np.ndarray) -> Motion:
    """The motion at ``position`` [T] in frames, turned and moved evenly between two."""
    low = np.clip(np.floor(position).astype(int), 0, len(motion.root) - 2)
    share = position - low
    R, root = motion.rotations, motion.root
    way = matrix_to_axis_angle(np.swapaxes(R[low], -1, -2) @ R[low + 1])
    rotations = R[low] @ axis_angle_to_matrix(share[:, None, None] * way)
    place = root[low] + share[:, None] * (root[low + 1] - root[low])
    return replace(motion, rotations=rotations, root=place)


def bench_clips(
    motions: Sequence[Motion], body: BodyModel, frames: int, count: int, *, seed: int = 0
) -> list[SyntheticClip]:
    """``count`` clips of every group, of ``frames`` each, every one before a camera of its own.

    Of the motions that are long enough, in random order; where a group has none, of the longest, played back
    and forth.
    """
    stretches = [plausible_stretch(motion) for motion in motions]
    random = np.random.default_rng([seed, 3])
    clips = []
    for group in dict.fromkeys(motion.group for motion in motions):
        own = sorted((s for s in stretches if s.group == group), key=lambda s: -len(s.root))
        enough = [s for s in own if len(s.root) >= frames]
        chosen = [enough[i] for i in random.permutation(len(enough))] or own
        for i in range(count):
            motion = chosen[i % len(chosen)]
            start = int(random.integers(max(0, len(motion.root) - frames) + 1))
            motion = replace(motion, rotations=motion.rotations[start:], root=motion.root[start:])
            clips.append(
                sample_clip(back_and_forth(motion, frames), body, LANDMARKS, seed=1000 * seed + len(clips))
            )
    return clips


def standing_feet(clip: SyntheticClip) -> np.ndarray:
    """Which ankles and feet (`FEET`) stand still in the true motion. -> [T, 4] bool."""
    points = clip.joints[:, FEET]
    speed = clip.frame_rate * np.linalg.norm(np.diff(points, axis=0), axis=-1)
    slow = np.pad(speed < STANDING_SPEED, ((1, 1), (0, 0)), constant_values=True)
    height = points @ clip.up
    ground = np.quantile(height, 0.02, axis=0)
    return slow[1:] & slow[:-1] & (height < ground + STANDING_HEIGHT)
