"""The rows of `video.py`: ways from a clip's keypoints to its motion."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsr1_solver import (
    BodyModel,
    BodyPose,
    Camera,
    FitProblem,
    bridge_gaps,
    fit_pose,
    keypoints_2d,
    posed_joints,
)
from lsr1_solver.clip_minimizer import CLIP_STEPS, LearnedLBFGS, load_clip_minimizer
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.minimizer import Adam, LevenbergMarquardt
from lsr1_solver.quasi_newton import SR1
from lsr1_solver.training.clip_problems import SyntheticClip
from tests.bench.hmr_methods import AnyMinimizer, minimizer
from tests.bench.metrics import acceleration_error_mm, mpjpe_mm, pa_mpjpe_mm, slide_mm
from tests.bench.published import SEEDS, WEIGHTS
from tests.bench.smoothing import Filter, SavitzkyGolay, candidates, smoothed
from tests.bench.table import Row
from tests.bench.video_clips import FEET, standing_feet

PER_FRAME = "per-frame fit"
PARABOLA = SavitzkyGolay(5, 2)
REFERENCE, PLAIN, LEARNED = "Gauss-Newton", "L-BFGS", "L-BFGS, learned steps"
ITERATIONS = 60
ADAM_ITERATIONS = 100
ADAM_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
# A tuning takes the calmest of those whose PA-MPJPE is within this share of the best.
AS_ACCURATE = 0.01


def minimizers() -> dict[str, AnyMinimizer]:
    """A clip's minimizers by what the tables call them; learned ones where their weights are there."""
    named: dict[str, object] = {
        REFERENCE: LevenbergMarquardt(),
        PLAIN: LearnedLBFGS(),
        "SR1": SR1(),
    }
    if CLIP_STEPS.exists():
        named[LEARNED] = load_clip_minimizer()
    return {name: minimizer(one) for name, one in named.items()}


def further_seeds() -> dict[str, AnyMinimizer]:
    """The learned steps of other trainings than the one that ships."""
    return {
        f"{LEARNED}, seed {seed}": minimizer(load_clip_minimizer(WEIGHTS / f"clip_steps-{seed}.npz"))
        for seed in SEEDS[1:]
    }


def clip_problem(body: BodyModel, clip: SyntheticClip, frame_rate: float | None) -> FitProblem:
    """The clip's keypoints as one problem; without a ``frame_rate`` as that many stills."""
    keypoints = keypoints_2d(clip.xy, clip.confidence, BODY_25, image_size=clip.image_size)
    camera = Camera(clip.focal_length, np.array(clip.image_size) / 2, clip.image_size)
    return FitProblem(body, camera, keypoints, frame_rate=frame_rate)


@dataclass(frozen=True, eq=False)
class Method:
    """A row: ``tied`` in time, or frame by frame, and then perhaps ``smooth``.

    ``minimizer`` None is the product's default.
    """

    name: str
    tied: bool
    minimizer: AnyMinimizer | None = None
    smooth: Filter | None = None
    iterations: int = ITERATIONS

    def fit(self, body: BodyModel, clip: SyntheticClip) -> BodyPose:
        """The motion as the fit leaves it."""
        problem = clip_problem(body, clip, clip.frame_rate if self.tied else None)
        state = fit_pose(problem, self.minimizer, max_iterations=self.iterations)
        return state.pose if self.tied else bridge_gaps(state.pose, state.fitted)

    def filter(self, body: BodyModel, pose: BodyPose) -> BodyPose:
        """What the row's filter makes of it."""
        return pose if self.smooth is None else smoothed(pose, body, self.smooth)


@dataclass(frozen=True)
class ClipScore:
    """Millimetres, a frame or a frame squared; ``seconds`` from keypoints to poses."""

    group: str
    pa: float
    plain: float
    acceleration: float
    slide: float
    seconds: float


def score_pose(body: BodyModel, clip: SyntheticClip, pose: BodyPose, seconds: float) -> ClipScore:
    """How far a motion is from the truth."""
    joints = posed_joints(body, pose)
    return ClipScore(
        clip.group,
        float(pa_mpjpe_mm(joints, clip.joints).mean()),
        float(mpjpe_mm(joints, clip.joints).mean()),
        acceleration_error_mm(joints, clip.joints),
        slide_mm(joints[:, FEET], standing_feet(clip)),
        seconds,
    )


def run_methods(
    body: BodyModel, clips: Iterable[SyntheticClip], methods: Sequence[Method]
) -> dict[str, list[ClipScore]]:
    """Every method on every clip, by turns; filters act on the first method's motion, the per-frame fit's.

    Seconds are processor time.
    """
    found: dict[str, list[ClipScore]] = {method.name: [] for method in methods}
    for clip in clips:
        base, base_seconds = None, 0.0
        for method in methods:
            began = time.process_time()
            if method.smooth is None:
                pose = method.fit(body, clip)
                seconds = time.process_time() - began
            else:
                assert base is not None, "the per-frame fit comes first"
                pose = method.filter(body, base)
                seconds = base_seconds + time.process_time() - began
            if base is None:
                base, base_seconds = pose, seconds
            found[method.name].append(score_pose(body, clip, pose, seconds))
    return found


