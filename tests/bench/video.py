"""Clips: accuracy, calm, feet, time and memory of whole fits of held-out motions before one camera each.

``python -m tests.bench.video --mocap FOLDER``. The test split at 30 frames a second, BODY_25's points, noise
of 1 % of the person's height that lasts three frames, 20 % missing in runs of 5 to 15 frames. Motions shorter
than a clip are played back and forth (`video_clips.back_and_forth`), always before the same camera: clips of
1,000 and 10,000 frames repeat themselves, their noise does not. Errors are means over the three test groups.

1. whole fits, from keypoints to poses: PA-MPJPE, MPJPE, acceleration error relative to the pelvis (mm a
   frame squared), slide of ankles and feet where the true ones stand (mm a frame), frames a second (processor
   time, one thread), peak memory of a process of its own. Filters act on the per-frame fit and are tuned on
   training clips. A table before it says what the true motions have themselves.
2. the minimizers on the same objective from the same start: processor time to within 1 % of Gauss-Newton's
   final energy. The learned steps with three seeds; the first is the one that ships.
3. the same motion seen at several frame rates.
4. the sample walk, each camera alone against triangulation.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lsr1_solver import BodyModel, load_body_model
from lsr1_solver.training.clip_problems import SyntheticClip
from lsr1_solver.training.retarget import Motion, load_motions
from tests.bench.table import Row, parser, show_tables
from tests.bench.video_clips import bench_clips
from tests.bench.video_methods import PER_FRAME, Method, methods, quality_rows, run_methods, truth_row
from tests.bench.video_rates import rate_rows, shifted_row, walk_rows
from tests.bench.video_speed import race_rows, run_apart
from tests.shared import SHARED

RATE = 30.0
# Motions like the test split's, for tuning.
TUNING = ("accad/Male1_B*", "cmu/60_*", "cmu/0[78]_*")
TUNING_FRAMES = 150
# What is filmed at several rates was captured at the highest of them.
RATES, FASTEST, FAST_PATTERN = (24.0, 30.0, 60.0, 120.0), 120.0, "cmu/*"


@dataclass(frozen=True)
class Size:
    """Clips of each group at each length, ``clips`` of motions by name; ``rounds`` of timing."""

    clips: Mapping[int, tuple[int, str]]
    raced: Mapping[int, int]
    tuning: int
    rounds: int
    filmed: int
    pattern: str = "*"


FULL = Size(
    {100: (6, "*"), 1000: (2, "*"), 10_000: (1, "cmu/61_*")},
    {100: 4, 300: 4, 1000: 4},
    tuning=4,
    rounds=5,
    filmed=16,
)
QUICK = Size({100: (1, "*")}, {100: 1}, tuning=1, rounds=1, filmed=1, pattern="*[12]")


def tuning_motions(mocap: Path) -> list[Motion]:
    """Of the training split."""
    return [
        motion
        for pattern in TUNING
        for motion in load_motions(mocap, rate=RATE, splits=("train",), pattern=pattern)
    ]


def main() -> None:
    """Print the tables."""
    command = parser(__doc__)
    command.add_argument("--mocap", type=Path, default=SHARED / "mocap", help="the folder of motion capture")
    asked = command.parse_args()
    size = QUICK if asked.quick else FULL
    body = load_body_model()
    tuning = bench_clips(tuning_motions(asked.mocap), body, TUNING_FRAMES, size.tuning, seed=1)
    compared = methods(body, tuning)
    motions = load_motions(asked.mocap, rate=RATE, splits=("test",), pattern=size.pattern)
    tables: dict[str, list[Row]] = {"true motions": [], "whole fits": [], "time to the same energy": []}
    for frames, (count, names) in size.clips.items():
        chosen = [motion for motion in motions if fnmatchcase(motion.name, names)]
        clips = bench_clips(chosen, body, frames, count)
        tables["true motions"].append(truth_row(clips))
        tables["whole fits"] += fit_rows(body, clips, compared)
    tables["against the per-frame fit"] = reach_rows(tables["whole fits"])
    for frames, count in size.raced.items():
        tables["time to the same energy"] += race_rows(
            body, bench_clips(motions, body, frames, count, seed=2), size.rounds
        )
    fast = load_motions(asked.mocap, rate=FASTEST, splits=("test",), pattern=FAST_PATTERN)
    filmed = bench_clips(fast, body, 4 * round(FASTEST), size.filmed, seed=3)
    default = Method("default", tied=True)
    tables["the same motion at two frame rates"] = [
        *rate_rows(body, filmed, default, RATES),
        shifted_row(body, filmed, default, RATE),
    ]
    tables["sample walk"] = walk_rows(body)
    show_tables(tables, asked.json)


def fit_rows(body: BodyModel, clips: Sequence[SyntheticClip], compared: Sequence[Method]) -> list[Row]:
    """Every method on every clip; on the first, in a process whose memory is watched."""
    first, *others = clips
    apart = {method.name: run_apart(method, first) for method in compared}
    found = run_methods(body, others, compared)
    scores = {name: [apart[name][0], *found[name]] for name in apart}
    rows = quality_rows(scores, len(first))
    return [{**row, "peak_mb": apart[str(row["method"])][1]} for row in rows]


def reach_rows(rows: Sequence[Row]) -> list[Row]:
    """PA-MPJPE and acceleration error of every method over the per-frame fit's at the same length."""
    base = {row["frames"]: row for row in rows if row["method"] == PER_FRAME}
    found: list[Row] = []
    for row in rows:
        before = base[row["frames"]]
        found.append({
            "frames": row["frames"],
            "method": row["method"],
            "pa_mpjpe_change_percent": 100 * (float(row["pa_mpjpe_mm"]) / float(before["pa_mpjpe_mm"]) - 1),
            "acceleration_times_less": float(before["acceleration_mm"]) / float(row["acceleration_mm"]),
        })  # fmt: skip
    return found


if __name__ == "__main__":
    main()
