"""Learning what a step in a clip is made of, kind of unknown by kind.

A step is judged by the gradient where it ends: ``g(x + sum a_i v_i) . v_i`` is the derivative of the energy
by the share a_i, so no step needs to be differentiated through, and the objective stays numpy. Points are
detached from each other, which trials found no worse than unrolling; steps are weighed by the energy left to
gain.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..body_model import BodyModel
from ..camera import Camera
from ..clip_base import Whitened, kronecker_base
from ..clip_minimizer import (
    LARGEST_LOG_STEP,
    MOST_ADDED,
    Kinds,
    LearnedLBFGS,
    features,
    mixed_of,
    weight_shapes,
)
from ..clip_motion import read_clip
from ..clip_problem import clip_problem
from ..initializer import Initializer
from ..keypoint_formats import FORMATS
from ..keypoints import Keypoints2D
from ..problem import FitProblem
from ..view import person_view
from ..weight_files import write_arrays
from .clip_problems import sample_clip
from .config import ClipStepsConfig, TrainingConfig, config_json, git_commit
from .learn_optimizer import MOTION_CAPTURE
from .retarget import Motion

_log = logging.getLogger(__name__)

_FORMATS = ("BODY_25", "COCO_17", "HALPE_26")
# Iterations of plain L-BFGS after which a training clip's energy counts as its least.
_CONVERGED = 80


@dataclass(frozen=True, eq=False)
class TrainingClip:
    """A clip in the coordinates of its base, and its least energy."""

    whitened: Whitened
    least: float

    @property
    def kinds(self) -> Kinds:
        """How its unknowns fall into kinds."""
        return Kinds(self.whitened.base.unknowns, self.whitened.base.frames)


def training_clips(
    motions: Sequence[Motion], body: BodyModel, initializer: Initializer, config: ClipStepsConfig, seed: int
) -> list[TrainingClip]:
    """Stretches of motions before random cameras, in several keypoint formats."""
    random = np.random.default_rng(seed)
    long_enough = [motion for motion in motions if len(motion.root) >= config.frames[0]]
    clips = []
    for index in range(config.clips):
        motion = long_enough[random.integers(len(long_enough))]
        count = min(int(random.integers(*config.frames)), len(motion.root))
        first = int(random.integers(len(motion.root) - count + 1))
        part = slice(first, first + count)
        stretch = replace(motion, rotations=motion.rotations[part], root=motion.root[part])
        layout = FORMATS[_FORMATS[index % len(_FORMATS)]]
        names = [name for name in layout.joints if name is not None and name in body.landmarks]
        drawn = sample_clip(stretch, body, names, seed=int(random.integers(2**31)))
        columns = [layout.joints.index(name) for name in names]
        xy, confidence = np.zeros((count, len(layout.joints), 2)), np.zeros((count, len(layout.joints)))
        xy[:, columns], confidence[:, columns] = drawn.xy, drawn.confidence
        camera = Camera(drawn.focal_length, np.array(drawn.image_size) / 2, drawn.image_size)
        keypoints = Keypoints2D(xy, confidence, layout, drawn.image_size)
        problem = FitProblem(body, camera, keypoints, initializer=initializer, frame_rate=drawn.frame_rate)
        clips.append(_training_clip(problem, initializer, random.uniform() < config.bad_starts, random))
    return clips


def _training_clip(
    problem: FitProblem, initializer: Initializer, bad: bool, random: np.random.Generator
) -> TrainingClip:
    view = person_view(problem)
    made = clip_problem(view, read_clip(view))
    start = made.start
    if bad:  # a slow drift off the reading
        y, b = made.objective.split(start)
        drift = random.standard_normal((len(y), 1)) * np.cos(np.linspace(0, np.pi, y.shape[1]))
        start = made.objective.join(y + 0.5 * drift, b).astype(np.float32)
    whitened = Whitened(made.objective, kronecker_base(made.objective, start), start)
    plain = LearnedLBFGS(tolerance=0)
    state = plain.init(whitened, np.zeros_like(start))
    for _ in range(_CONVERGED):
        state = plain.step(whitened, state)
    return TrainingClip(whitened, float(state.energy[0]))


class ClipStepNetwork(torch.nn.Module):
    """`clip_minimizer.shares`, to be trained; it begins at L-BFGS's own steps."""

    def __init__(self, hidden: int, seed: int) -> None:
        """With random encoders and a zero head."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in weight_shapes(hidden).items():
            drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * (2 / shape[0]) ** 0.5
            zero = name == "shares" or name.endswith("bias")
            setattr(self, name, torch.nn.Parameter(torch.zeros_like(drawn) if zero else drawn))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """[n, 3, FEATURES] -> [n, 3, V]."""
        w = dict(self.named_parameters())
        h = torch.relu(seen @ w["encoder1"] + w["encoder1_bias"])
        h = torch.relu(h @ w["encoder2"] + w["encoder2_bias"])
        out = torch.tanh(h @ w["shares"])
        return torch.cat([torch.exp(LARGEST_LOG_STEP * out[..., :1]), MOST_ADDED * out[..., 1:]], dim=-1)

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights for numpy."""
        return {name: w.detach().numpy().copy() for name, w in self.named_parameters()}


