"""Accuracy and time of single-frame fits on motion capture that nothing was learned from.

The test split's poses in random cameras, BODY_25's points with noise of 1 % of the person's height, 20 %
missing. Three tables:

1. the minimizers: every one minimises the same objective on the same problems from the initializer's start.
   Learned ones with three seeds, mean and spread. Rates of Adam and gradient descent are tuned on the
   validation split. The published networks that are stored are narrower than their authors'; a small table
   gives the time at full width, or ``--wide FOLDER`` takes networks that were trained so (see
   `published.py`) into the tables. Times include the evaluation of the start, not the initializer.
2. whole fits, outliers dropped and limbs swapped back: clean; begun at eight yaws without the initializer;
   one keypoint in ten moved by up to half a height; nothing seen from the knees down.
3. L-SR1 against the others, paired over the same poses.

Needs the folder of motion capture (LSR1_SHARED, or `shared` beside the checkout).
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsr1_solver import MINIMIZERS, BodyModel, fit_pose, load_body_model
from lsr1_solver.fit_state import FitState
from lsr1_solver.training.problems import SyntheticProblems
from tests.bench.hmr_bench import GROUPS as GROUPS
from tests.bench.hmr_bench import (
    Bench,
    Timed,
    Trace,
    chosen,
    fit_problem,
    score,
    split_bench,
    times_ms,
    with_outliers,
    without_lower_body,
)
from tests.bench.hmr_bench import test_split as test_split
from tests.bench.hmr_methods import (
    AnyMinimizer,
    Method,
    PublishedMinimizer,
    adams,
    label,
    methods,
    minimizer,
    wide_methods,
    wide_networks,
)
from tests.bench.hmr_reach import (
    Scored,
    against_rows,
    arrival_runs,
    arrivals,
    at_best,
    best_rows,
    equal_rows,
    figure,
    gain_rows,
    steps_to,
    whole_fit_rows,
    within_rows,
    within_runs,
)
from tests.bench.published import parameters
from tests.bench.table import Row, parser, show_tables

COMPARED_STEPS = 4


@dataclass(frozen=True)
class Size:
    """How much of everything: the test split, samples of it, rounds of timing."""

    rate: float = 10.0
    views: int = 2
    sample: int = 2048
    validation: int = 512
    rounds: int = 7
    fits: int = 24


QUICK = Size(rate=0.5, views=1, sample=128, validation=64, rounds=1, fits=4)


def row(name: str, found: Scored, energies: list[float], rises: float) -> Row:
    """Means over the seeds, and the spread (standard deviation) of the first column."""
    pa = [one.mean(one.pa) for one in found.scores]
    by_group = [one.by_group() for one in found.scores]
    return {
        "method": name,
        "pa_mpjpe_mm": float(np.mean(pa)),
        "spread": statistics.stdev(pa) if len(pa) > 1 else 0.0,
        "mpjpe_mm": float(np.mean([one.mean(one.plain) for one in found.scores])),
        **{group: float(np.mean([one[group] for one in by_group])) for group in by_group[0]},
        "reprojection_percent": float(np.mean([one.reprojection for one in found.scores])),
        "energy": float(np.mean(energies)),
        "rising_percent": 100 * rises,
        "ms_1": found.times[0],
        "ms_64": found.times[1],
        "parameters": found.size,
        "seeds": len(pa),
        "poses": len(found.scores[0].pa),
    }


@dataclass(frozen=True, eq=False)
class Comparison:
    """The minimizers' runs on a bench."""

    bench: Bench
    methods: tuple[Method, ...]
    traces: Mapping[str, list[Trace]]

    @property
    def shipped(self) -> dict[str, AnyMinimizer]:
        """The first seed of each."""
        return {method.name: method.seeds[0] for method in self.methods}

    def scored(self, times: Mapping[str, tuple[float, float]]) -> dict[str, Scored]:
        """Every row's errors, row by row."""
        found = {}
        for method in self.methods:
            for look in method.looks:
                key = -1 if look is None else look
                scores = [self.bench.score(trace.points[key]) for trace in self.traces[method.name]]
                name = label(method, look)
                found[name] = Scored(scores, times[name], method.size)
        return found

    def rows(self, found: Mapping[str, Scored]) -> list[Row]:
        """The first table."""
        start = self.bench.objective.start()
        energy = float(self.bench.objective.energy_and_gradient(start)[0].mean())
        rows = [row("initializer alone", Scored([self.bench.score(start)], (0.0, 0.0), 0), [energy], 0.0)]
        for method in self.methods:
            runs = self.traces[method.name]
            rises = float(np.mean([run.rises for run in runs]))
            for look in method.looks:
                energies = [float(run.energies[-1 if look is None else look].mean()) for run in runs]
                name = label(method, look)
                rows.append(row(name, found[name], energies, rises))
        return rows


