"""The third table of `hmr.py`: L-SR1 against the others, paired over the same poses, at equal accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsr1_solver import MINIMIZERS, fit_pose
from lsr1_solver.minimizer import Minimizer, MinimizerState
from tests.bench.hmr_bench import GROUPS, Bench, Jobs, Score, Timed, Trace, chosen, fit_problem, medians_ms
from tests.bench.table import Row

Minimizers = Mapping[str, Minimizer[MinimizerState]]

WITHIN_MM, WITHIN_ENERGY = 0.1, 0.01
# Where the accuracy of slow minimizers is looked at.
LOOKS = {
    "L-SR1": (1, 2, 3, 4),
    "Adam": (*range(2, 20, 2), *range(20, 60, 5), *range(60, 200, 10), 200, 250, 300),
    "L-BFGS": (*range(1, 20), *range(20, 60, 4), 80, 100),
}
NEVER = 999
PAIRS = (
    ("L-SR1, 4 steps", "LGD, 4 steps"),
    ("L-SR1, 4 steps", "LGD trained on the energy, 4 steps"),
    ("L-SR1, 4 steps", "L-SR1 as published, 4 steps"),
    ("L-SR1 as published, 4 steps", "LGD, 4 steps"),
)


@dataclass(frozen=True, eq=False)
class Scored:
    """A row of the first table as the third needs it: every seed's errors on the same problems."""

    scores: Sequence[Score]
    times: tuple[float, float]
    size: int


def figure(name: str, value: float, error: float = 0.0, remark: str = "") -> Row:
    """One row."""
    return {"figure": name, "value": value, "standard_error": error, "remark": remark}


def paired(name: str, ours: Sequence[Score], theirs: Sequence[Score], remark: str = "") -> Row:
    """Mean over the groups of the difference in PA-MPJPE, errors averaged over the seeds first."""
    a, b = (np.mean([one.pa for one in side], axis=0) for side in (ours, theirs))
    parts = [(a - b)[ours[0].group == name] for name in GROUPS]
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / len(parts)
    return figure(name, float(np.mean([part.mean() for part in parts])), float(error), remark)


def steps_to(trace: Trace, target: np.ndarray) -> int:
    """The steps after which half of the problems are within 1 % of an energy [B]."""
    gap = np.median(trace.energies / target - 1, axis=1)
    reached = np.flatnonzero(gap <= WITHIN_ENERGY)
    return int(reached[0]) if len(reached) else NEVER


def steps_to_accuracy(
    bench: Bench, minimizer: Minimizer[MinimizerState], looks: Sequence[int], pa: float
) -> int:
    """The first of the looks at which the mean PA-MPJPE is at most 0.1 mm above ``pa``."""
    for step, z in zip(range(1, looks[-1] + 1), bench.walk(minimizer), strict=False):
        if step in looks:
            found = bench.score(z)
            if found.mean(found.pa) <= pa + WITHIN_MM:
                return step
    return NEVER


def equal_accuracy_steps(sample: Bench, seeds: Minimizers, pa: float) -> dict[str, int]:
    """Steps of Adam, of L-BFGS and of L-SR1 itself to the accuracy of L-SR1 at four steps."""
    return {name: steps_to_accuracy(sample, seeds[name], looks, pa) for name, looks in LOOKS.items()}


def equal_rows(
    steps: Mapping[str, int], times: Mapping[str, tuple[float, float]], four: tuple[float, float]
) -> list[Row]:
    """Others' times to L-SR1's accuracy, over its time for four steps and for coming as close itself."""
    rows = []
    for name in ("Adam", "L-BFGS"):
        own, first = times[f"equal: {name}"], times["equal: L-SR1"]
        remark = f"{name} takes {steps[name]} steps" if steps[name] != NEVER else f"{name} never gets there"
        for i, kind in enumerate(("B = 1", "tiles of 64")):
            title = f"{name}'s time / L-SR1's at equal PA-MPJPE, {kind}"
            rows.append(figure(f"{title}: 4 steps", own[i] / four[i], 0.0, remark))
            too = f"{remark}, L-SR1 {steps['L-SR1']}"
            rows.append(figure(f"{title}: both stopped", own[i] / first[i], 0.0, too))
    return rows


def within_rows(steps: Mapping[str, int], times: Mapping[str, tuple[float, float]]) -> list[Row]:
    """L-SR1's time over Levenberg-Marquardt's to within 1 % of the latter's final energy."""
    remark = ", ".join(f"{name} {count} steps" for name, count in steps.items())
    ours, lm = times["to 1 %: L-SR1"], times["to 1 %: LM"]
    return [
        figure(f"L-SR1's time / LM's to within 1 % of LM's energy, {kind}", ours[i] / lm[i], 0.0, remark)
        for i, kind in enumerate(("B = 1", "tiles of 64"))
    ]


def within_runs(minimizers: Minimizers, steps: Mapping[str, int]) -> dict[str, Timed]:
    """What `within_rows` wants timed."""
    return {f"to 1 %: {name}": Timed(minimizers[name], steps[name]) for name in steps}


def against_rows(found: Mapping[str, Scored], wide: Mapping[str, tuple[float, float]]) -> list[Row]:
    """L-SR1 at four steps against the published methods; ``wide`` the times at their published widths."""
    rows = []
    for a, b in PAIRS:
        first, second = found[a], found[b]
        rows.append(paired(f"{a} minus {b}: PA-MPJPE, mm", first.scores, second.scores))
        ratios = [first.times[i] / second.times[i] for i in range(2)]
        remark = f"B = 1: {ratios[0]:.2f}; parameters {first.size} against {second.size}"
        rows.append(figure(f"{a} over {b}: time in tiles", ratios[1], 0.0, remark))
    ours = found["L-SR1, 4 steps"].times
    for name, times in wide.items():
        remark = f"B = 1: {ours[0] / times[0]:.2f}"
        rows.append(figure(f"L-SR1 over {name}, 4 steps: time in tiles", ours[1] / times[1], 0.0, remark))
    return rows


def whole_fit_rows(bench: Bench, count: int, rounds: int) -> list[Row]:
    """``fit_pose`` of one picture after another, from its FitProblem: milliseconds."""
    body = bench.view.problem.body
    asked = [fit_problem(body, chosen(bench.problems, np.array([i]))) for i in range(count)]
    jobs: Jobs = {}
    for name in ("lsr1", "lm"):
        for i, problem in enumerate(asked):
            jobs[name, i] = lambda name=name, problem=problem: (fit_pose(problem, MINIMIZERS[name]), None)[1]
    times = medians_ms(jobs, rounds)
    rows = []
    for name in ("lsr1", "lm"):
        own = [times[name, i] for i in range(count)]
        remark = f"mean {np.mean(own):.2f}, of {count} pictures"
        rows.append(figure(f"one whole fit at B = 1, {name}: median ms", float(np.median(own)), 0.0, remark))
    return rows