def clip_loss(
    network: ClipStepNetwork, clip: TrainingClip, config: ClipStepsConfig
) -> tuple[torch.Tensor, float]:
    """The surrogate loss of one run over a clip, and how far above the least energy it ended, relative."""
    minimizer = LearnedLBFGS(network.arrays(), tolerance=0)
    state = minimizer.init(clip.whitened, np.zeros_like(clip.whitened.start))
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(config.unroll):
        g = state.gradient[0]
        vectors = [v.copy() for v in mixed_of(state, LearnedLBFGS.direction(state, g))]
        seen = features(clip.kinds, state, vectors)
        shrink = state.shrink
        state = minimizer.step(clip.whitened, state)
        ends_at = state.pairs.vectors[-1] + g
        pairs = tuple((0, 1 + i) for i in range(len(vectors)))
        slope = shrink * np.moveaxis(clip.kinds.products((ends_at, *vectors), pairs), 0, -1)
        slope[:, -1] /= len(slope)  # the shape's share is the mean over the rows
        gap = max(float(state.energy[0]) / clip.least - 1, 0.0)
        weight = torch.as_tensor(slope) / (clip.least * (gap + config.floor))
        weight = weight / max(1.0, float(weight.norm()))
        total = total + (weight * network(torch.as_tensor(seen, dtype=torch.float64))).sum()
    return total, float(state.energy[0]) / clip.least - 1


def learn_clip_steps(clips: Sequence[TrainingClip], config: ClipStepsConfig, *, seed: int) -> ClipStepNetwork:
    """Train the network on some clips; a minute or two, so there is no checkpoint."""
    network = ClipStepNetwork(config.hidden, seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    random = np.random.default_rng([seed, 1])
    ends: list[float] = []
    for step in range(config.steps):
        optimizer.zero_grad()
        for index in random.choice(len(clips), config.batch, replace=False):
            loss, end = clip_loss(network, clips[index], config)
            (loss / config.batch).backward()
            ends.append(end)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0 or step == config.steps - 1:
            recent = np.median(ends[-20 * config.batch :])
            _log.info("clip steps %d/%d: %.2f %% above the least", step + 1, config.steps, 100 * recent)
    return network


def save_clip_steps(path: Path, network: ClipStepNetwork, config: TrainingConfig, began: float) -> None:
    """Write the weights with what they are and where they come from; ``began`` in monotonic seconds."""
    metadata = {
        "what": "steps of LSR1 Body Fit for clips",
        "hidden": config.clip_steps.hidden,
        **MOTION_CAPTURE,
        "config": config_json(config),
        "commit": git_commit(),
        "seconds": round(time.monotonic() - began, 1),
    }
    weights = {name: w.astype(np.float32) for name, w in network.arrays().items()}
    write_arrays(path, metadata, weights)