def compare(bench: Bench, compared: list[Method]) -> Comparison:
    """Run everything."""
    traces = {}
    for method in compared:
        looks = [look for look in method.looks if look]
        traces[method.name] = [bench.trace(seed, method.most, looks) for seed in method.seeds]
    return Comparison(bench, tuple(compared), traces)


def width_rows(wide: Mapping[str, PublishedMinimizer], times: Mapping[str, tuple[float, float]]) -> list[Row]:
    """Four steps of them."""
    return [
        {"method": f"{name}, {COMPARED_STEPS} steps", "ms_1": times[name][0], "ms_64": times[name][1],
         "parameters": parameters(network)}
        for name, network in wide.items()
    ]  # fmt: skip


def fit_rows(body: BodyModel, whole: SyntheticProblems, size: Size) -> list[Row]:
    """The second table: whole fits by L-SR1 and by Levenberg-Marquardt."""
    sample = chosen(whole, np.arange(min(size.sample, len(whole))))
    kinds: Mapping[str, tuple[SyntheticProblems, bool]] = {
        "clean": (whole, True),
        "eight yaws, no initializer": (sample, False),
        "10 % outliers": (with_outliers(sample), True),
        "lower body missing": (without_lower_body(sample), True),
    }
    rows: list[Row] = []
    for kind, (problems, initializer) in kinds.items():
        for name in ("lsr1", "lm"):
            asked = fit_problem(body, problems, initializer=initializer)
            began = time.process_time()
            state = fit_pose(asked, MINIMIZERS[name])
            seconds = time.process_time() - began
            rows.append({"problems": kind, "method": name, **fit_figures(state, problems, seconds)})
    return rows


def fit_figures(state: FitState, problems: SyntheticProblems, seconds: float) -> Row:
    found = score(state, problems)
    return {
        "pa_mpjpe_mm": found.mean(found.pa),
        "mpjpe_mm": found.mean(found.plain),
        **found.by_group(),
        "reprojection_percent": found.reprojection,
        "ms": 1e3 * seconds / len(problems),
        "poses": len(found.pa),
    }


def tables(size: Size, wide_folder: Path | None) -> dict[str, list[Row]]:
    """Everything that `main` prints, by its title."""
    body = load_body_model()
    whole = split_bench(body, "test", size.rate, size.views)
    sample = whole.first(size.sample)
    validation = split_bench(body, "validation", 1.0, 1).first(size.validation)
    untrained = wide_networks(sample) if wide_folder is None else {}
    trained = [] if wide_folder is None else wide_methods(wide_folder, sample)
    compared = compare(whole, [*methods(validation), *trained])
    ours, shipped = compared.traces["L-SR1"], compared.shipped
    target = compared.traces["LM"][0].energies[-1]
    within = {name: steps_to(compared.traces[name][0], target) for name in ("L-SR1", "LM")}
    at_four = sample.score(ours[0].points[COMPARED_STEPS][: len(sample)])
    variants = {"L-SR1": [shipped["L-SR1"]], "Adam": adams(), "L-BFGS": [shipped["L-BFGS"]]}
    equal = arrivals(sample, variants, at_four.mean(at_four.pa), target[: len(sample)])
    runs = {label(m, look): Timed(m.seeds[0], look) for m in compared.methods for look in m.looks}
    best = at_best(sample, shipped["L-SR1"], adams())
    runs |= within_runs(shipped, within) | arrival_runs({**equal, "best": best})
    runs |= {name: Timed(minimizer(network), COMPARED_STEPS) for name, network in untrained.items()}
    times = times_ms(sample, runs, size.rounds)
    found = compared.scored(times)
    rises = figure("steps that raise the energy, %", 100 * float(np.mean([run.rises for run in ours])))
    return {
        "minimizers": compared.rows(found),
        **({"published widths": width_rows(untrained, times)} if untrained else {}),
        "whole fits": fit_rows(body, whole.problems, size),
        "L-SR1 against the others": [
            *gain_rows(found, whole.score(whole.objective.start())),
            *within_rows(within, times),
            *equal_rows(equal, times, found[f"L-SR1, {COMPARED_STEPS} steps"].times),
            *best_rows(best, times),
            *against_rows(found, {name: times[name] for name in untrained}),
            rises,
            *whole_fit_rows(sample, size.fits, size.rounds),
        ],
    }


def main() -> None:
    """Print the tables."""
    asking = parser(__doc__)
    asking.add_argument("--wide", type=Path, metavar="FOLDER", help="networks of their authors' widths")
    asked = asking.parse_args()
    found = tables(QUICK if asked.quick else Size(), asked.wide)
    show_tables(found, asked.json)


if __name__ == "__main__":
    main()
