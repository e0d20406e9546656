"""L-SR1 trained on random quadratics against textbook optimizers, on functions whose minima are known.

Quadratics of 2, 10, 50, 200 and 500 dimensions (it was trained on 2 to 50; conditions 10 to 10,000, turned
at random), Rosenbrock's valley and Rastrigin's hollows in 2 and 10 (it has seen neither). The columns: the
share of f - f* that is left after so many evaluations, the start's included; medians over the problems.
Every optimizer makes one evaluation a step.

The rates of gradient descent and Adam are tuned on other problems of the same class, for each budget anew;
gradient descent is told each quadratic's largest eigenvalue. L-SR1's multiple of the Barzilai-Borwein step
and its memory were chosen on other quadratics, for the untrained row too; an L-BFGS of as much memory stands
beside it. Nothing else is tuned.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from lsr1_solver.learned_sr1 import LearnedSR1, load_learned_sr1
from lsr1_solver.minimizer import Adam, LeastSquares, Minimizer, State
from lsr1_solver.quasi_newton import LBFGS, SR1
from tests.bench.functions import CLASSES, ProblemClass, Sample
from tests.bench.pictures import convergence_curves, performance_profile
from tests.bench.table import Row, parser, show
from tests.bench.textbook import BFGS, GradientDescent
from tests.shared import REPOSITORY

WEIGHTS = REPOSITORY / "assets" / "lsr1_quadratics.npz"
BUDGETS = (20, 50, 100)
# What counts as solved in the performance profile: this share of f - f* left.
SOLVED = 1e-4
# Shares below this are rounding.
LEAST_SHARE = 1e-16
FACTORS = (*np.geomspace(1e-5, 0.3, 10).tolist(), 0.6, 1.0, 1.3, 1.6, 1.9)
RATES = tuple(np.geomspace(0.003, 3.0, 13).tolist())
# Seeds of the problems that are measured on, and of those that rates are tuned on.
TEST, TUNING = 2026, 7

# Shares left [evaluations, B] of one method on a sample, after so many evaluations.
Run = Callable[[Sample, int], np.ndarray]


def shares_left(minimizer: Minimizer[State], sample: Sample, evaluations: int) -> np.ndarray:
    """The share of the start's energy at the best point after each evaluation. -> [evaluations, B]."""
    # Only a base would linearize, and none of these has one.
    objective = cast("LeastSquares", sample.objective)
    # Divergence and exact minima are part of the game.
    with np.errstate(all="ignore"):
        state = minimizer.init(objective, sample.start)
        energies = [state.energy]
        for _ in range(evaluations - 1):
            state = minimizer.step(objective, state)
            energies.append(state.energy)
    return np.maximum(np.stack(energies) / energies[0], LEAST_SHARE)


TUNED: Mapping[str, tuple[Callable[[Sample, float], Run], tuple[float, ...]]] = {
    "gradient descent": (lambda s, factor: partial(shares_left, GradientDescent(factor, s.unit)), FACTORS),
    "Adam": (lambda _, rate: partial(shares_left, Adam(learning_rate=rate)), RATES),
}


@dataclass(frozen=True, eq=False)
class Result:
    """Shares left [evaluations, B] of one method on one class, for every budget; and how it was tuned."""

    shares: Mapping[int, np.ndarray]
    tuned: str

    def after(self, budget: int) -> float:
        """The median share left."""
        return float(np.median(self.shares[budget][budget - 1]))


def untuned_methods() -> dict[str, Run]:
    """The methods without rates, by the names in the table."""
    trained = replace(load_learned_sr1(WEIGHTS), tolerance=0.0)
    zero = {name: np.zeros_like(weight) for name, weight in trained.weights.items()}
    memory = trained.config.memory
    return {
        "BFGS (dense)": partial(shares_left, BFGS()),
        "L-BFGS (m=4)": partial(shares_left, LBFGS(memory=4, tolerance=0.0)),
        "L-BFGS (m=8)": partial(shares_left, LBFGS(memory=8, tolerance=0.0)),
        f"L-BFGS (m={memory})": partial(shares_left, LBFGS(memory=memory, tolerance=0.0)),
        "SR1 (m=8)": partial(shares_left, SR1(tolerance=0.0)),
        f"L-SR1 untrained (L={memory})": partial(
            shares_left, LearnedSR1(zero, trained.config, tolerance=0.0)
        ),
        f"L-SR1 (L={memory})": partial(shares_left, trained),
    }


def tuned_result(name: str, test: Sample, tuning: Sample) -> Result:
    """The best of the grid for each budget, by the geometric mean over the tuning problems."""
    make, grid = TUNED[name]
    scores = [np.log(make(tuning, value)(tuning, max(BUDGETS))).mean(axis=1) for value in grid]
    best = {b: grid[int(np.argmin([score[b - 1] for score in scores]))] for b in BUDGETS}
    shares = {b: make(test, value)(test, max(BUDGETS)) for b, value in best.items()}
    return Result(shares, ", ".join(f"{value:.2g}" for value in best.values()))


def results(problem: ProblemClass, index: int, quick: bool) -> dict[str, Result]:
    """Every method on one class of problems."""
    count = problem.quick if quick else problem.count
    test = problem.draw(np.random.default_rng([TEST, index]), count)
    tuning = problem.draw(np.random.default_rng([TUNING, index]), problem.quick)
    found = {name: tuned_result(name, test, tuning) for name in TUNED}
    for name, run in untuned_methods().items():
        found[name] = Result(dict.fromkeys(BUDGETS, run(test, max(BUDGETS))), "")
    return found


def evaluations_to_solve(shares: np.ndarray) -> np.ndarray:
    """Evaluations until SOLVED, infinite where that never is. [evaluations, B] -> [B]."""
    solved = shares <= SOLVED
    return np.where(solved.any(axis=0), 1.0 + np.argmax(solved, axis=0), np.inf)


def row(problem: str, method: str, result: Result) -> Row:
    """One line of the table."""
    solved = np.isfinite(evaluations_to_solve(result.shares[max(BUDGETS)]))
    return {
        "problem": problem,
        "method": method,
        **{f"share_after_{budget}": result.after(budget) for budget in BUDGETS},
        "solved_percent": 100 * float(solved.mean()),
        "rates": result.tuned,
    }


def draw_pictures(folder: Path, found: Mapping[str, Mapping[str, Result]]) -> None:
    """Convergence curves, and the performance profile with every class weighing the same."""
    folder.mkdir(parents=True, exist_ok=True)
    longest = max(BUDGETS)
    medians = {
        problem: {name: np.median(result.shares[longest], axis=1) for name, result in methods.items()}
        for problem, methods in found.items()
    }
    convergence_curves(folder / "analytic_curves.png", medians)
    needed = {
        problem: {name: evaluations_to_solve(result.shares[longest]) for name, result in methods.items()}
        for problem, methods in found.items()
    }
    performance_profile(folder / "analytic_profile.png", needed, f"{SOLVED:g} of f - f* left")


def main() -> None:
    asking = parser(__doc__)
    asking.add_argument("--pictures", type=Path, metavar="DIR", help="draw curves and profile (matplotlib)")
    asked = asking.parse_args()
    found = {
        name: results(problem, index, asked.quick) for index, (name, problem) in enumerate(CLASSES.items())
    }
    show([row(p, m, result) for p, methods in found.items() for m, result in methods.items()], asked.json)
    if asked.pictures is not None:
        draw_pictures(asked.pictures, found)


if __name__ == "__main__":
    main()
