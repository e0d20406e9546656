"""Flip Limb Depth and Other Solutions: the search for poses that explain the same keypoints, and their turn
on the bones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import SMPL_JOINT_NAMES, FitError, Solution, other_solutions
from ..lsr1_solver.body_model import JOINT_COUNT, BodyPose
from ..lsr1_solver.depth_flip import turned_joints
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.refine import LIMBS
from ..lsr1_solver.solutions import flip_problems, pose_energy
from .body import shown_betas
from .bone_change import BoneChange, change_to
from .bone_motion import BoneMotion, is_keyed, read_bones, remember
from .holding import locked_parts
from .keypoint_store import frame_count
from .refining import Refit, free_parts, freedom, narrowed, scene_problem, span
from .rig import rig_of
from .solution_store import Choices, keep, kept
from .timing import row_frames

_PLACE = PARTS.index(PLACE)


@dataclass(frozen=True, eq=False)
class Search:
    """What is asked for: the flips of a ``limb``, or with "" all solutions of one frame.

    ``job`` holds the frames, ``free`` [B] says how freely they may change, ``flipped`` [B] where the limb
    goes to its other depth, ``reach`` from which scene frame to which. ``key`` sums up what the answer
    depends on, the pose excepted.
    """

    limb: str
    job: Refit
    free: np.ndarray
    flipped: np.ndarray
    reach: tuple[float, float]
    key: str

    @property
    def rows(self) -> np.ndarray:
        """The rows of the job in which anything may change."""
        return np.flatnonzero(self.free > 0)

    def solutions(self) -> Iterator[tuple[Solution, ...]]:
        """What is found so far, again and again; the last time everything, in the order of the clicks."""
        if not self.limb:
            yield from other_solutions(self.job.problem, self.job.start)
            return
        job = self.job
        first, flips = Solution(job.start, self._energy(job.start), "as it was"), []
        for words, problem, start in flip_problems(job.problem, job.start, self.limb, frames=self.flipped):
            pose = start
            for state in replace(job, problem=problem, start=start).states():
                pose = state.pose
                yield first, *flips
            flips.append(Solution(pose, self._energy(pose), words))
        yield first, *sorted(flips, key=lambda flip: flip.energy)

    def _energy(self, pose: BodyPose) -> float:
        return float(pose_energy(self.job.problem, pose)[self.flipped].sum())


def flip_search(context: bpy.types.Context, armature: bpy.types.Object, limb: str) -> Search:
    """The search for a limb's flips in the frames that the panel says. FitError as ``scene_problem``."""
    scene, reach = context.scene, span(context.scene)
    job = scene_problem(context, armature, *reach)
    free = freedom(scene, job.frames)
    return Search(limb, job, free, np.isinf(free), reach, _key(armature, job, free, {limb}))


def solution_search(context: bpy.types.Context, armature: bpy.types.Object) -> Search:
    """The search for all solutions of the current frame. FitError as ``scene_problem``."""
    scene, now = context.scene, context.scene.frame_current_final
    if not scene.lsr1.refine.limbs:
        raise FitError("Nothing may change: choose limbs in the panel Refine")
    job = scene_problem(context, armature, now, now, around=1)
    job = job.still(int(np.abs(job.frames - now).argmin()))
    free = np.full(1, np.inf)
    key = _key(armature, job, free, {*scene.lsr1.refine.limbs, scene.lsr1.refine.edits})
    return Search("", job, free, np.zeros(1, dtype=bool), (now, now), key)


def why_anew(armature: bpy.types.Object, search: Search) -> str | None:
    """Why what is kept is no answer, in words, "" where nothing was asked before; None where it is one."""
    held, choices = armature.lsr1_body.solutions, kept(armature)
    if choices is None or held.limb != search.limb:
        return ""
    rows = search.rows
    if not np.array_equal(choices.frames, search.job.frames[rows]):
        # Of other frames a limb may be flipped just as well.
        return "" if search.limb else "Another frame: searched anew. "
    if choices.differs(held.shown, search.job.motion.rows(rows)).any():
        return "The pose has changed: searched anew. "
    if held.key != search.key:
        return "Keypoints, camera or settings have changed: searched anew. "
    return None


def begun(scene: bpy.types.Scene, armature: bpy.types.Object, search: Search) -> Search:
    """The search with all that must stay. FitError where nothing is left, or what shall turn is locked."""
    job = search.job
    if not search.limb:
        edited = job.edited & ~_chosen_before(armature, search)
        parts = free_parts(scene.lsr1.refine.limbs)
        return replace(search, job=narrowed(scene, armature, replace(job, edited=edited), parts, search.free))
    turned = list(turned_joints(search.limb))
    locked = locked_parts(armature, job.frames)[:, turned]
    flipped = search.flipped & ~locked.any(axis=1)
    if not flipped.any():
        names = [SMPL_JOINT_NAMES[turned[j]] for j in np.flatnonzero(locked[search.flipped].any(axis=0))]
        raise FitError(f"The {_plain(', '.join(names))} can't turn here: unlock, or choose other frames")
    edited = job.edited.copy()
    edited[np.ix_(flipped, turned)] = False
    parts = {*LIMBS[search.limb], *(SMPL_JOINT_NAMES[j] for j in turned)}
    job = narrowed(scene, armature, replace(job, edited=edited), parts, search.free)
    return replace(search, job=job, flipped=flipped)


