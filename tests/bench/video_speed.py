"""How long the clip's minimizers take to the same energy, and how much memory whole fits take."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from lsr1_solver import BodyModel, load_body_model
from lsr1_solver.clip_descent import descent
from lsr1_solver.clip_minimizer import LearnedLBFGS
from lsr1_solver.clip_motion import read_clip
from lsr1_solver.clip_objective import ClipObjective
from lsr1_solver.clip_problem import clip_problem as clip_in_coordinates
from lsr1_solver.quasi_newton import SR1
from lsr1_solver.training.clip_problems import SyntheticClip
from lsr1_solver.view import person_view
from tests.bench.hmr_methods import AnyMinimizer
from tests.bench.table import Row
from tests.bench.video_methods import (
    PLAIN,
    REFERENCE,
    ClipScore,
    Method,
    clip_problem,
    further_seeds,
    minimizers,
    score_pose,
)

WITHIN = 0.01
MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class Course:
    """A clip's objective, where minimizers begin, and the energy that they are to reach."""

    objective: ClipObjective
    start: np.ndarray
    goal: float

    def run(self, minimizer: AnyMinimizer) -> tuple[float, int]:
        """Milliseconds of processor time and steps to the goal; infinite where it is not reached."""
        spent, began = 0.0, time.process_time()
        for step, way in enumerate(descent(self.objective, self.start, minimizer).steps(MOST_STEPS), start=1):
            spent += time.process_time() - began
            if float(way.state.energy[0]) <= self.goal:
                return 1e3 * spent, step
            began = time.process_time()
        return np.inf, MOST_STEPS


def course(body: BodyModel, clip: SyntheticClip) -> Course:
    """To within 1 % of what Gauss-Newton converges to."""
    problem = clip_problem(body, clip, clip.frame_rate)
    assert problem.initializer is not None
    view = person_view(problem)
    posed = clip_in_coordinates(view, read_clip(view))
    *_, last = descent(posed.objective, posed.start, minimizers()[REFERENCE]).steps(MOST_STEPS)
    energy = float(last.state.energy[0])
    return Course(posed.objective, posed.start, (1 + WITHIN) * energy)


def race_rows(body: BodyModel, clips: Sequence[SyntheticClip], rounds: int) -> list[Row]:
    """Medians over the rounds, in which the minimizers take turns, then over the clips; of the learned steps
    all seeds.
    """
    compared = {name: _endless(one) for name, one in {**minimizers(), **further_seeds()}.items()}
    times: dict[str, list[float]] = {name: [] for name in compared}
    steps: dict[str, list[int]] = {name: [] for name in compared}
    for clip in clips:
        own = course(body, clip)
        runs = [{name: own.run(one) for name, one in compared.items()} for _ in range(rounds + 1)]
        for name in compared:
            times[name].append(statistics.median(run[name][0] for run in runs[1:]))  # the first warms up
            steps[name].append(runs[0][name][1])
    frames = len(clips[0])
    return [
        {
            "frames": frames,
            "method": name,
            "ms_a_1000_frames": 1e3 * statistics.median(times[name]) / frames,
            "over_gauss_newton": statistics.median(np.divide(times[name], times[REFERENCE])),
            "over_lbfgs": statistics.median(np.divide(times[name], times[PLAIN])),
            "steps": statistics.median(steps[name]),
            "steps_over_lbfgs": statistics.median(np.divide(steps[name], steps[PLAIN])),
            "clips": len(clips),
        }
        for name in compared
    ]


def _endless(one: AnyMinimizer) -> AnyMinimizer:
    """The same without a sign of its own for having converged."""
    return replace(one, tolerance=0.0) if isinstance(one, LearnedLBFGS | SR1) else one


def run_apart(method: Method, clip: SyntheticClip) -> tuple[ClipScore, float]:
    """One method on one clip in a process of its own, and the most memory, MB, that it takes (on Linux)."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run_here, method, clip).result()


def _run_here(method: Method, clip: SyntheticClip) -> tuple[ClipScore, float]:
    body = load_body_model()
    began = time.process_time()
    pose = method.filter(body, method.fit(body, clip))
    seconds = time.process_time() - began
    peak = _peak_mb()
    return score_pose(body, clip, pose, seconds), peak


def _peak_mb() -> float:
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
