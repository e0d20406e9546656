"""A clip of one person as one problem: pieces between cuts, one shape, feet that stand still.

    keypoints -> cuts -> sides put right -> frames read -> smoothed -> minimised -> feet held -> minimised

A clip is worked on in pieces: what lies between two cuts, and of that no more frames at once than memory
likes. Pieces of one long take overlap and are blended over the overlap. Of a quick camera's frames those
that one of the common rate would have taken are fitted first, and all begin from there: the same motion then
comes out alike whatever the camera.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .body_model import BodyPose
from .clip_descent import Descent, descent
from .clip_feet import contacts_of, with_points_in_place
from .clip_motion import (
    COMMON_RATE,
    ClipMotion,
    clip_axes,
    frame_rate_of,
    frames_apart,
    motion_of,
    read_clip,
    rough_height,
)
from .clip_problem import ClipProblem, clip_problem
from .cuts import cuts_and_strays, jump_cuts
from .errors import FitError
from .fit_state import ClipFindings, FitState, FitStatus
from .hypotheses import OUTLIER
from .minimizer import Minimizer, MinimizerState
from .side_swaps import side_swaps
from .starts import NEAREST_START
from .view import PersonView, Start

# Frames worked on at once, and the seconds by which neighbouring pieces of a take overlap.
PIECE, OVERLAP = 1500, 1.0
# Iterations before outliers are dropped; from one shown state to the next: to show one takes half as long as
# an iteration.
LOOK_AFTER, SHOWN_EVERY = 10, 10
# What follows the common rate ends with an iteration that takes less than this share off the energy. Further
# ones come no nearer to the truth, and take apart what two cameras saw of one motion. Not where something is
# held or pinned: that may be at a frame of which the common rate knows nothing.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Piece:
    """Frames ``first`` to ``last`` (not included); those before ``begin`` are also in the piece before."""

    first: int
    begin: int
    last: int

    @property
    def frames(self) -> slice:
        """All of its frames."""
        return slice(self.first, self.last)


def pieces(cuts: np.ndarray, frame_rate: float) -> list[Piece]:
    """The pieces of a clip; ``cuts`` [T] is set where a new take begins."""
    edges = [0, *(np.flatnonzero(cuts[1:]) + 1), len(cuts)]
    overlap = round(OVERLAP * frame_rate)
    found = []
    for start, stop in itertools.pairwise(edges):
        count = -(-(stop - start) // PIECE)
        inner = np.linspace(start, stop, count + 1).round().astype(int).tolist()
        for begin, last in itertools.pairwise(inner):
            found.append(Piece(max(start, begin - overlap), begin, last))
    return found


@dataclass(frozen=True, eq=False)
class _Clip:
    """What the stages share: the keypoints as they are believed, what was found, how to minimise."""

    view: PersonView
    reading: ClipMotion
    cuts: np.ndarray
    unsure: np.ndarray
    minimizer: Minimizer[MinimizerState]
    max_iterations: int
    shown: bool

    def state(self, motion: ClipMotion, iteration: int, status: FitStatus) -> FitState:
        """What a caller sees of a motion."""
        view = self.view.without(motion.dropped)
        initializer = view.problem.initializer
        assert initializer is not None
        back, eye = clip_axes(view)
        rotations = motion.rotations.copy()
        rotations[:, 0] = np.swapaxes(back, -1, -2) @ rotations[:, 0]
        size = view.chain.size
        pelvis = np.einsum("tji,tj->ti", back, motion.pelvis - eye)
        start = Start(
            np.arange(len(pelvis)),
            rotations,
            pelvis,
            np.tile(motion.betas, (len(pelvis), 1)),
            np.maximum(-pelvis[:, 2], NEAREST_START),
            initializer.covariance[:size, :size],
            root=initializer.root[:size, :size],
        )
        objective, z = view.objective(start)
        findings = ClipFindings(self.cuts, self.unsure, motion.contacts, motion.feet)
        return FitState(iteration, status, motion.loss, view, objective, z, findings)


def fit_clip(
    view: PersonView,
    minimizer: Minimizer[MinimizerState],
    max_iterations: int,
    initial: BodyPose | None = None,
    *,
    shown: bool = True,
) -> Generator[FitState, None, FitState]:
    """Fit a clip; every state shows all frames, those not yet solved as they were read.

    With ``initial`` (camera axes) the clip begins at that motion. If nobody looks at the way, ``shown`` False
    spares what it takes to show it.
    """
    clip = _prepared(view, minimizer, max_iterations, shown)
    parts = pieces(clip.cuts, frame_rate_of(view))
    # A take without a frame that can be fitted stays as it was read.
    parts = [part for part in parts if view.problem.fitted_frames[part.frames].any()]
    motion, iteration = clip.reading, 0
    begin = None if initial is None else motion_of(view, initial)
    if shown:
        yield clip.state(begin or motion, 0, FitStatus.RUNNING)
    for again in range(min(len(parts), 2)):
        shapes = []
        for part in parts:
            shape = None if not again else motion.betas
            before = motion
            for steps, solved in _solve(clip, part, begin, shape):
                motion = before.with_piece(solved, part.first, part.begin)
                iteration += steps
                if shown:
                    yield clip.state(motion, iteration, FitStatus.RUNNING)
            shapes.append(motion.betas)
        # Again with the shape that the pieces have in common.
        lengths = [part.last - part.begin for part in parts]
        motion = begin = replace(motion, betas=np.average(shapes, axis=0, weights=lengths))
    return clip.state(motion, iteration, FitStatus.CONVERGED)


def _prepared(
    view: PersonView, minimizer: Minimizer[MinimizerState], max_iterations: int, shown: bool
) -> _Clip:
    """Strays left out, cuts found, sides put right where they were exchanged, and every frame read."""
    problem = view.problem
    if problem.initializer is None:
        raise FitError("A clip is fitted from the initializer's reading: leave the problem its initializer")
    rate, names = frame_rate_of(view), view.chain.landmarks
    xy = problem.keypoints.xy[:, problem.usable]
    height = rough_height(xy, view.confidence)
    cuts, stray = cuts_and_strays(xy, view.confidence, height, rate, names)
    if stray.any():
        view = view.without(np.repeat(stray[:, None], len(names), axis=1))
        cuts = jump_cuts(xy, view.confidence, height, rate, names)
    swaps = side_swaps(xy, view.confidence, names, height, rate, cuts)
    exchanged = np.flatnonzero(swaps.swapped.any(axis=1))
    for order in np.unique(swaps.order[exchanged], axis=0):
        view = view.reordered(exchanged[np.all(swaps.order[exchanged] == order, axis=1)], order)
    reading = read_clip(view, cuts)
    return _Clip(view, reading, cuts, swaps.unsure, minimizer, max_iterations, shown)


class _Shown(NamedTuple):
    """A motion, and how many iterations it is from the one shown before."""

    steps: int
    motion: ClipMotion


def _solve(
    clip: _Clip, part: Piece, begin: ClipMotion | None, shape: np.ndarray | None
) -> Generator[_Shown, None, None]:
    """One piece: minimised, where it was filmed fast at the common rate first, and with the feet held."""
    view, reading = clip.view.frames(part.frames), clip.reading.frames(part.frames)
    if shape is not None:
        reading = replace(reading, betas=shape)
    stride = frames_apart(frame_rate_of(view), COMMON_RATE)
    common = np.arange(part.first, part.last) % stride == 0
    look_after, least_gain, contacts = LOOK_AFTER, 0.0, None
    if begin is not None:
        begin = begin.frames(part.frames)
    elif stride > 1 and view.problem.fitted_frames[common].any():
        begin = yield from _at_common_rate(clip, view, reading, common, stride)
        look_after, contacts = 0, begin.contacts
        least_gain = LEAST_GAIN if view.kept is None and view.problem.pins is None else 0.0
    problem = clip_problem(view, reading)
    objective = problem.objective if shape is None else problem.objective.with_fixed_shape()
    z = problem.start if begin is None else problem.coordinates(begin)
    begun = descent(objective, z, clip.minimizer)
    way, (steps, solved) = yield from _minimised(clip, problem, begun, reading, look_after, least_gain)
    if contacts is None:
        contacts = contacts_of(problem, solved)
    if contacts.any() or view.problem.pins is not None:
        solved = problem.motion(with_points_in_place(problem, way, contacts), solved)
    yield _Shown(steps, replace(solved, contacts=contacts))


def _at_common_rate(
    clip: _Clip, view: PersonView, reading: ClipMotion, common: np.ndarray, stride: int
) -> Generator[_Shown, None, ClipMotion]:
    """What a camera that took every ``stride``-th frame, ``common`` [T], would have given, and between it.

    Feet are not held yet, but which of them stand is found.
    """
    few, read = view.frames(common), reading.frames(common)
    few = replace(few, problem=replace(few.problem, frame_rate=frame_rate_of(view) / stride))
    problem = clip_problem(few, read)
    begun = descent(problem.objective, problem.start, clip.minimizer)
    course = _minimised(clip, problem, begun, read, LOOK_AFTER)
    _, (steps, solved) = yield from _filled(course, common)
    solved = replace(solved, contacts=contacts_of(problem, solved)).filled(common)
    if view.problem.contacts is not None:
        solved = replace(solved, contacts=view.problem.contacts)
    yield _Shown(steps, solved)
    return solved


def _minimised(
    clip: _Clip,
    problem: ClipProblem,
    begun: Descent,
    like: ClipMotion,
    look_after: int,
    least_gain: float = 0.0,
) -> Generator[_Shown, None, tuple[Descent, _Shown]]:
    """Down an energy, ``look_after`` iterations and then more without outliers, until one gains too little.

    Returns where that ends, and its motion, which was not shown yet; contacts are those of ``like``.
    """
    way, early = yield from _down(clip, problem, begun, like, min(look_after, clip.max_iterations))
    dropped = way.objective.outliers(way.posed, OUTLIER)
    if dropped.any():
        way = way.on(way.objective.without(dropped))
    like = replace(like, dropped=dropped.T)
    way, late = yield from _down(clip, problem, way, like, clip.max_iterations, least_gain)
    return way, _Shown(early + late, problem.motion(way.posed, like))


def _down(
    clip: _Clip, problem: ClipProblem, begun: Descent, like: ClipMotion, count: int, least_gain: float = 0.0
) -> Generator[_Shown, None, tuple[Descent, int]]:
    """The way down, of which every few points are shown. Returns its end, and the iterations since.

    It ends where the minimizer has converged, or lowers the energy by a share of it below ``least_gain``.
    """
    way, done, told = begun, 0, 0
    for done, after in enumerate(begun.steps(count), start=1):
        energy = float(after.state.energy[0])
        gain, way = float(way.state.energy[0]) - energy, after
        if 0 < gain < least_gain * energy:
            break
        if clip.shown and done % SHOWN_EVERY == 0:
            yield _Shown(done - told, problem.motion(way.posed, like))
            told = done
    return way, done - told


def _filled(
    course: Generator[_Shown, None, tuple[Descent, _Shown]], known: np.ndarray
) -> Generator[_Shown, None, tuple[Descent, _Shown]]:
    """What is shown of the frames ``known`` [T], with all others between them."""
    while True:
        try:
            steps, motion = next(course)
        except StopIteration as end:
            return end.value
        yield _Shown(steps, motion.filled(known))