def truth_row(clips: Sequence[SyntheticClip]) -> Row:
    """What errors in time compare with: the true accelerations, what a parabola through five frames of the
    true motion leaves of them, and how far the truth slides where it stands. Means over the groups.
    """
    found = [
        {
            "true_acceleration_mm": acceleration_error_mm(np.zeros_like(clip.joints), clip.joints),
            "five_frame_parabola_mm": acceleration_error_mm(PARABOLA(clip.joints), clip.joints),
            "slide_mm": slide_mm(clip.joints[:, FEET], standing_feet(clip)),
            "standing_percent": 100 * float(standing_feet(clip).mean()),
        }
        for clip in clips
    ]
    groups = [clip.group for clip in clips]
    means = {name: mean_of_groups(groups, [one[name] for one in found]) for name in found[0]}
    return {"frames": len(clips[0]), **means, "clips": len(clips)}


def mean_of(scores: Sequence[ClipScore], column: str) -> float:
    """A column's mean over the groups."""
    return mean_of_groups([score.group for score in scores], [getattr(score, column) for score in scores])


def mean_of_groups(groups: Sequence[str], values: Sequence[float]) -> float:
    """The mean over the groups of each group's mean; a clip in which no foot stands has no slide: NaN."""
    by_group: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        if not np.isnan(value):
            by_group.setdefault(group, []).append(value)
    return float(np.mean([np.mean(own) for own in by_group.values()])) if by_group else float("nan")


def methods(body: BodyModel, validation: Sequence[SyntheticClip]) -> list[Method]:
    """All rows; what has settings is tuned on the ``validation`` clips."""
    per_frame = Method(PER_FRAME, tied=False)
    tied = [Method(name, True, one) for name, one in minimizers().items()]
    poses = [per_frame.fit(body, clip) for clip in validation]
    filters = [
        _calmest(
            [Method(f"{PER_FRAME} + {name}", False, smooth=one) for one in settings], body, validation, poses
        )
        for name, settings in candidates(validation[0].frame_rate).items()
    ]
    return [per_frame, *filters, *tied, _tuned_adam(body, validation)]


def _calmest(
    settings: Sequence[Method], body: BodyModel, clips: Sequence[SyntheticClip], poses: Sequence[BodyPose]
) -> Method:
    """The setting with the least acceleration error among those about as accurate as the best."""
    tried = [
        [score_pose(body, clip, one.filter(body, pose), 0.0) for clip, pose in zip(clips, poses, strict=True)]
        for one in settings
    ]
    accuracy = np.array([mean_of(scores, "pa") for scores in tried])
    calm = np.array([mean_of(scores, "acceleration") for scores in tried])
    calm[accuracy > (1 + AS_ACCURATE) * accuracy.min()] = np.inf
    best = settings[int(np.argmin(calm))]
    print(f"{best.name}: {best.smooth}, of {len(settings)} settings")
    return best


def _tuned_adam(body: BodyModel, clips: Sequence[SyntheticClip]) -> Method:
    """The rate with the best PA-MPJPE."""
    tried = [
        Method(f"Adam, {ADAM_ITERATIONS} steps", True, minimizer(Adam(rate)), iterations=ADAM_ITERATIONS)
        for rate in ADAM_RATES
    ]
    accuracy = [
        np.mean([score_pose(body, clip, one.fit(body, clip), 0.0).pa for clip in clips]) for one in tried
    ]
    best = int(np.argmin(accuracy))
    print(f"Adam: rate {ADAM_RATES[best]:g}, of {', '.join(f'{rate:g}' for rate in ADAM_RATES)}")
    return tried[best]


def quality_rows(found: Mapping[str, Sequence[ClipScore]], frames: int) -> list[Row]:
    """One row a method."""
    rows: list[Row] = []
    for name, scores in found.items():
        groups = {score.group: [s.pa for s in scores if s.group == score.group] for score in scores}
        rows.append({
            "frames": frames,
            "method": name,
            "pa_mpjpe_mm": mean_of(scores, "pa"),
            "mpjpe_mm": mean_of(scores, "plain"),
            "acceleration_mm": mean_of(scores, "acceleration"),
            "slide_mm": mean_of(scores, "slide"),
            **{group.lower().replace(" ", "_"): float(np.mean(values)) for group, values in groups.items()},
            "frames_a_second": frames / float(np.median([score.seconds for score in scores])),
            "clips": len(scores),
        })  # fmt: skip
    return rows
