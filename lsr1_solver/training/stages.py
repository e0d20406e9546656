"""The stages from motion capture to weights, each a function in a table."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import FitError
from ..initializer import load_initializer
from ..model_file import load_body_model
from ..pose_prior import load_pose_prior
from .config import TrainingConfig
from .learn_clip_initializer import finish_clip_initializer, train_clip_initializer
from .learn_clip_steps import learn_clip_steps, save_clip_steps, training_clips
from .learn_initializer import finish_initializer, train_initializer
from .learn_optimizer import problem_pool, save_optimizer, train_optimizer
from .learn_quadratics import learn_quadratics
from .motion_prior import RATE as MOTION_RATE
from .motion_prior import derivatives, learn_motion, rate_rows, save_motion_prior
from .pose_prior import RATE, distinct_poses, learn, plausible, save
from .poses import widen_poses
from .processes import Processes
from .retarget import load_motions, open_body_joints

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workshop:
    """Where a training works: ``mocap`` the folder of the motion capture, ``out`` that of its results."""

    config: TrainingConfig
    mocap: Path
    out: Path
    processes: Processes

    @property
    def prior_file(self) -> Path:
        """What the stage `prior` writes."""
        return self.out / "pose_prior.npz"

    @property
    def motion_file(self) -> Path:
        """What the stage `motion` writes."""
        return self.out / "motion_prior.npz"

    @property
    def poses_file(self) -> Path:
        """What the stage `poses` writes: captured and widened poses."""
        return self.out / "poses.npz"

    @property
    def initializer_file(self) -> Path:
        """What the stage `initializer` writes."""
        return self.out / "initializer.npz"

    @property
    def clip_initializer_file(self) -> Path:
        """What the stage `clip_initializer` writes."""
        return self.out / "clip_initializer.npz"

    @property
    def optimizer_file(self) -> Path:
        """What the stage `optimizer` writes."""
        return self.out / "lsr1.npz"

    @property
    def clip_steps_file(self) -> Path:
        """What the stage `clip_steps` writes."""
        return self.out / "clip_steps.npz"

    @property
    def quadratics_file(self) -> Path:
        """What the stage `quadratics` writes."""
        return self.out / "lsr1_quadratics.npz"


Stage = Callable[[Workshop], None]


def captured_poses(shop: Workshop) -> np.ndarray:
    """The distinct poses of the training split. -> [N, 24, 3, 3]."""
    rest_joints = open_body_joints()
    motions = load_motions(shop.mocap, rate=RATE, splits=("train",), rest_joints=rest_joints)
    poses = plausible(motions)
    chosen = poses[distinct_poses(poses, rest_joints)]
    _log.info("%d clips, %d poses, %d of them distinct", len(motions), len(poses), len(chosen))
    return chosen


def prior_stage(shop: Workshop) -> None:
    """Learn the pose prior."""
    if shop.processes.is_first:
        poses = captured_poses(shop)
        save(shop.prior_file, learn(poses), len(poses))


def motion_stage(shop: Workshop) -> None:
    """Learn the motion prior."""
    if not shop.processes.is_first:
        return
    prior = load_pose_prior(_made_by("prior", shop.prior_file))
    motions = load_motions(shop.mocap, rate=None, splits=("train",))
    samples = derivatives(motions, prior, MOTION_RATE)
    motion = learn_motion(samples, prior)
    save_motion_prior(shop.motion_file, motion, len(samples.velocity), rate_rows(motions, prior))


def poses_stage(shop: Workshop) -> None:
    """Widen the captured poses."""
    if not shop.processes.is_first:
        return
    prior = load_pose_prior(_made_by("prior", shop.prior_file))
    vectors = widen_poses(captured_poses(shop), prior, shop.config.poses, seed=shop.config.seed)
    part = shop.poses_file.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, vectors=vectors)
    part.replace(shop.poses_file)


def initializer_stage(shop: Workshop) -> None:
    """Train the initializer and measure its error on the validation split."""
    began = time.monotonic()
    vectors = _widened_poses(shop)
    body = load_body_model()
    training = train_initializer(
        vectors, body, shop.config, shop.processes, shop.out / "initializer.checkpoint"
    )
    if shop.processes.is_first:
        motions = {
            split: load_motions(shop.mocap, rate=RATE, splits=(split,)) for split in ("validation", "train")
        }
        seconds = time.monotonic() - began
        finish_initializer(training.weights(), body, motions, shop.config, shop.initializer_file, seconds)


def clip_initializer_stage(shop: Workshop) -> None:
    """Train the clip initializer, beginning as the stills', and measure its error on the validation split."""
    began = time.monotonic()
    vectors = _widened_poses(shop)
    still = load_initializer(_made_by("initializer", shop.initializer_file))
    body = load_body_model()
    motions = {
        split: load_motions(shop.mocap, rate=None, splits=(split,)) for split in ("validation", "train")
    }
    training = train_clip_initializer(
        motions["train"], vectors, body, still, shop.config, shop.processes,
        shop.out / "clip_initializer.checkpoint",
    )  # fmt: skip
    if shop.processes.is_first:
        seconds = time.monotonic() - began
        finish_clip_initializer(
            training.weights(), body, motions, shop.config, shop.clip_initializer_file, seconds
        )


