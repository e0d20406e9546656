"""``fit``: from a problem to poses, one step at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from .body_model import BodyPose
from .clip import fit_clip
from .clip_minimizer import load_clip_minimizer
from .errors import FitError
from .fit_state import FitState
from .hypotheses import SWAPPED_LIMBS
from .learned_sr1 import LearnedSR1, load_learned_sr1
from .minimizer import Adam, LevenbergMarquardt, Minimizer, MinimizerState, State
from .problem import PARTS, FitProblem
from .quasi_newton import LBFGS, SR1
from .stages import Stages
from .starts import initializer_start, start_at
from .threads import one_blas_thread
from .view import person_view

# How often outliers are dropped and the person is read anew.
ROUNDS = 2


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
    are dropped or, where a limb's sides are swapped, exchanged; a knee whose depth nothing tells is put ahead
    of its hip. With ``one_shape`` every frame is then fitted again with the mean shape of them all, as
    becomes the clip of one person. Dropping the iterator cancels the fit; nothing of the caller's is ever
    changed.

    Raises FitError where something is fixed but no initial pose says at what value.
    """
    states = _states(problem, minimizer, initial, one_shape, max_iterations, shown=True)
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
    *,
    shown: bool,
) -> Generator[FitState, None, None]:
    # Cast: the stages hand a minimizer its own states back.
    chosen = cast("Minimizer[MinimizerState]", minimizer or MINIMIZERS["lsr1"])
    stages = Stages(chosen, max_iterations)
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
        yield (yield from fit_clip(view, clip_minimizer, max_iterations, initial, shown=shown))
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
            before = state
            state = yield from stages.with_sides_exchanged(state, problem.initializer, parts)
            if state is before:  # nothing is suspicious
                break
        for _ in range(ROUNDS):
            before = state
            state = yield from stages.without_outliers(state, problem.initializer)
            if state is before:  # nothing was dropped: another look would see the same
                break
        state = yield from stages.with_knees_ahead(state)
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
    with one_blas_thread():
        states = _states(problem, minimizer, initial, one_shape, max_iterations, shown=False)
        return deque(states, maxlen=1).pop()  # the states of a long clip don't fit in memory all at once
