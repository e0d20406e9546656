"""``fit``: from a problem to poses, one step at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import cast

import numpy as np

from .body_model import BodyPose
from .camera import project
from .clip import ACCELERATION_SIGMA, ClipObjective, bridge_gaps
from .errors import FitError
from .kinematics import PELVIS, pose_chain
from .minimizer import Adam, LevenbergMarquardt, Minimizer, MinimizerState, State
from .objective import Objective
from .problem import SHAPE, FitProblem
from .quasi_newton import LBFGS, SR1
from .starts import YAWS, start_at, yaw_starts
from .view import PersonView, person_view

# Steps that every yaw gets before the lowest energy is chosen.
START_STEPS = 10
# Problems worked on at once: more would leave the processor's cache.
TILE = 64
DEFAULT_MINIMIZER = LevenbergMarquardt()
# Cast: each is only given states of its own making, which the protocol can't say of a mixed table.
MINIMIZERS = {
    m.name: cast("Minimizer[MinimizerState]", m) for m in (LevenbergMarquardt(), LBFGS(), SR1(), Adam())
}


class FitStatus(Enum):
    """How far a fit has come."""

    RUNNING = "running"
    CONVERGED = "converged"
    MAX_ITERATIONS = "stopped at the limit of iterations"
    DIVERGED = "diverged"


@dataclass(frozen=True, eq=False)
class FitState:
    """A fit after ``iteration`` steps.

    ``loss`` [B] the energy (of a clip tied in time: the mean); ``fitted`` [B] whether the frame has a pose of
    its own (a frame without enough keypoints does not). Pose and reprojection are worked out when asked for.
    """

    iteration: int
    status: FitStatus
    loss: np.ndarray
    fitted: np.ndarray
    view: PersonView
    objective: Objective
    z: np.ndarray

    @cached_property
    def pose(self) -> BodyPose:
        """The body's parameters, in camera axes (y up, the camera looks along -z)."""
        return self.view.body_pose(self.objective, self.z, np.arange(len(self.z)))

    @cached_property
    def points(self) -> np.ndarray:
        """The body's keypoints in camera axes, metres [B, K, 3]; NaN where the body has no such point."""
        usable = self.view.problem.usable
        posed = pose_chain(self.objective.chain, self.objective.centre, self.objective.parameters(self.z))
        points = np.full((len(self.z), len(usable), 3), np.nan)
        points[:, usable] = posed.points[:, : usable.sum()] @ self.view.turn
        return points

    @cached_property
    def reprojected(self) -> np.ndarray:
        """The body's keypoints in the picture, pixels [B, K, 2]; NaN where the body has no such point."""
        return project(self.view.problem.camera, self.points)

    @cached_property
    def reprojection_error(self) -> np.ndarray:
        """Distance from each keypoint to its reprojection, pixels [B, K]; NaN where there is none."""
        keypoints = self.view.problem.keypoints
        distance = np.linalg.norm(self.reprojected - keypoints.xy, axis=-1)
        return np.where((keypoints.confidence > 0) & self.fitted[:, None], distance, np.nan)

    @cached_property
    def person_height(self) -> np.ndarray:
        """The height of the mean body at the person's distance, pixels [B]: what percentages refer to."""
        depth = -self.objective.parameters(self.z)[:, PELVIS.stop - 1]
        return np.ravel(self.view.problem.camera.focal_length) * self.view.height / depth

    @property
    def reprojection_percent(self) -> float:
        """Mean reprojection error in % of the person's height, over all seen keypoints."""
        return 100 * float(np.nanmean(self.reprojection_error / self.person_height[:, None]))


def fit(
    problem: FitProblem,
    minimizer: Minimizer[State] = DEFAULT_MINIMIZER,
    *,
    initial: BodyPose | None = None,
    max_iterations: int = 60,
) -> Generator[FitState, None, None]:
    """Fit a body to keypoints; every state shows the best poses so far, the last one is the result.

    ``initial`` is where to begin (B frames, camera axes); without it the fit begins upright at eight yaws and
    keeps the lowest energy. Dropping the iterator cancels the fit; nothing of the caller's is ever changed.

    Raises FitError where something is fixed but no initial pose says at what value.
    """
    view = person_view(problem)
    if initial is None:
        if problem.fixed:
            raise FitError(
                f"{sorted(problem.fixed)[0]!r} is fixed: give the initial pose that holds its value"
            )
        state = yield from _from_yaws(view, minimizer)
        objective, z, iteration = state.objective, state.z, state.iteration
        if problem.weights.temporal > 0:  # a frame without keypoints begins between its neighbours
            objective, z = view.objective(start_at(view, bridge_gaps(state.pose, problem.fitted_frames)))
    else:
        objective, z = view.objective(start_at(view, initial))
        iteration = 0
    yield from _descend(view, objective, z, minimizer, iteration, max_iterations)


