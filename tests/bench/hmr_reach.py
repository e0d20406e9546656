"""The third table of `hmr.py`: L-SR1 against the others, paired over the same poses, at equal accuracy.

Times at equal accuracy are of the first step that comes near enough, which no method knows while it runs.
The error passes a least on its way to the minimum of the energy and rises again: whether Adam gets there with
one rate hangs on hundredths of a millimetre. So Adam takes the rate, of those tried, that arrives first on
these very poses; and where it is stopped at its own least error, the rate of which that is the least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsr1_solver import MINIMIZERS, fit_pose
from lsr1_solver.minimizer import Adam, Minimizer, MinimizerState
from tests.bench.hmr_bench import GROUPS, Bench, Jobs, Score, Timed, Trace, chosen, fit_problem, medians_ms
from tests.bench.table import Row

Minimizers = Mapping[str, Minimizer[MinimizerState]]
Times = Mapping[str, tuple[float, float]]

WITHIN_MM, WITHIN_ENERGY = 0.1, 0.01
# L-SR1 is as good as Adam at its best when this near.
AS_GOOD_MM = 0.02
# After which steps accuracy is looked at.
LOOKS = (*range(1, 20), *range(20, 101, 2))
NEVER = 999
KINDS = ("B = 1", "tiles of 64")
PAIRS = (
    ("L-SR1, 4 steps", "LGD, 4 steps"),
    ("L-SR1, 4 steps", "LGD trained on the energy, 4 steps"),
    ("L-SR1, 4 steps", "L-SR1 as published, 4 steps"),
    ("L-SR1 as published, 4 steps", "LGD, 4 steps"),
    ("L-SR1, 4 steps", "LGD, width 1024, 4 steps"),
    ("L-SR1, 4 steps", "LGD trained on the energy, width 1024, 4 steps"),
    ("L-SR1, 4 steps", "L-SR1 as published, width 256, 4 steps"),
    ("L-SR1 as published, width 256, 4 steps", "LGD, width 1024, 4 steps"),
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


def gain_rows(found: Mapping[str, Scored], initial: Score) -> list[Row]:
    """L-SR1 at four steps against its start and against what Levenberg-Marquardt converges to."""
    four, lm = found["L-SR1, 4 steps"].scores, found["LM, converged"].scores
    against_lm = "L-SR1 at 4 steps minus LM converged, PA-MPJPE, mm"
    return [
        paired("L-SR1 at 4 steps minus initializer: PA-MPJPE, mm", four[:1], [initial]),
        paired(against_lm, four[:1], lm, "shipped seed"),
        paired("the same, mean of the seeds", four, lm),
    ]


def steps_to(trace: Trace, target: np.ndarray) -> int:
    """The steps after which half of the problems are within 1 % of an energy [B]."""
    gap = np.median(trace.energies / target - 1, axis=1)
    reached = np.flatnonzero(gap <= WITHIN_ENERGY)
    return int(reached[0]) if len(reached) else NEVER


def steps_to_accuracy(
    bench: Bench, minimizer: Minimizer[MinimizerState], looks: Sequence[int], most: float
) -> int:
    """The first of the looks at which the mean PA-MPJPE is at most ``most``."""
    found = (step for step, pa in accuracies(bench, minimizer, looks) if pa <= most)
    return next(found, NEVER)


def accuracies(
    bench: Bench, minimizer: Minimizer[MinimizerState], looks: Sequence[int]
) -> Iterator[tuple[int, float]]:
    """The looks, each with the mean PA-MPJPE there."""
    for step, z in zip(range(1, max(looks, default=0) + 1), bench.walk(minimizer), strict=False):
        if step in looks:
            found = bench.score(z)
            yield step, found.mean(found.pa)


@dataclass(frozen=True, eq=False)
class Arrival:
    """The first of a minimizer's variants to come near enough, and after how many steps."""

    minimizer: Minimizer[MinimizerState]
    steps: int

    def __str__(self) -> str:
        rate = f" at rate {self.minimizer.learning_rate}" if isinstance(self.minimizer, Adam) else ""
        return f"{self.steps} steps{rate}" if self.steps != NEVER else "never gets there"


def first_arrival(
    variants: Sequence[Minimizer[MinimizerState]],
    steps_of: Callable[[Minimizer[MinimizerState], Sequence[int]], int],
) -> Arrival:
    """``steps_of`` a variant says after which of the looks it is there."""
    first = Arrival(variants[0], NEVER)
    for one in variants:
        steps = steps_of(one, [look for look in LOOKS if look < first.steps])
        if steps < first.steps:
            first = Arrival(one, steps)
    return first