def optimizer_stage(shop: Workshop) -> None:
    """Meta-train L-SR1 on fits that begin where the initializer says."""
    began = time.monotonic()
    config = shop.config.optimizer
    initializer = load_initializer(_made_by("initializer", shop.initializer_file))
    motions = load_motions(shop.mocap, rate=config.rate, splits=("train",))
    pool = problem_pool(motions, load_body_model(), initializer, seed=shop.config.seed, count=config.problems)
    training = train_optimizer(pool, shop.config, shop.processes, shop.out / "optimizer.checkpoint")
    if shop.processes.is_first:
        save_optimizer(shop.optimizer_file, training, shop.config, began)


def quadratics_stage(shop: Workshop) -> None:
    """Meta-train an L-SR1 of its own on random quadratics; needs no motion capture."""
    learn_quadratics(shop.config, shop.processes, shop.quadratics_file, shop.out / "quadratics.checkpoint")


def _widened_poses(shop: Workshop) -> np.ndarray:
    """What the stage `poses` wrote. -> [N, 24, 3] rotation vectors in half precision."""
    with np.load(_made_by("poses", shop.poses_file), allow_pickle=False) as file:
        return file["vectors"]


def clip_steps_stage(shop: Workshop) -> None:
    """Learn the steps of clips, on motions read by the initializers in use."""
    if not shop.processes.is_first:
        return
    began, config = time.monotonic(), shop.config.clip_steps
    motions = load_motions(shop.mocap, rate=config.rate, splits=("train",))
    clips = training_clips(motions, load_body_model(), load_initializer(), config, shop.config.seed)
    save_clip_steps(
        shop.clip_steps_file, learn_clip_steps(clips, config, seed=shop.config.seed), shop.config, began
    )


def _made_by(stage: str, path: Path) -> Path:
    """The path of what an earlier stage wrote."""
    if not path.exists():
        raise FitError(f"{path} is missing: run the stage {stage} first")
    return path


# In the order in which they build on each other.
STAGES: Mapping[str, Stage] = {
    "prior": prior_stage,
    "motion": motion_stage,
    "poses": poses_stage,
    "initializer": initializer_stage,
    "clip_initializer": clip_initializer_stage,
    "optimizer": optimizer_stage,
    "quadratics": quadratics_stage,
    "clip_steps": clip_steps_stage,
}
ALL = "all"


def run_stages(names: list[str], shop: Workshop) -> None:
    """Run some stages one after another, and say how long each took."""
    torch.set_num_threads(shop.config.threads)
    shop.out.mkdir(parents=True, exist_ok=True)
    for name in STAGES if ALL in names else names:
        began = time.monotonic()
        STAGES[name](shop)
        shop.processes.wait()
        if shop.processes.is_first:
            _log.info("stage %s took %.1f s", name, time.monotonic() - began)