def fit_one_shape(
    problem: FitProblem, minimizer: Minimizer[State] = DEFAULT_MINIMIZER, *, max_iterations: int = 60
) -> Iterator[FitState]:
    """``fit`` for a clip of one person: every frame, then again with the mean shape of them all."""
    state: FitState | None = None
    for state in fit(problem, minimizer, max_iterations=max_iterations):
        yield state
    if state is None or len(problem.keypoints) == 1:
        return
    betas = np.tile(state.pose.betas[state.fitted].mean(axis=0), (len(problem.keypoints), 1))
    again = replace(problem, fixed=frozenset({SHAPE}))
    yield from fit(again, minimizer, initial=replace(state.pose, betas=betas), max_iterations=max_iterations)


def fit_pose(
    problem: FitProblem,
    minimizer: Minimizer[State] = DEFAULT_MINIMIZER,
    *,
    initial: BodyPose | None = None,
    max_iterations: int = 60,
) -> FitState:
    """The last state of ``fit``: for callers who have no use for the way there."""
    *_, last = fit(problem, minimizer, initial=initial, max_iterations=max_iterations)
    return last


def _from_yaws(view: PersonView, minimizer: Minimizer[State]) -> Generator[FitState, None, FitState]:
    """Minimise from eight yaws a frame, a tile of frames at a time; the states show each frame's best."""
    frames = np.arange(len(view.turn))
    objective, z_starts = view.objective(yaw_starts(view, frames))
    chosen = YAWS * frames
    z, loss = z_starts[chosen], np.full(len(frames), np.inf)
    width = TILE // YAWS
    for first in range(0, len(frames), width):
        tile, rows = slice(first, first + width), slice(YAWS * first, YAWS * (first + width))
        part = objective.select(rows)
        minimizing = minimizer.init(part, z_starts[rows])
        for step in range(1, START_STEPS + 1):
            minimizing = minimizer.step(part, minimizing)
            if len(frames) > width and step < START_STEPS:
                continue  # a long clip shows tile after tile, a short one every step
            energy = np.where(np.isnan(minimizing.energy), np.inf, minimizing.energy).reshape(-1, YAWS)
            best = np.argmin(energy, axis=1) + YAWS * np.arange(len(energy))
            chosen[tile] = best + rows.start
            z[tile], loss[tile] = minimizing.z[best], minimizing.energy[best]
            yield _state(view, objective.select(chosen), z.copy(), loss.copy(), step, FitStatus.RUNNING)
    return _state(view, objective.select(chosen), z, loss, START_STEPS, FitStatus.RUNNING)


def _descend(
    view: PersonView,
    objective: Objective,
    z: np.ndarray,
    minimizer: Minimizer[State],
    iteration: int,
    max_iterations: int,
) -> Iterator[FitState]:
    """Minimise all frames in lockstep, tile by tile, until every one has converged."""
    temporal = view.problem.weights.temporal
    if temporal > 0:
        parts = [ClipObjective(objective, view.turn, temporal / ACCELERATION_SIGMA**2)]
        states = [minimizer.init(parts[0], z.reshape(1, -1))]
    else:
        tiles = [slice(first, first + TILE) for first in range(0, len(z), TILE)]
        parts = [objective.select(tile) for tile in tiles]
        states = [minimizer.init(part, z[tile]) for part, tile in zip(parts, tiles, strict=True)]
    for count in range(iteration, iteration + max_iterations + 1):
        z = np.concatenate([state.z.reshape(-1, objective.dimension) for state in states])
        energy = np.concatenate([state.energy for state in states])
        energy = energy if temporal == 0 else np.full(len(z), energy[0] / len(z))
        done = [bool(np.all(state.converged)) for state in states]
        status = FitStatus.RUNNING
        if not np.all(np.isfinite(energy)):
            status = FitStatus.DIVERGED
        elif all(done):
            status = FitStatus.CONVERGED
        elif count == iteration + max_iterations:
            status = FitStatus.MAX_ITERATIONS
        yield _state(view, objective, z, energy, count, status)
        if status is not FitStatus.RUNNING:
            return
        states = [
            state if finished else minimizer.step(part, state)
            for part, state, finished in zip(parts, states, done, strict=True)
        ]


def _state(
    view: PersonView, objective: Objective, z: np.ndarray, loss: np.ndarray, iteration: int, status: FitStatus
) -> FitState:
    return FitState(iteration, status, loss, view.problem.fitted_frames, view, objective, z)
