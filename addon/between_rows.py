"""Edits by hand at frames between those of the keypoints: keys may lie there, and the current frame may.

The solver knows the frames of the keypoints alone. A bone that was changed between two of them counts as
changed at the nearer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import bpy
import numpy as np

from ..lsr1_solver.body_model import JOINT_COUNT
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.refine import edited_parts
from ..lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from .body import shown_betas
from .bone_change import Still
from .bone_motion import BoneMotion, all_key_times, keyed_parts, read_bones
from .curve_keys import SAME_FRAME, near_frames
from .edits import changed_by_hand
from .holding import locked_parts
from .rig import rig_of
from .timing import nearest_row

# Farther from what lies between two frames of a fit only a hand brings a bone: radians, metres.
_ANGLE, _DISTANCE = radians(3.0), 0.02


@dataclass(frozen=True, eq=False)
class EditsBetween:
    """What was changed by hand between the rows.

    ``times`` [M] scene frames between the rows at which there are keys, or which is shown; ``edited`` [M, 26]
    what was changed there. ``taken`` [B, 26] which parts of the rows stand for an edit beside them.
    """

    times: np.ndarray
    edited: np.ndarray
    taken: np.ndarray

    def still(
        self, armature: bpy.types.Object, rows: np.ndarray, span: tuple[float, float], *, keep: bool
    ) -> Still:
        """What stays beside changed rows: all ``rows`` [N]; outside the span whole frames and keys; in it
        what is locked, and edits if they are to be kept.
        """
        step = np.ptp(rows) / max(len(rows) - 1, 1) + 1
        whole = np.arange(np.floor(span[0] - 2 * step), np.ceil(span[1] + 2 * step) + 1)
        others = np.union1d(whole, self.times)
        others = others[~near_frames(others, rows)]
        parts = locked_parts(armature, others)
        parts |= ((others < span[0] - SAME_FRAME) | (others > span[1] + SAME_FRAME))[:, None]
        if keep:
            parts[np.searchsorted(others, self.times)] |= self.edited
        frames = np.concatenate([rows, others])
        every = np.concatenate([np.ones((len(rows), len(PARTS)), dtype=bool), parts])
        order = np.argsort(frames)
        return Still(frames[order], every[order])


def edits_between(
    armature: bpy.types.Object,
    frames: np.ndarray,
    written: BoneMotion,
    motion: BoneMotion,
    done: np.ndarray,
    now: float,
    every: np.ndarray,
) -> tuple[EditsBetween, BoneMotion]:
    """The edits between rows at scene frames [B], and the bones' ``motion`` [B] in which rows stand for them.

    ``written`` [B] is what the last fit has left; parts of rows that are ``done`` [B, 26] stay themselves:
    they were changed, or are locked. ``every`` [N] are all rows: keys there are not between rows.
    """
    times = np.union1d(all_key_times(armature), [now])
    # No farther from a row than this; of a long action all else would take its time.
    far = np.diff(frames).max(initial=1.0)
    times = times[(times > frames[0] - far) & (times < frames[-1] + far)]
    times = times[~near_frames(times, every)]
    near = [nearest_row(frames, time) for time in times.tolist()]
    times = times[[row is not None for row in near]]
    rows = np.array([row for row in near if row is not None], dtype=int)
    taken = np.zeros_like(done)
    if not len(times):
        return EditsBetween(times, np.zeros((0, len(PARTS)), dtype=bool), taken), motion
    there, keyed = read_bones(armature, times, now), keyed_parts(armature, times, now)
    fitted = _between(written, frames, times)
    rig, betas = rig_of(armature), shown_betas(armature)
    apart = edited_parts(fitted.pose(rig, betas), there.pose(rig, betas), angle=_ANGLE, distance=_DISTANCE)
    edited = changed_by_hand(armature, times, fitted, there) & apart & keyed
    basis, location = motion.basis.copy(), motion.location.copy()
    # The nearest edit comes last.
    for index in np.argsort(-np.abs(times - frames[rows])).tolist():
        row, own = rows[index], edited[index] & ~done[rows[index]]
        taken[row] |= own
        basis[row, own[:JOINT_COUNT]] = there.basis[index, own[:JOINT_COUNT]]
        if own[PARTS.index(PLACE)]:
            location[row] = there.location[index]
    return EditsBetween(times, edited, taken), BoneMotion(basis, location)


def _between(motion: BoneMotion, frames: np.ndarray, times: np.ndarray) -> BoneMotion:
    """A motion at scene frames [B] as it is at ``times`` [M] between them."""
    after = np.clip(np.searchsorted(frames, times), 1, max(len(frames) - 1, 1))
    before, after = after - 1, np.minimum(after, len(frames) - 1)
    length = np.maximum(frames[after] - frames[before], 1e-9)
    share = np.clip((times - frames[before]) / length, 0.0, 1.0)
    a, b = motion.basis[before], motion.basis[after]
    turn = axis_angle_to_matrix(share[:, None, None] * matrix_to_axis_angle(b @ np.swapaxes(a, -1, -2)))
    place = motion.location[before] + share[:, None] * (motion.location[after] - motion.location[before])
    return BoneMotion(turn @ a, place)
