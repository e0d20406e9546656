"""``fit``: from a problem to poses, one step at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from .body_model import BodyPose
from .clip import fit_clip
from .clip_minimizer import load_clip_minimizer
from .errors import FitError
from .fit_state import FitState, FitStatus
from .hypotheses import CONVINCING, DROPPED_COST, SUSPICIOUS, SWAPPED_LIMBS, exchanged, outliers
from .initializer import Initializer
from .learned_sr1 import LearnedSR1, load_learned_sr1
from .minimizer import Adam, LevenbergMarquardt, Minimizer, MinimizerState, State
from .objective import Objective
from .problem import PARTS, SHAPE, FitProblem
from .quasi_newton import LBFGS, SR1
from .refine import with_parts
from .starts import YAWS, initializer_start, start_at, yaw_starts
from .threads import one_blas_thread
from .view import PersonView, person_view

# Steps that every yaw gets before the lowest energy is chosen.
START_STEPS = 10
# Problems worked on at once: more would leave the processor's cache.
TILE = 64
# How often outliers are dropped and the person is read anew.
ROUNDS = 2

Progress = Generator[FitState, None, FitState]


class _Minimizers(Mapping[str, Minimizer[MinimizerState]]):
    """Every minimizer by name, the default first; the trained weights are read when first asked for."""

    _makers: Mapping[str, Callable[[], object]] = {
        "lsr1": load_learned_sr1,
        "lm": LevenbergMarquardt,
        "lbfgs": LBFGS,
        "sr1": SR1,
        "adam": Adam,
    }

    def __getitem__(self, name: str) -> Minimizer[MinimizerState]:
        # Cast: each is only given states of its own making, which the protocol can't say of a mixed table.
        return cast("Minimizer[MinimizerState]", self._makers[name]())

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


MINIMIZERS = _Minimizers()


def fit(
    problem: FitProblem,
    minimizer: Minimizer[State] | None = None,
    *,
    initial: BodyPose | None = None,
    one_shape: bool = False,
    max_iterations: int = 60,
) -> Generator[FitState, None, None]:
    """Fit a body to keypoints; every state shows the best poses so far, the last one is the result.

    ``minimizer`` is L-SR1 unless another is given. ``initial`` is where to begin (B frames, camera axes);
    without it the initializer reads a first pose off the keypoints, and keypoints that turn out not to fit
    are dropped or, where a limb's sides are swapped, exchanged. With ``one_shape`` every frame is then fitted
    again with the mean shape of them all, as becomes the clip of one person. Dropping the iterator cancels
    the fit; nothing of the caller's is ever changed.

    Raises FitError where something is fixed but no initial pose says at what value.
    """
    states = _states(problem, minimizer, initial, one_shape, max_iterations)
    while True:
        with one_blas_thread():
            state = next(states, None)
        if state is None:
            return
        yield state


def _states(
    problem: FitProblem,
    minimizer: Minimizer[State] | None,
    initial: BodyPose | None,
    one_shape: bool,
    max_iterations: int,
) -> Generator[FitState, None, None]:
    # Cast: the stages hand a minimizer its own states back.
    chosen = cast("Minimizer[MinimizerState]", minimizer or MINIMIZERS["lsr1"])
    stages = _Stages(chosen, max_iterations)
    view = person_view(problem)
    held = np.isfinite(problem.firmness)
    if held.any() and initial is None:
        part = PARTS[int(np.argmax(held.any(axis=0)))]
        raise FitError(f"{part!r} is fixed: give the initial pose that holds its value")
    if held.any():
        view = replace(view, kept=initial)
    if problem.frame_rate is not None and problem.weights.temporal > 0:
        # What has learned from stills gives way to its like that has learned from clips.
        of_clips = load_clip_minimizer() if isinstance(chosen, LearnedSR1) else chosen
        # Cast: the minimizer is only given states of its own making.
        clip_minimizer = cast("Minimizer[MinimizerState]", of_clips)
        yield (yield from fit_clip(view, clip_minimizer, max_iterations, initial))
        return
    if initial is not None:
        state = yield from stages.descend(view, *view.objective(start_at(view, initial)))
    elif problem.initializer is None:
        state = yield from stages.from_yaws(view)
        state = yield from stages.descend(view, state.objective, state.z, state.iteration)
    else:
        start = initializer_start(view, problem.initializer, np.arange(len(view.turn)))
        state = yield from stages.descend(view, *view.objective(start))
        for parts in SWAPPED_LIMBS:
            state = yield from stages.with_sides_exchanged(state, problem.initializer, parts)
        for _ in range(ROUNDS):
            before = state
            state = yield from stages.without_outliers(state, problem.initializer)
            if state is before:  # nothing was dropped: another look would see the same
                break
    if (one_shape or problem.frame_rate is not None) and len(view.turn) > 1:
        state = yield from stages.with_one_shape(state)
    yield state


def fit_pose(
    problem: FitProblem,
    minimizer: Minimizer[State] | None = None,
    *,
    initial: BodyPose | None = None,
    one_shape: bool = False,
    max_iterations: int = 60,
) -> FitState:
    """The last state of ``fit``: for callers who have no use for the way there."""
    states = fit(problem, minimizer, initial=initial, one_shape=one_shape, max_iterations=max_iterations)
    return deque(states, maxlen=1).pop()  # the states of a long clip don't fit in memory all at once


@dataclass(frozen=True, eq=False)
class _Stages:
    """The stages of a fit: each yields states on its way and returns the one it ends with."""

    minimizer: Minimizer[MinimizerState]
    max_iterations: int

    def minimise(
        self, parts: Sequence[Objective], z: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, FitStatus]]:
        """Several batches in lockstep: their points, energies and status until all have converged."""
        states = [self.minimizer.init(part, start) for part, start in zip(parts, z, strict=True)]
        for iteration in range(self.max_iterations + 1):
            done = [bool(np.all(state.converged)) for state in states]
            energy = np.concatenate([state.energy for state in states])
            status = FitStatus.RUNNING
            if np.all(np.isnan(energy)):
                status = FitStatus.DIVERGED
            elif all(done):
                status = FitStatus.CONVERGED
            elif iteration == self.max_iterations:
                status = FitStatus.MAX_ITERATIONS
            yield np.concatenate([state.z for state in states]), energy, status
            if status is not FitStatus.RUNNING:
                return
            states = [
                state if finished else self.minimizer.step(part, state)
                for part, state, finished in zip(parts, states, done, strict=True)
            ]

    def descend(self, view: PersonView, objective: Objective, z: np.ndarray, iteration: int = 0) -> Progress:
        """All frames, each on its own."""
        tiles = [slice(first, first + TILE) for first in range(0, len(z), TILE)]
        state: FitState | None = None
        parts = [objective.select(tile) for tile in tiles]
        for z, loss, status in self.minimise(parts, [z[tile] for tile in tiles]):
            state = FitState(iteration, status, loss, view, objective, z)
            if status is FitStatus.RUNNING:
                yield state
                iteration += 1
        assert state is not None
        return state

    def from_yaws(self, view: PersonView) -> Progress:
        """Eight yaws a frame, a tile of frames at a time; the states show each frame's best so far.

        Always by Levenberg-Marquardt: so far from the answer, a new Jacobian every step pays.
        """
        scout = LevenbergMarquardt()
        frames = np.arange(len(view.turn))
        objective, z_starts = view.objective(yaw_starts(view, frames))
        chosen = YAWS * frames
        z, loss = z_starts[chosen], np.full(len(frames), np.inf)
        width = TILE // YAWS
        for first in range(0, len(frames), width):
            tile, rows = slice(first, first + width), slice(YAWS * first, YAWS * (first + width))
            part = objective.select(rows)
            minimizing = scout.init(part, z_starts[rows])
            for step in range(1, START_STEPS + 1):
                minimizing = scout.step(part, minimizing)
                if len(frames) > width and step < START_STEPS:
                    continue  # a long clip shows tile after tile, a short one every step
                energy = np.where(np.isnan(minimizing.energy), np.inf, minimizing.energy).reshape(-1, YAWS)
                best = np.argmin(energy, axis=1) + YAWS * np.arange(len(energy))
                chosen[tile] = best + rows.start
                z[tile], loss[tile] = minimizing.z[best], minimizing.energy[best]
                yield FitState(step, FitStatus.RUNNING, loss.copy(), view, objective.select(chosen), z.copy())
        return FitState(START_STEPS, FitStatus.RUNNING, loss, view, objective.select(chosen), z)

    def without_outliers(self, state: FitState, initializer: Initializer) -> Progress:
        """Drop what no noise explains, and read those frames anew."""
        residual, _, _ = state.objective.reprojection(state.objective.pose(state.z).points)
        drop = outliers(state.view, residual)
        frames = np.flatnonzero(drop.any(axis=1))
        if not len(frames):
            return state
        view = state.view.without(drop)
        limit = state.loss[frames] - DROPPED_COST * drop[frames].sum(axis=1)
        return (yield from self._read_anew(state, view, initializer, frames, limit))

    def with_sides_exchanged(
        self, state: FitState, initializer: Initializer, parts: tuple[str, ...]
    ) -> Progress:
        """Where much is unexplained, try a limb's left and right exchanged; keep what explains it."""
        seen = np.sum(state.view.confidence > 0, axis=1)
        frames = np.flatnonzero(state.loss > SUSPICIOUS * np.maximum(seen, 1))
        if not len(frames):
            return state
        view = state.view.reordered(frames, exchanged(state.view, parts))
        return (yield from self._read_anew(state, view, initializer, frames, CONVINCING * state.loss[frames]))

    def _read_anew(
        self,
        state: FitState,
        view: PersonView,
        initializer: Initializer,
        frames: np.ndarray,
        limit: np.ndarray,
    ) -> Progress:
        """Fit some ``frames`` [F] anew in another view; kept where the energy is below ``limit`` [F]."""
        objective, z = view.objective(initializer_start(view, initializer, frames))
        z, loss, _ = deque(self.minimise([objective], [z]), maxlen=1).pop()
        better = loss < limit
        kept = frames[better]
        merged_z, merged_loss = state.z.copy(), state.loss.copy()
        merged_z[kept], merged_loss[kept] = z[better], loss[better]
        state = replace(
            state,
            iteration=state.iteration + 1,
            view=state.view.merge(kept, view),
            objective=state.objective.merge(kept, objective.select(better)),
            z=merged_z,
            loss=merged_loss,
        )
        yield replace(state, status=FitStatus.RUNNING)
        return state

    def with_one_shape(self, state: FitState) -> Progress:
        """Every frame again, with the mean shape of them all, or the one that a frame holds."""
        held = np.flatnonzero(state.view.problem.firmness[:, PARTS.index(SHAPE)] == 0)
        own = state.pose.betas
        betas = np.tile(own[held[0]] if len(held) else own[state.fitted].mean(axis=0), (len(own), 1))
        problem = state.view.problem
        kept = state.view.kept
        if kept is not None:  # of another shape, its pelvis still where it was
            same = np.ones((len(own), len(PARTS)), dtype=bool)
            same[:, PARTS.index(SHAPE)] = False
            kept = with_parts(problem.body, replace(kept, betas=betas), kept, same)
        view = replace(state.view, problem=replace(problem, fixed=problem.fixed | {SHAPE}), kept=kept)
        start = start_at(view, replace(state.pose, betas=betas))
        return (yield from self.descend(view, *view.objective(start), state.iteration))