def arrivals(
    sample: Bench, variants: Mapping[str, Sequence[Minimizer[MinimizerState]]], pa: float, least: np.ndarray
) -> dict[str, dict[str, Arrival]]:
    """By goal and name: within 0.1 mm of a PA-MPJPE, and within 1 % of the energies ``least`` [B]."""

    def to_accuracy(one: Minimizer[MinimizerState], looks: Sequence[int]) -> int:
        return steps_to_accuracy(sample, one, looks, pa + WITHIN_MM)

    def to_energy(one: Minimizer[MinimizerState], looks: Sequence[int]) -> int:
        return steps_to(sample.trace(one, max(looks, default=0), ()), least)

    goals = {"PA-MPJPE": to_accuracy, "energy": to_energy}
    return {
        goal: {name: first_arrival(some, steps_of) for name, some in variants.items()}
        for goal, steps_of in goals.items()
    }


def at_best(
    sample: Bench, ours: Minimizer[MinimizerState], theirs: Sequence[Minimizer[MinimizerState]]
) -> dict[str, Arrival]:
    """Adam stopped at the least mean PA-MPJPE of all its variants, and L-SR1 when it is as good."""
    found = [(pa, i, step) for i, one in enumerate(theirs) for step, pa in accuracies(sample, one, LOOKS)]
    least, i, step = min(found)
    steps = steps_to_accuracy(sample, ours, LOOKS, least + AS_GOOD_MM)
    return {"L-SR1": Arrival(ours, steps), "Adam": Arrival(theirs[i], step)}


def best_rows(found: Mapping[str, Arrival], times: Times) -> list[Row]:
    """Adam's time to its least PA-MPJPE over L-SR1's to be as good."""
    ours = times.get("equal best: L-SR1", (math.inf, math.inf))
    title = f"Adam's time to its least PA-MPJPE / L-SR1's to within {AS_GOOD_MM} mm of it"
    remark = ", ".join(f"{name} {arrival}" for name, arrival in found.items())
    return [
        figure(f"{title}, {kind}", times["equal best: Adam"][i] / ours[i], 0.0, remark)
        for i, kind in enumerate(KINDS)
    ]


def arrival_runs(found: Mapping[str, Mapping[str, Arrival]]) -> dict[str, Timed]:
    """What `equal_rows` wants timed."""
    return {
        f"equal {goal}: {name}": Timed(one.minimizer, one.steps)
        for goal, own in found.items()
        for name, one in own.items()
        if one.steps != NEVER
    }


def equal_rows(
    found: Mapping[str, Mapping[str, Arrival]], times: Times, four: tuple[float, float]
) -> list[Row]:
    """Others' times over L-SR1's for coming as near, and over its time ``four`` for four steps."""
    never = (math.inf, math.inf)
    rows = []
    for goal, own in found.items():
        first = times[f"equal {goal}: L-SR1"]
        for name in own:
            if name == "L-SR1":
                continue
            theirs = times.get(f"equal {goal}: {name}", never)
            for i, kind in enumerate(KINDS):
                title, remark = f"{name}'s time / L-SR1's at equal {goal}, {kind}", f"{name} {own[name]}"
                rows.append(figure(f"{title}: 4 steps", theirs[i] / four[i], 0.0, remark))
                too = f"{remark}, L-SR1 {own['L-SR1']}"
                rows.append(figure(f"{title}: both stopped", theirs[i] / first[i], 0.0, too))
    return rows


def within_rows(steps: Mapping[str, int], times: Times) -> list[Row]:
    """L-SR1's time over Levenberg-Marquardt's to within 1 % of the latter's final energy."""
    remark = ", ".join(f"{name} {count} steps" for name, count in steps.items())
    ours, lm = times["to 1 %: L-SR1"], times["to 1 %: LM"]
    return [
        figure(f"L-SR1's time / LM's to within 1 % of LM's energy, {kind}", ours[i] / lm[i], 0.0, remark)
        for i, kind in enumerate(KINDS)
    ]


def within_runs(minimizers: Minimizers, steps: Mapping[str, int]) -> dict[str, Timed]:
    """What `within_rows` wants timed."""
    return {f"to 1 %: {name}": Timed(minimizers[name], steps[name]) for name in steps}


def against_rows(found: Mapping[str, Scored], wide: Times) -> list[Row]:
    """L-SR1 at four steps against the published methods; ``wide`` the times of untrained ones."""
    rows = []
    for a, b in PAIRS:
        if a not in found or b not in found:
            continue  # the wide ones are not always there
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
