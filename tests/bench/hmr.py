"""Accuracy and time of single-frame fits on motion capture that nothing was learned from.

The test split's poses in random cameras, BODY_25's points with noise of 1 % of the person's height, 20 %
missing; every method starts from the best of eight yaws and minimises the same objective. Needs the folder
of motion capture (LSR1_SHARED, or `shared` beside the checkout).
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import time

import numpy as np

from lsr1_solver import (
    MINIMIZERS,
    BodyModel,
    Camera,
    FitProblem,
    fit_pose,
    keypoints_2d,
    load_body_model,
    posed_joints,
)
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.training.problems import SyntheticProblems, sample_problems
from lsr1_solver.training.retarget import load_motions
from tests.bench.metrics import mpjpe_mm, pa_mpjpe_mm
from tests.bench.table import Row, options, show
from tests.shared import SHARED

GROUPS = ("CMU 05", "CMU 61", "ACCAD Male1_C")


def test_split(body: BodyModel, *, rate: float, views: int) -> SyntheticProblems:
    """Problems of the held-out subjects, ``rate`` poses a second, ``views`` cameras each."""
    motions = load_motions(SHARED / "mocap", rate=rate, splits=("test",))
    landmarks = [name for name in BODY_25.joints if name]
    return sample_problems(motions, body, landmarks, seed=0, views=views)


def fit_problem(body: BodyModel, problems: SyntheticProblems) -> FitProblem:
    """All problems as the frames of one FitProblem."""
    size = problems.image_size
    camera = Camera(problems.focal_length, np.array(size) / 2, size)
    return FitProblem(body, camera, keypoints_2d(problems.xy, problems.confidence, BODY_25, image_size=size))


def row(method: str, body: BodyModel, problems: SyntheticProblems, iterations: int) -> Row:
    """One method on all problems."""
    asked = fit_problem(body, problems)
    began = time.perf_counter()
    state = fit_pose(asked, MINIMIZERS[method], max_iterations=iterations)
    seconds = time.perf_counter() - began
    joints = posed_joints(body, state.pose)
    pa, plain = pa_mpjpe_mm(joints, problems.joints), mpjpe_mm(joints, problems.joints)
    by_group = {g: float(pa[problems.group == g].mean()) for g in GROUPS}
    return {
        "method": method,
        "pa_mpjpe_mm": float(np.mean(list(by_group.values()))),
        "mpjpe_mm": float(np.mean([plain[problems.group == g].mean() for g in GROUPS])),
        **{g.lower().replace(" ", "_"): value for g, value in by_group.items()},
        "reprojection_percent": state.reprojection_percent,
        "energy": float(state.loss.mean()),
        "ms": 1e3 * seconds / len(problems),
        "poses": len(problems),
    }


def main() -> None:
    """Print the table."""
    chosen = options(__doc__)
    body = load_body_model()
    problems = test_split(body, rate=0.5 if chosen.quick else 10.0, views=1 if chosen.quick else 2)
    iterations = {"lm": 60, "lbfgs": 200, "sr1": 200, "adam": 200}
    show([row(method, body, problems, n) for method, n in iterations.items()], chosen.json)


if __name__ == "__main__":
    main()
