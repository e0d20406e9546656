"""What each part of L-SR1 contributes: trained without it, or with other sizes, on the same problems.

Every variant is meta-trained here, on the training split, with the same seed and the same number of steps,
and fits the same problems of the test split. Accuracy is after four steps from the initializer's start; gaps
are medians of the energy above what Levenberg-Marquardt converges to, in percent, after two and four steps
from there, and after four from bad starts (every coordinate off by 0.7 standard deviations); so is the number
of steps to 1 % (99: not within 12). Needs torch and the motion capture.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from dataclasses import replace

import numpy as np
import torch

from lsr1_solver import load_body_model, load_initializer, posed_joints
from lsr1_solver.learned_sr1 import LearnedSR1
from lsr1_solver.sr1_network import LearnedSR1Config, weight_shapes
from lsr1_solver.starts import initializer_start
from lsr1_solver.training.config import OptimizerConfig, TrainingConfig
from lsr1_solver.training.learn_optimizer import ProblemPool, least_energy, problem_pool, train_optimizer
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.retarget import load_motions
from lsr1_solver.view import person_view
from tests.bench.hmr import GROUPS, fit_problem, test_split
from tests.bench.metrics import mpjpe_mm, pa_mpjpe_mm
from tests.bench.table import Row, options, show
from tests.shared import SHARED

SHIPPED = LearnedSR1Config()
STEPS, LOOKED_AT = 12, 4
BAD = 0.7
VARIANTS: dict[str, OptimizerConfig] = {
    "as shipped": OptimizerConfig(),
    **{f"memory {n}": OptimizerConfig(network=replace(SHIPPED, memory=n)) for n in (0, 1, 4)},
    "no skip connection": OptimizerConfig(network=replace(SHIPPED, skip=False)),
    "base at the start": OptimizerConfig(network=replace(SHIPPED, base=1)),
    "no base": OptimizerConfig(network=replace(SHIPPED, base=0, gamma=0.3)),
    "no base, no skip": OptimizerConfig(network=replace(SHIPPED, base=0, gamma=0.3, skip=False)),
    "secant penalty 0.1": OptimizerConfig(secant=0.1),
    "secant penalty 1": OptimizerConfig(secant=1.0),
    "alpha2 0.001": OptimizerConfig(network=replace(SHIPPED, alpha2=0.001)),
    "raw features": OptimizerConfig(network=replace(SHIPPED, scale_free=False)),
    "hidden 8": OptimizerConfig(network=replace(SHIPPED, hidden=8)),
    "hidden 48": OptimizerConfig(network=replace(SHIPPED, hidden=48)),
    "unroll 3": OptimizerConfig(unroll=3),
    "unroll 10": OptimizerConfig(unroll=10),
}


class Bench:
    """The test problems, and the figures of an optimizer on them."""

    def __init__(self, rate: float) -> None:
        self.body = load_body_model()
        self.problems = test_split(self.body, rate=rate, views=1)
        self.view = person_view(fit_problem(self.body, self.problems))
        self.frames = np.flatnonzero(self.view.problem.fitted_frames)
        start = initializer_start(self.view, load_initializer(), self.frames)
        self.objective, _ = self.view.objective(start)
        self.least = least_energy(self.objective)

    def gaps(self, minimizer: LearnedSR1, z: np.ndarray) -> tuple[list[float], np.ndarray]:
        """Median gap in percent after each step, and the points after four."""
        state = minimizer.init(self.objective, z)
        gaps, looked_at = [], z
        for step in range(1, STEPS + 1):
            state = minimizer.step(self.objective, state)
            gaps.append(100 * float(np.median(state.energy / self.least - 1)))
            looked_at = state.z if step == LOOKED_AT else looked_at
        return gaps, looked_at

    def row(self, variant: str, minimizer: LearnedSR1) -> Row:
        start = self.objective.start()
        gaps, z = self.gaps(minimizer, start)
        bad_gaps, _ = self.gaps(minimizer, BAD * np.random.default_rng(0).normal(size=start.shape))
        joints = posed_joints(self.body, self.view.body_pose(self.objective, z, self.frames))
        truth, group = self.problems.joints[self.frames], self.problems.group[self.frames]

        def mean(error: np.ndarray) -> float:
            return float(np.mean([error[group == name].mean() for name in GROUPS]))

        return {
            "variant": variant,
            "parameters": sum(w.size for w in minimizer.weights.values()),
            "pa_mpjpe_mm": mean(pa_mpjpe_mm(joints, truth)),
            "mpjpe_mm": mean(mpjpe_mm(joints, truth)),
            "gap_2_percent": gaps[1],
            "gap_4_percent": gaps[LOOKED_AT - 1],
            "bad_gap_4_percent": bad_gaps[LOOKED_AT - 1],
            "steps_to_1_percent": next((n for n, gap in enumerate(gaps, start=1) if gap <= 1), 99),
            "bad_steps_to_1_percent": next((n for n, gap in enumerate(bad_gaps, start=1) if gap <= 1), 99),
        }


def trained(pool: ProblemPool, optimizer: OptimizerConfig, steps: int) -> LearnedSR1:
    """Meta-train a variant; numpy weights."""
    config = TrainingConfig(optimizer=replace(optimizer, steps=steps))
    weights = train_optimizer(pool, config, Processes(), None).weights
    arrays = {name: w.detach().numpy().astype(np.float64) for name, w in weights.items()}
    return LearnedSR1(arrays, optimizer.network, tolerance=0.0)


def main() -> None:
    """Print the table."""
    chosen = options(__doc__)
    torch.set_num_threads(1)
    bench = Bench(rate=0.3 if chosen.quick else 1.0)
    motions = load_motions(SHARED / "mocap", rate=0.2 if chosen.quick else 1.0, splits=("train",))
    count = 500 if chosen.quick else 8000
    pool = problem_pool(motions, bench.body, load_initializer(), seed=0, count=count)
    zero = {name: np.zeros(shape) for name, shape in weight_shapes(SHIPPED).items()}
    rows = [bench.row("untrained (safeguarded SR1)", LearnedSR1(zero, SHIPPED, tolerance=0.0))]
    names = ("as shipped", "memory 0") if chosen.quick else tuple(VARIANTS)
    for name in names:
        rows.append(bench.row(name, trained(pool, VARIANTS[name], 60 if chosen.quick else 500)))
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
