"""The runs behind `hmr.py`: problems, what minimizers reach after so many steps, and how long they take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from lsr1_solver import BodyModel, Camera, FitProblem, keypoints_2d, load_initializer, posed_joints
from lsr1_solver.fit_state import FitState, FitStatus
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.minimizer import Minimizer, MinimizerState
from lsr1_solver.objective import Objective
from lsr1_solver.starts import initializer_start
from lsr1_solver.training.problems import SyntheticProblems, sample_problems
from lsr1_solver.training.retarget import load_motions
from lsr1_solver.view import PersonView, person_view
from tests.bench.metrics import mpjpe_mm, pa_mpjpe_mm
from tests.shared import SHARED

GROUPS = ("CMU 05", "CMU 61", "ACCAD Male1_C")
TILE = 64
LANDMARKS = [name for name in BODY_25.joints if name]
LOWER_BODY = ("knee", "ankle", "toe", "heel")
ROUNDING = 1e-9
# Problems of a timing: single poses, and tiles.
SINGLES, TILES = 16, 2
Jobs = dict[tuple[str, int], Callable[[], None]]


def test_split(body: BodyModel, *, rate: float, views: int) -> SyntheticProblems:
    """Problems of the held-out subjects, ``rate`` poses a second, ``views`` cameras each."""
    return split_problems(body, "test", rate, views)


def split_problems(body: BodyModel, split: str, rate: float, views: int) -> SyntheticProblems:
    """Problems of one split of the motion capture."""
    motions = load_motions(SHARED / "mocap", rate=rate, splits=(split,))
    return sample_problems(motions, body, LANDMARKS, seed=0, views=views)


def chosen(problems: SyntheticProblems, index: np.ndarray) -> SyntheticProblems:
    """Some of the problems."""
    own = {f.name: getattr(problems, f.name) for f in fields(problems)}
    return replace(problems, **{n: v[index] for n, v in own.items() if isinstance(v, np.ndarray)})


def fit_problem(body: BodyModel, problems: SyntheticProblems, *, initializer: bool = True) -> FitProblem:
    """All problems as the frames of one FitProblem."""
    size = problems.image_size
    camera = Camera(problems.focal_length, np.array(size) / 2, size)
    keypoints = keypoints_2d(problems.xy, problems.confidence, BODY_25, image_size=size)
    return FitProblem(body, camera, keypoints, initializer=load_initializer() if initializer else None)


def with_outliers(problems: SyntheticProblems) -> SyntheticProblems:
    """One seen keypoint in ten moved by up to half the person's height each way."""
    random = np.random.default_rng(7)
    hit = (random.uniform(size=problems.confidence.shape) < 0.1) & (problems.confidence > 0)
    shift = random.uniform(-0.5, 0.5, problems.xy.shape) * problems.person_height[:, None, None]
    return replace(problems, xy=problems.xy + hit[..., None] * shift)


def without_lower_body(problems: SyntheticProblems) -> SyntheticProblems:
    """Nothing seen from the knees down."""
    low = [any(part in name for part in LOWER_BODY) for name in problems.landmarks]
    return replace(problems, confidence=np.where(low, 0.0, problems.confidence))


@dataclass(frozen=True, eq=False)
class Score:
    """Errors [B] in mm, group by group; the reprojection error in % of the height."""

    pa: np.ndarray
    plain: np.ndarray
    group: np.ndarray
    reprojection: float

    def mean(self, error: np.ndarray) -> float:
        """Over the three groups."""
        return float(np.mean([error[self.group == name].mean() for name in GROUPS]))

    def by_group(self) -> dict[str, float]:
        """Mean PA-MPJPE of each."""
        return {name.lower().replace(" ", "_"): float(self.pa[self.group == name].mean()) for name in GROUPS}


def score(state: FitState, problems: SyntheticProblems) -> Score:
    """Of the frames that were fitted."""
    fitted = state.fitted
    joints, truth = posed_joints(state.view.problem.body, state.pose)[fitted], problems.joints[fitted]
    return Score(
        pa_mpjpe_mm(joints, truth),
        mpjpe_mm(joints, truth),
        problems.group[fitted],
        state.reprojection_percent,
    )


@dataclass(frozen=True, eq=False)
class Trace:
    """What a minimizer reached: points [B, n] after each step looked at and at the end (key -1).

    ``energies`` [steps + 1, B] after every step; ``rises`` the share of steps that raised an energy.
    """

    points: Mapping[int, np.ndarray]
    energies: np.ndarray

    @property
    def rises(self) -> float:
        """Of the steps of all problems."""
        before, after = self.energies[:-1], self.energies[1:]
        return float(np.mean(~(after <= before * (1 + ROUNDING))))


