"""Train the clip initializer from where the stills' ends, and write it with the covariance of its error."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..body_model import BodyModel
from ..clip_initializer import CLIP_INPUT_SIZE, ClipInitializer
from ..initializer import Initializer
from ..initializer_input import INPUT_LANDMARKS, INPUT_SIZE
from .checkpoint import Checkpoint
from .clip_problems import SyntheticClip, sample_clip
from .clip_samples import clip_sample_maker
from .config import TrainingConfig, config_json, git_commit
from .initializer_error import error_covariance, predict_clip_joints
from .initializer_network import InitializerNetwork
from .learn_initializer import InitializerTraining, finish_steps, write_initializer
from .limb_twist import plausible_poses
from .pose_prior import SOURCES
from .processes import Processes
from .retarget import Motion

_log = logging.getLogger(__name__)

CLIP_RATE = 30.0


def train_clip_initializer(
    motions: Sequence[Motion],
    vectors: np.ndarray,
    body: BodyModel,
    still: Initializer,
    config: TrainingConfig,
    processes: Processes,
    checkpoint_file: Path,
) -> InitializerTraining:
    """Train to the last step, resuming where a checkpoint of the same training is found.

    ``motions`` at their own rates; ``vectors`` [N, 24, 3] widened poses as rotation vectors; ``still`` the
    initializer whose answer the first step's network gives, whatever the neighbours show.
    """
    settings = config.clip_initializer
    maker = clip_sample_maker(motions, vectors, body, config)
    training = InitializerTraining(grown_network(still), maker, settings.network, processes)
    data = hashlib.sha256(vectors.tobytes() + body.v_template.tobytes())
    for array in (*still.weights.values(), *(motion.root for motion in motions)):
        data.update(array.tobytes())
    parts = (settings, config.views, config.corruption)
    key = {"config": [config_json(part) for part in parts], "seed": config.seed, "data": data.hexdigest()}
    finish_steps(training, Checkpoint(checkpoint_file, key, config.checkpoint_seconds), "clip initializer")
    return training


def grown_network(still: Initializer) -> InitializerNetwork:
    """The stills' network with more inputs, none of which says anything yet."""
    network = InitializerNetwork(still.weights["input.bias"].size, still.blocks, CLIP_INPUT_SIZE)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            learned = torch.from_numpy(still.weights[name.removeprefix("blocks.")])
            if name == "input.weight":
                weight.zero_()
                weight[:, :INPUT_SIZE] = learned
            else:
                weight.copy_(learned)
    return network


def finish_clip_initializer(
    weights: dict[str, np.ndarray],
    body: BodyModel,
    motions: Mapping[str, Sequence[Motion]],
    config: TrainingConfig,
    path: Path,
    seconds: float,
) -> ClipInitializer:
    """Measure the error and write the clip initializer; the covariance as in `finish_initializer`."""
    metadata = {
        "what": "clip initializer of LSR1 Body Fit: from 25 keypoints in five frames to the rotations of 24"
        " joints and the shape",
        "sources": SOURCES,
        "split": f"trained on train; covariance from {' and '.join(motions)}",
        "body": body.name,
        "config": config_json(config),
        "commit": git_commit(),
        "seconds": round(seconds, 1),
    }
    bare = ClipInitializer({name: w.astype(np.float32) for name, w in weights.items()}, np.eye(1), metadata)
    covariances = []
    for group, members in motions.items():
        measured = [
            (*predict_clip_joints(bare, clip, body), clip.joints - clip.joints[:, :1])
            for clip in _clips(members, body, config)
        ]
        joints, errors, truth = (np.concatenate(parts) for parts in zip(*measured, strict=True))
        distance = 1e3 * np.linalg.norm(joints - truth, axis=-1).mean()
        _log.info("%s: MPJPE %.1f mm in %d frames of %d clips", group, distance, len(joints), len(measured))
        covariances.append(error_covariance(errors))
    covariance = np.mean(covariances, axis=0)
    write_initializer(path, weights, covariance, metadata)
    return ClipInitializer(bare.weights, covariance, metadata)


def _clips(motions: Sequence[Motion], body: BodyModel, config: TrainingConfig) -> list[SyntheticClip]:
    """Stretches of the motions before synthetic cameras, with a detector's faults."""
    settings = config.clip_initializer
    random = np.random.default_rng([config.seed, 5])
    lengths = np.array([len(motion.root) / motion.frame_rate for motion in motions])
    clips = []
    for seed, number in enumerate(random.choice(len(motions), settings.clips, p=lengths / lengths.sum())):
        motion = motions[number]
        # Thirty frames a second, as a camera gives them.
        step = max(1, round(motion.frame_rate / CLIP_RATE))
        frames = round(settings.clip_seconds * motion.frame_rate)
        begin = int(random.integers(max(1, len(motion.root) - frames)))
        chosen = slice(begin, begin + frames, step)
        rotations = motion.rotations[chosen]
        if len(rotations) > 1 and plausible_poses(rotations).all():
            slower = replace(
                motion, rotations=rotations, root=motion.root[chosen], frame_rate=motion.frame_rate / step
            )
            clips.append(sample_clip(slower, body, INPUT_LANDMARKS, seed=seed))
    return clips
