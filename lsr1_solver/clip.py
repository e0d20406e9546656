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

import numpy as np

from .body_model import BodyPose
from .clip_descent import Descent, descent
from .clip_feet import contacts_of, with_points_in_place
from .clip_motion import (
    COMMON_RATE,
    ClipMotion,
    clip_axes,
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
# Iterations before outliers are dropped and standing feet looked for; from one shown state to the next.
LOOK_AFTER, SHOWN_EVERY = 10, 10


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

    def state(self, motion: ClipMotion, iteration: int, status: FitStatus) -> FitState:
        """What a caller sees of a motion."""
        view = self.view.without(motion.dropped)
        initializer = view.problem.initializer
        assert initializer is not None
        back, eye = clip_axes(view)
        rotations = motion.rotations.copy()
        rotations[:, 0] = np.swapaxes(back, -1, -2) @ rotations[:, 0]
        pelvis = np.einsum("tji,tj->ti", back, motion.pelvis - eye)
        start = Start(
            np.arange(len(pelvis)),
            rotations,
            pelvis,
            np.tile(motion.betas, (len(pelvis), 1)),
            np.maximum(-pelvis[:, 2], NEAREST_START),
            initializer.covariance[: view.chain.size, : view.chain.size],
        )
        objective, z = view.objective(start)
        findings = ClipFindings(self.cuts, self.unsure, motion.contacts, motion.feet)
        return FitState(iteration, status, motion.loss, view, objective, z, findings)


def fit_clip(
    view: PersonView,
    minimizer: Minimizer[MinimizerState],
    max_iterations: int,
    initial: BodyPose | None = None,
) -> Generator[FitState, None, FitState]:
    """Fit a clip; every state shows all frames, those not yet solved as they were read.

    With ``initial`` (camera axes) the clip begins at that motion.
    """
    clip = _prepared(view, minimizer, max_iterations)
    parts = pieces(clip.cuts, _rate(view))
    # A take without a frame that can be fitted stays as it was read.
    parts = [part for part in parts if view.problem.fitted_frames[part.frames].any()]
    motion, iteration = clip.reading, 0
    begin = None if initial is None else motion_of(view, initial)
    yield (state := clip.state(begin or motion, 0, FitStatus.RUNNING))
    for again in range(min(len(parts), 2)):
        shapes = []
        for part in parts:
            shape = None if not again else motion.betas
            before = motion
            for solved in _solve(clip, part, begin, shape):
                motion = before.with_piece(solved, part.first, part.begin)
                iteration += 1
                yield (state := clip.state(motion, iteration, FitStatus.RUNNING))
            shapes.append(motion.betas)
        # Again with the shape that the pieces have in common.
        lengths = [part.last - part.begin for part in parts]
        motion = begin = replace(motion, betas=np.average(shapes, axis=0, weights=lengths))
    if len(parts) != 1:
        state = clip.state(motion, iteration, FitStatus.CONVERGED)
    return replace(state, status=FitStatus.CONVERGED)


def _prepared(view: PersonView, minimizer: Minimizer[MinimizerState], max_iterations: int) -> _Clip:
    """Strays left out, cuts found, sides put right where they were exchanged, and every frame read."""
    problem = view.problem
    if problem.initializer is None:
        raise FitError("a clip is fitted from the initializer's reading: leave the problem its initializer")
    rate, names = _rate(view), view.chain.landmarks
    shown = problem.keypoints.xy[:, problem.usable]
    height = rough_height(shown, view.confidence)
    cuts, stray = cuts_and_strays(shown, view.confidence, height, rate, names)
    if stray.any():
        view = view.without(np.repeat(stray[:, None], len(names), axis=1))
        cuts = jump_cuts(shown, view.confidence, height, rate, names)
    swaps = side_swaps(shown, view.confidence, names, height, rate, cuts)
    exchanged = np.flatnonzero(swaps.swapped.any(axis=1))
    for order in np.unique(swaps.order[exchanged], axis=0):
        view = view.reordered(exchanged[np.all(swaps.order[exchanged] == order, axis=1)], order)
    reading = read_clip(view, cuts)
    return _Clip(view, reading, cuts, swaps.unsure, minimizer, max_iterations)


def _solve(
    clip: _Clip, part: Piece, begin: ClipMotion | None, shape: np.ndarray | None
) -> Generator[ClipMotion, None, None]:
    """One piece: minimised, where it was filmed fast at the common rate first, and with the feet held."""
    view, reading = clip.view.frames(part.frames), clip.reading.frames(part.frames)
    if shape is not None:
        reading = replace(reading, betas=shape)
    stride = frames_apart(_rate(view), COMMON_RATE)
    common = np.arange(part.first, part.last) % stride == 0
    look_after, contacts = LOOK_AFTER, view.problem.contacts
    if begin is not None:
        begin = begin.frames(part.frames)
    elif stride > 1 and view.problem.fitted_frames[common].any():
        begin = yield from _at_common_rate(clip, view, reading, common, stride)
        look_after, contacts = 0, begin.contacts if contacts is None else contacts
    problem = clip_problem(view, reading)
    objective = problem.objective if shape is None else problem.objective.with_fixed_shape()
    z = problem.start if begin is None else problem.coordinates(begin)
    begun = descent(objective, z, clip.minimizer)
    way, solved = yield from _minimised(problem, begun, reading, look_after, clip.max_iterations)
    if contacts is None:
        contacts = contacts_of(problem, solved)
    if contacts.any() or view.problem.pins is not None:
        solved = problem.motion(with_points_in_place(problem, way, contacts), solved)
    yield replace(solved, contacts=contacts)


def _at_common_rate(
    clip: _Clip, view: PersonView, reading: ClipMotion, common: np.ndarray, stride: int
) -> Generator[ClipMotion, None, ClipMotion]:
    """What a camera that took every ``stride``-th frame, ``common`` [T], would have given, and between it.

    Feet are not held yet, but which of them stand is found.
    """
    few, read = view.frames(common), reading.frames(common)
    few = replace(few, problem=replace(few.problem, frame_rate=_rate(view) / stride))
    problem = clip_problem(few, read)
    begun = descent(problem.objective, problem.start, clip.minimizer)
    course = _minimised(problem, begun, read, LOOK_AFTER, clip.max_iterations)
    _, solved = yield from _filled(course, common)
    return replace(solved, contacts=contacts_of(problem, solved)).filled(common)


def _minimised(
    problem: ClipProblem, begun: Descent, like: ClipMotion, look_after: int, most: int
) -> Generator[ClipMotion, None, tuple[Descent, ClipMotion]]:
    """Down an energy, ``look_after`` iterations and then ``most`` without outliers."""
    way, solved = yield from _down(problem, begun, like, min(look_after, most))
    dropped = way.objective.outliers(way.posed, OUTLIER)
    way = way.on(way.objective.without(dropped))
    return (yield from _down(problem, way, replace(solved, dropped=dropped.T), most))


def _down(
    problem: ClipProblem, begun: Descent, like: ClipMotion, count: int
) -> Generator[ClipMotion, None, tuple[Descent, ClipMotion]]:
    """The way down; every few points are shown, and the end: to show one takes as long as to find a better.

    Returns where it ends, and the motion there; contacts and dropped keypoints are those of ``like``.
    """
    way, solved = begun, None
    for step, way in enumerate(begun.steps(count), start=1):
        solved = None
        if step % SHOWN_EVERY == 0:
            solved = problem.motion(way.posed, like)
            yield solved
    if solved is None:
        solved = problem.motion(way.posed, like)
        yield solved
    return way, solved


def _filled(
    course: Generator[ClipMotion, None, tuple[Descent, ClipMotion]], known: np.ndarray
) -> Generator[ClipMotion, None, tuple[Descent, ClipMotion]]:
    """What is shown of the frames ``known`` [T], with all others between them."""
    while True:
        try:
            yield next(course).filled(known)
        except StopIteration as end:
            return end.value


def _rate(view: PersonView) -> float:
    return view.problem.frame_rate or COMMON_RATE
