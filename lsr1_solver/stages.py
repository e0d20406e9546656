"""The stages of a fit of stills: each yields states on its way and returns the one it ends with."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np

from .depth_flip import flip_limb
from .fit_state import FitState, FitStatus
from .hypotheses import CONVINCING, DROPPED_COST, SUSPICIOUS, exchanged, outliers
from .initializer import Initializer
from .kinematics import PELVIS
from .knees import AHEAD, INDIFFERENT, LEGS, thighs, undecided
from .minimizer import LevenbergMarquardt, Minimizer, MinimizerState, selected
from .objective import Objective
from .problem import PARTS, SHAPE
from .refine import with_parts
from .starts import YAWS, initializer_start, pose_energy, start_at, yaw_starts
from .view import PersonView

# Steps that every yaw gets before the lowest energy is chosen.
START_STEPS = 10
# Problems worked on at once: more would leave the processor's cache.
TILE = 64

Progress = Generator[FitState, None, FitState]


@dataclass(frozen=True, eq=False)
class _Work:
    """The problems ``rows`` [R] of a batch, and how far a minimizer has come with them."""

    rows: np.ndarray
    objective: Objective
    state: MinimizerState

    def unfinished(self) -> _Work:
        """Without what has converged, once that is half of it: each step would work on it for nothing."""
        if 2 * np.count_nonzero(self.state.converged) < len(self.rows):
            return self
        left = np.flatnonzero(~self.state.converged)
        return _Work(self.rows[left], self.objective.select(left), selected(self.state, left))

    def after(self, minimizer: Minimizer[MinimizerState]) -> _Work:
        """One step on."""
        return replace(self, state=minimizer.step(self.objective, self.state))


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of a fit: each yields states on its way and returns the one it ends with."""

    minimizer: Minimizer[MinimizerState]
    max_iterations: int

    def minimise(
        self, objective: Objective, z: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, FitStatus]]:
        """Tiles of a batch in lockstep: points [B, n], energies [B] and status until all have converged."""
        tiles = [np.arange(first, min(first + TILE, len(z))) for first in range(0, len(z), TILE)]
        parts = [objective.select(tile) for tile in tiles] if len(tiles) > 1 else [objective]
        work = [
            _Work(tile, part, self.minimizer.init(part, z[tile]))
            for tile, part in zip(tiles, parts, strict=True)
        ]
        energy = np.empty(len(z))
        for iteration in range(self.max_iterations + 1):
            z, energy = z.copy(), energy.copy()  # what was shown stays as it was
            for each in work:
                z[each.rows], energy[each.rows] = each.state.z, each.state.energy
            work = [each.unfinished() for each in work if not each.state.converged.all()]
            status = FitStatus.RUNNING
            if not work:  # a problem without an energy counts as converged
                status = FitStatus.DIVERGED if np.all(np.isnan(energy)) else FitStatus.CONVERGED
            elif iteration == self.max_iterations:
                status = FitStatus.MAX_ITERATIONS
            yield z, energy, status
            if status is not FitStatus.RUNNING:
                return
            work = [each.after(self.minimizer) for each in work]

    def descend(self, view: PersonView, objective: Objective, z: np.ndarray, iteration: int = 0) -> Progress:
        """All frames, each on its own."""
        state: FitState | None = None
        for best, loss, status in self.minimise(objective, z):
            state = FitState(iteration, status, loss, view, objective, best)
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
        # Where less is left than one point costs, dropping it cannot pay.
        doubtful = state.loss > DROPPED_COST
        if not doubtful.any():
            return state
        residual, _, _ = state.objective.reprojection(state.objective.points(state.z))
        drop = outliers(state.view, residual) & doubtful[:, None]
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
        z, loss, _ = deque(self.minimise(objective, z), maxlen=1).pop()
        return (yield from self._with_better(state, view, objective, z, loss, frames, loss < limit))

    def with_knees_ahead(self, state: FitState) -> Progress:
        """Where nothing tells whether a knee is ahead of its hip or behind, have it ahead."""
        body, objective = state.view.problem.body, state.objective
        reading = thighs(body, objective.centre, objective.offset[:, PELVIS])
        if not reading.open.any():
            return state
        open_legs = undecided(reading, thighs(body, *state.view.turned(state.pose)[:2]))
        for leg in np.flatnonzero(open_legs.any(axis=0)):
            frames = np.flatnonzero(open_legs[:, leg])
            view, before = state.view.frames(frames), state.pose.frames(frames)
            problem = view.problem
            twin = flip_limb(body, before, LEGS[leg], bones="upper", prior=problem.prior)
            objective, z = view.objective(start_at(view, twin))
            z, loss, _ = deque(self.minimise(objective, z), maxlen=1).pop()
            after = view.body_pose(objective, z, np.arange(len(frames)))
            better = thighs(body, *view.turned(after)[:2]).ahead[:, leg] > AHEAD
            better &= pose_energy(problem, after) < pose_energy(problem, before) + INDIFFERENT
            state = yield from self._with_better(state, state.view, objective, z, loss, frames, better)
        return state

    def _with_better(
        self,
        state: FitState,
        view: PersonView,
        objective: Objective,
        z: np.ndarray,
        loss: np.ndarray,
        frames: np.ndarray,
        better: np.ndarray,
    ) -> Progress:
        """The state with a fit of some ``frames`` [F] where that is ``better`` [F]."""
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
