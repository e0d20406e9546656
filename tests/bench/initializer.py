"""The initializer alone on the three groups of the test split.

Every pose at 10 Hz before two cameras, 25 landmarks, 1 % noise, 20 % missing; the mean is that of the groups.
`mpjpe_mm` is over SMPL's 24 joints.
"""

import os
import time
from pathlib import Path

import numpy as np

from lsr1_solver.body_model import BodyModel
from lsr1_solver.initializer import INITIALIZER, load_initializer
from lsr1_solver.initializer_input import INPUT_LANDMARKS
from lsr1_solver.model_file import load_body_model
from lsr1_solver.training.initializer_error import predict_joints
from lsr1_solver.training.problems import SyntheticProblems, sample_problems
from lsr1_solver.training.retarget import load_motions
from tests.bench.metrics import mpjpe_mm, pa_mpjpe_mm
from tests.bench.table import Row, parser, show

SHARED = Path(os.environ.get("LSR1_SHARED", Path(__file__).resolve().parents[3] / "shared"))
# (noise, missing)
KINDS = {"noise 1 %, missing 20 %": (0.01, 0.2), "nothing missing, no noise": (0.0, 0.0)}


def rows_of(problems: SyntheticProblems, joints: np.ndarray, kind: str, ms: float) -> list[Row]:
    """A row a group, and their mean."""
    own, truth = mpjpe_mm(joints, problems.joints), pa_mpjpe_mm(joints, problems.joints)
    groups = sorted(set(problems.group.tolist()))
    chosen = [problems.group == group for group in groups]
    figures = np.array([(truth[c].mean(), own[c].mean()) for c in chosen])
    counts = [int(c.sum()) for c in chosen]
    if len(groups) > 1:
        groups, counts = [*groups, "mean"], [*counts, len(problems)]
        figures = np.concatenate([figures, figures.mean(axis=0, keepdims=True)])
    return [
        {
            "problems": kind,
            "group": group,
            "count": count,
            "pa_mpjpe_mm": float(pa),
            "mpjpe_mm": float(plain),
            "ms": ms,
        }
        for group, count, (pa, plain) in zip(groups, counts, figures, strict=True)
    ]


def measure(body: BodyModel, weights: Path, split: str, seed: int, quick: bool) -> list[Row]:
    """The rows of one file of weights."""
    initializer = load_initializer(weights)
    motions = load_motions(SHARED / "mocap", rate=2.0 if quick else 10.0, splits=(split,))
    rows: list[Row] = []
    for kind, (noise, missing) in KINDS.items():
        problems = sample_problems(
            motions, body, INPUT_LANDMARKS, seed=seed, views=2, noise=noise, missing=missing
        )
        began = time.perf_counter()
        joints, _ = predict_joints(initializer, problems, body)
        rows += rows_of(problems, joints, kind, 1e3 * (time.perf_counter() - began) / len(problems))
    return rows


def main() -> None:
    """Print the table."""
    asking = parser(__doc__)
    asking.add_argument("--weights", type=Path, default=INITIALIZER)
    asking.add_argument("--split", choices=("validation", "test"), default="test")
    asking.add_argument("--seed", type=int, default=0, help="of the cameras")
    chosen = asking.parse_args()
    show(measure(load_body_model(), chosen.weights, chosen.split, chosen.seed, chosen.quick), chosen.json)


if __name__ == "__main__":
    main()