@dataclass(frozen=True, eq=False)
class Bench:
    """Problems with enough keypoints, before the same objective and start for every method."""

    problems: SyntheticProblems
    view: PersonView
    objective: Objective

    def __len__(self) -> int:
        return len(self.problems)

    def first(self, count: int) -> Bench:
        """A random sample: the problems of a bench come shuffled."""
        return make_bench(self.view.problem.body, chosen(self.problems, np.arange(min(count, len(self)))))

    def state(self, z: np.ndarray) -> FitState:
        """A fit that has got to ``z``."""
        return FitState(0, FitStatus.RUNNING, np.zeros(len(z)), self.view, self.objective, z)

    def score(self, z: np.ndarray) -> Score:
        """How far ``z`` is from the truth."""
        return score(self.state(z), self.problems)

    def trace(self, minimizer: Minimizer[MinimizerState], steps: int, looked_at: Sequence[int]) -> Trace:
        """Run tile by tile; a tile whose problems have all converged stays as it is."""
        points: dict[int, list[np.ndarray]] = {step: [] for step in (*looked_at, -1)}
        energies = []
        for part in self.tiles():
            state = minimizer.init(part, part.start())
            history = [state.energy]
            for step in range(1, steps + 1):
                if not np.all(state.converged):
                    state = minimizer.step(part, state)
                history.append(state.energy)
                if step in points:
                    points[step].append(state.z)
            points[-1].append(state.z)
            energies.append(np.stack(history))
        return Trace({n: np.concatenate(z) for n, z in points.items()}, np.concatenate(energies, axis=1))

    def walk(self, minimizer: Minimizer[MinimizerState]) -> Iterator[np.ndarray]:
        """The points [B, n] after every step, without end."""
        parts = self.tiles()
        states = [minimizer.init(part, part.start()) for part in parts]
        while True:
            states = [minimizer.step(part, state) for part, state in zip(parts, states, strict=True)]
            yield np.concatenate([state.z for state in states])

    def tiles(self) -> list[Objective]:
        """The problems, 64 at a time."""
        return [self.objective.select(slice(i, i + TILE)) for i in range(0, len(self), TILE)]


def make_bench(body: BodyModel, problems: SyntheticProblems) -> Bench:
    """Leave out the problems without six keypoints; begin where the initializer says."""
    fitted = fit_problem(body, problems).fitted_frames
    problems = chosen(problems, np.flatnonzero(fitted))
    view = person_view(fit_problem(body, problems))
    objective, _ = view.objective(initializer_start(view, load_initializer(), np.arange(len(problems))))
    return Bench(problems, view, objective)


def split_bench(body: BodyModel, split: str, rate: float, views: int) -> Bench:
    """The problems of a split, in random order."""
    problems = split_problems(body, split, rate, views)
    order = np.random.default_rng(0).permutation(len(problems))
    return make_bench(body, chosen(problems, order))


@dataclass(frozen=True, eq=False)
class Timed:
    """A minimizer and how many steps it takes at most; it stops when all problems have converged."""

    minimizer: Minimizer[MinimizerState]
    steps: int | None

    def run(self, parts: Sequence[Objective]) -> None:
        """Each part from its start, evaluated there too."""
        for part in parts:
            state = self.minimizer.init(part, part.start())
            for _ in range(200 if self.steps is None else self.steps):
                if np.all(state.converged):
                    break
                state = self.minimizer.step(part, state)


def times_ms(bench: Bench, runs: Mapping[str, Timed], rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds a pose, one at a time and in tiles of 64.

    Medians of rounds in which every method takes its turn. As in `table.median_ms` it is processor time.
    """
    singles = [bench.objective.select(slice(i, i + 1)) for i in range(SINGLES)]
    tiles = [bench.objective.select(slice(TILE * i, TILE * (i + 1))) for i in range(TILES)]
    jobs: Jobs = {}
    for name, timed in runs.items():
        jobs[name, 0] = lambda timed=timed: timed.run(singles)
        jobs[name, 1] = lambda timed=timed: timed.run(tiles)
    medians = medians_ms(jobs, rounds)
    return {name: (medians[name, 0] / SINGLES, medians[name, 1] / (TILE * TILES)) for name in runs}


def medians_ms(
    jobs: Mapping[tuple[str, int], Callable[[], None]], rounds: int
) -> dict[tuple[str, int], float]:
    """Median milliseconds of every job, in rounds; the first round warms up."""
    measured: dict[tuple[str, int], list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            if turn:
                measured[name].append(1e3 * (time.process_time() - began))
    return {name: statistics.median(values) for name, values in measured.items()}
