"""Other solutions: the poses that explain the same keypoints about as well, for a person to choose from.

A picture does not tell depth, and energy cannot either: limbs flipped along the view and other directions of
the whole body are local minima of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .body_model import BodyModel, BodyPose, posed_joints
from .depth_flip import FLIPS, flip_problem, turned_joints
from .errors import FitError
from .fitting import fit_pose
from .minimizer import LevenbergMarquardt
from .problem import FitProblem
from .refine import LIMBS
from .starts import YAWS, pose_energy, yaw_starts
from .view import person_view

# Poses of which no joint is farther apart than this, with the pelves laid over one another, are the same.
SAME_DISTANCE = 0.08  # metres
YAW_STEPS = 40


@dataclass(frozen=True, eq=False)
class Solution:
    """A pose (one frame, camera axes), its energy and where it comes from, in words."""

    pose: BodyPose
    energy: float
    source: str


def flips(problem: FitProblem, pose: BodyPose, limb: str) -> list[Solution]:
    """A limb's flips (both bones, one of them) fitted again, the most probable first: a button's next clicks.

    ``problem`` and ``pose`` of one frame. Raises FitError for an unknown limb and for several frames.
    """
    problem = _still(problem, pose)
    found = [
        _solution(problem, fit_pose(asked, initial=start).pose, words)
        for words, asked, start in flip_problems(problem, pose, limb)
    ]
    return sorted(found, key=lambda solution: solution.energy)


def flip_problems(
    problem: FitProblem, pose: BodyPose, limb: str, *, frames: np.ndarray | None = None
) -> Iterator[tuple[str, FitProblem, BodyPose]]:
    """For each of a limb's flips: what it is in words, what to fit, and where to begin.

    The frames, of a clip too, are as in `flip_problem`, which also says what is raised.
    """
    for bones in FLIPS if limb != "torso" else ("both",):
        words = f"{limb.replace('_', ' ')} flipped" + ("" if bones == "both" else f", {bones} bone")
        yield words, *flip_problem(problem, pose, limb, bones=bones, frames=frames)


def other_solutions(problem: FitProblem, pose: BodyPose) -> Iterator[tuple[Solution, ...]]:
    """The distinct solutions of one frame, lowest energy first; the tuples grow as more are found.

    ``pose`` is a fit's answer and always among them. Tried are every limb's flips from there, and eight yaws.
    What the problem holds exactly stays as in ``pose``. Raises FitError for several frames.
    """
    problem = _still(problem, pose)
    found = (_solution(problem, pose, "the fit"),)
    yield found
    for limb in LIMBS:
        if not np.any(problem.firmness[0, list(turned_joints(limb))] == 0):
            found = _merged(problem.body, found, flips(problem, pose, limb))
            yield found
    yield _merged(problem.body, found, _from_yaws(problem, pose))


def _from_yaws(problem: FitProblem, pose: BodyPose) -> list[Solution]:
    """Where eight upright starts lead; what is held is held at ``pose``."""
    view = replace(person_view(replace(problem, initializer=None)), kept=pose)
    frames = np.zeros(1, dtype=int)
    objective, z = view.objective(yaw_starts(view, frames))
    minimizer = LevenbergMarquardt()
    state = minimizer.init(objective, z)
    for _ in range(YAW_STEPS):
        if np.all(state.converged):
            break
        state = minimizer.step(objective, state)
    poses = view.body_pose(objective, state.z, np.repeat(frames, YAWS))
    words = (f"begun {yaw * 360 // YAWS} degrees from facing the camera" for yaw in range(YAWS))
    return [_solution(problem, poses.frames(yaw), source) for yaw, source in enumerate(words)]


def _solution(problem: FitProblem, pose: BodyPose, source: str) -> Solution:
    return Solution(pose, float(pose_energy(problem, pose)[0]), source)


def _merged(body: BodyModel, found: tuple[Solution, ...], more: list[Solution]) -> tuple[Solution, ...]:
    """All distinct ones, sorted; of two that are the same the lower stays, and the fit itself always."""
    fit = next(solution for solution in found if solution.source == "the fit")
    kept = [fit]
    for solution in sorted((*found, *more), key=lambda solution: solution.energy):
        if all(_distance(body, solution.pose, other.pose) > SAME_DISTANCE for other in kept):
            kept.append(solution)
    return tuple(sorted(kept, key=lambda solution: solution.energy))


def _distance(body: BodyModel, a: BodyPose, b: BodyPose) -> float:
    """The largest distance of any joint with the pelves laid over one another, metres."""
    first, second = (posed_joints(body, pose)[0] for pose in (a, b))
    return float(np.linalg.norm((first - first[0]) - (second - second[0]), axis=-1).max())


def _still(problem: FitProblem, pose: BodyPose) -> FitProblem:
    """The one frame as a picture of its own."""
    if len(pose) != 1:
        raise FitError(f"Solutions are looked for one frame at a time; the pose has {len(pose)}")
    return replace(problem, frame_rate=None)
