"""How long the clip's minimizers take to the same energy, and how much memory whole fits take."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from lsr1_solver import MINIMIZERS, BodyModel, load_body_model
from lsr1_solver.clip_base import minimise_clip
from lsr1_solver.clip_motion import read_clip
from lsr1_solver.clip_objective import ClipObjective
from lsr1_solver.clip_problem import clip_problem as clip_in_coordinates
from lsr1_solver.training.clip_problems import SyntheticClip
from lsr1_solver.view import person_view
from tests.bench.hmr_methods import AnyMinimizer
from tests.bench.table import Row
from tests.bench.video_methods import NAMED, Method, clip_problem

REFERENCE = "Gauss-Newton"
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
        steps = minimise_clip(self.objective, self.start, minimizer, MOST_STEPS)
        for step, z in enumerate(steps, start=1):
            spent += time.process_time() - began
            if float(self.objective.energy_and_gradient(z)[0][0]) <= self.goal:
                return 1e3 * spent, step
            began = time.process_time()
        return np.inf, MOST_STEPS


def course(body: BodyModel, clip: SyntheticClip) -> Course:
    """To within 1 % of what Gauss-Newton converges to."""
    problem = clip_problem(body, clip, clip.frame_rate)
    assert problem.initializer is not None
    view = person_view(problem)
    posed = clip_in_coordinates(view, read_clip(view, problem.initializer))
    *_, last = minimise_clip(posed.objective, posed.start, MINIMIZERS[NAMED[REFERENCE]], MOST_STEPS)
    energy = float(posed.objective.energy_and_gradient(last)[0][0])
    return Course(posed.objective, posed.start, (1 + WITHIN) * energy)


def race_rows(body: BodyModel, clips: Sequence[SyntheticClip], rounds: int) -> list[Row]:
    """Medians over the rounds, in which the minimizers take turns, then over the clips."""
    minimizers = {name: MINIMIZERS[key] for name, key in NAMED.items()}
    times: dict[str, list[float]] = {name: [] for name in minimizers}
    steps: dict[str, list[int]] = {name: [] for name in minimizers}
    for clip in clips:
        own = course(body, clip)
        runs = [{name: own.run(one) for name, one in minimizers.items()} for _ in range(rounds + 1)]
        for name in minimizers:
            times[name].append(statistics.median(run[name][0] for run in runs[1:]))  # the first warms up
            steps[name].append(runs[0][name][1])
    frames = len(clips[0])
    return [
        {
            "frames": frames,
            "method": name,
            "ms_a_1000_frames": 1e3 * statistics.median(times[name]) / frames,
            "over_gauss_newton": statistics.median(np.divide(times[name], times[REFERENCE])),
            "steps": statistics.median(steps[name]),
            "clips": len(clips),
        }
        for name in minimizers
    ]


def peak_memory_mb(clip: SyntheticClip, methods: Sequence[Method]) -> Mapping[str, float]:
    """The most that a process of its own takes to read the body and fit the clip, for each method."""
    found = {}
    for method in methods:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[method.name] = pool.submit(_peak_mb, method, clip).result()
    return found


def _peak_mb(method: Method, clip: SyntheticClip) -> float:
    body = load_body_model()
    method.filter(body, method.fit(body, clip))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