def keep_found(armature: bpy.types.Object, search: Search, found: tuple[Solution, ...], now: float) -> None:
    """Keep what was found with the body; shown is the pose that was there."""
    job, rows = search.job, search.rows
    as_it_is = read_bones(armature, job.frames[rows], now)
    motions = []
    for solution in found:
        if solution.pose is job.start:
            motions.append(as_it_is)
            continue
        to_world = job.path.on(armature)
        change = change_to(armature, solution.pose, job.motion, job.frames, job.changes, to_world)
        motions.append(change.motion.rows(rows))
    # What was chosen in a clip is an edit of its frame, from which Re-fit goes on; a still has but one frame.
    mine = job.changes & ~job.edited
    if search.limb:
        mine[np.ix_(search.flipped, list(turned_joints(search.limb)))] = False
    elif is_keyed(armature):
        mine[:] = False
    changes = job.changes[rows] & _has_bones(armature)
    choices = Choices(job.frames[rows], tuple(motions), changes, mine[rows])
    shown = next(i for i, solution in enumerate(found) if solution.pose is job.start)
    sources = [(solution.source, solution.energy) for solution in found]
    keep(armature, choices, shown, sources, limb=search.limb, key=search.key)


def show(context: bpy.types.Context, armature: bpy.types.Object, search: Search, index: int) -> None:
    """Put one of the kept poses on the bones and their keys, and nothing else."""
    scene, job, rows, choices = context.scene, search.job, search.rows, kept(armature)
    now, own = scene.frame_current_final, choices.motions[index]
    basis, location = job.motion.basis.copy(), job.motion.location.copy()
    basis[rows], location[rows] = own.basis, own.location
    changes = np.zeros((len(job.frames), len(PARTS)), dtype=bool)
    changes[rows] = choices.changes
    keeps = scene.lsr1.refine.edits == "LOCK"
    # What changes may do so between two rows, too: a pose half way to the last one is no edit.
    between = replace(job.between, edited=job.between.edited & ~changes.any(axis=0))
    still = between.still(armature, row_frames(scene, frame_count(scene)), search.reach, keep=keeps)
    BoneChange(job.frames, BoneMotion(basis, location), job.motion, changes).write(armature, now, still)
    fresh = read_bones(armature, choices.frames, now)
    written = job.written.rows(rows)
    turned, placed = choices.mine[:, :JOINT_COUNT, None, None], choices.mine[:, _PLACE, None]
    record = BoneMotion(
        np.where(turned, fresh.basis, written.basis), np.where(placed, fresh.location, written.location)
    )
    remember(armature, choices.frames, record)
    armature.lsr1_body.solutions.shown = index


def _chosen_before(armature: bpy.types.Object, search: Search) -> np.ndarray:
    """Which of PARTS stand as a solution that was chosen here: no edits of another kind. -> [B, 26]."""
    held, choices, frames = armature.lsr1_body.solutions, kept(armature), search.job.frames
    if choices is None or held.limb or not np.array_equal(choices.frames, frames):
        return np.zeros((len(frames), len(PARTS)), dtype=bool)
    return choices.changes & ~choices.differs(held.shown, search.job.motion)


def _has_bones(armature: bpy.types.Object) -> np.ndarray:
    """Which of PARTS [26] a rig has bones for: some have no hands."""
    bones = rig_of(armature).bones
    return np.array([name is not None for name in (*bones, bones[0], "shape")])


def _key(armature: bpy.types.Object, job: Refit, free: np.ndarray, words: set[str]) -> str:
    problem, pins = job.problem, job.problem.pins
    camera, weights = problem.camera, problem.weights
    told = hashlib.sha1(repr((sorted(words), job.minimizer, job.steps, weights)).encode())
    for values in (
        free,
        problem.keypoints.xy,
        problem.keypoints.confidence,
        camera.focal_length,
        camera.principal_point,
        job.path.to_world,
        shown_betas(armature),
        locked_parts(armature, job.frames),
        *((pins.target, pins.sigma) if pins is not None else ()),
        *((job.path.carried,) if job.path.carried is not None else ()),
    ):
        told.update(np.ascontiguousarray(values).tobytes())
    return told.hexdigest()


def _plain(text: str) -> str:
    return text.replace("_", " ")
