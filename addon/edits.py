"""What was changed by hand since the last fit.

What Reach dragged is an edit, and what merely followed is none, so that Re-fit may fit it again. Kept with
the action, or with the body where none animates it: for each frame the bones as the last drag left them. A
bone that stands otherwise by now has been changed by hand, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..lsr1_solver.body_model import JOINT_COUNT, SMPL_JOINT_NAMES, SMPL_PARENTS
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.refine import LIMBS, edited_parts
from .body import shown_betas
from .bone_motion import BoneMotion, read_bones, recall, record_holder, remember
from .rig import rig_of

_DRAGS = "drags"
_PLACE = PARTS.index(PLACE)
# Curves keep single precision, and matrices made of them less.
_SAME = 1e-4


def dragged_parts(joint: str) -> np.ndarray:
    """Which of PARTS [26] a drag of a joint is about: the limb of the bone that carries it."""
    parent = SMPL_PARENTS[SMPL_JOINT_NAMES.index(joint)]
    carrier = SMPL_JOINT_NAMES[max(parent, 0)]
    limb = next(joints for joints in LIMBS.values() if carrier in joints)
    return np.isin(PARTS, (*limb, PLACE) if carrier in LIMBS["torso"] else limb)


def changed_by_hand(
    armature: bpy.types.Object, frames: np.ndarray, written: BoneMotion, motion: BoneMotion
) -> np.ndarray:
    """Which of PARTS at scene frames [B] differ from what the last fit has written, and did not just follow a
    drag. -> [B, 26].
    """
    rig, betas = rig_of(armature), shown_betas(armature)
    same, dragged = _left(armature, frames, motion)
    return edited_parts(written.pose(rig, betas), motion.pose(rig, betas)) & ~(same & ~dragged)


@dataclass(frozen=True, eq=False)
class BeforeDrag:
    """At the frame ``now``, before a drag: what the last fit has ``written`` (where none has, what is there),
    and which of PARTS [26] were changed ``by_hand``.
    """

    now: float
    written: BoneMotion
    by_hand: np.ndarray


def begin_edit(armature: bpy.types.Object, now: float) -> BeforeDrag:
    """Before a drag at the frame ``now``, its bones as they were."""
    frame = np.array([now])
    motion = read_bones(armature, frame, now)
    written = recall(armature, frame, motion)
    return BeforeDrag(now, written, changed_by_hand(armature, frame, written, motion)[0])


def end_edit(armature: bpy.types.Object, before: BeforeDrag, joint: str) -> None:
    """After a drag of a joint, keyed or not: the joint's limb is changed by hand, the rest followed."""
    now, by_hand = before.now, before.by_hand | dragged_parts(joint)
    # Where keys are the first ones, the record goes from the body to its action.
    remember(armature, np.array([now]), before.written)
    motion = read_bones(armature, np.array([now]), now)
    holder = record_holder(armature)
    drags = {frame: list(values) for frame, values in holder.get(_DRAGS, {}).items()}
    record = np.concatenate([motion.basis.ravel(), motion.location.ravel(), by_hand])
    drags[_key(now)] = record.astype(float).tolist()
    if _DRAGS in holder:
        del holder[_DRAGS]
    holder[_DRAGS] = drags


def _left(
    armature: bpy.types.Object, frames: np.ndarray, motion: BoneMotion
) -> tuple[np.ndarray, np.ndarray]:
    """Which of PARTS stand as the last drag at their frame left them, and what was changed by hand there.

    -> [B, 26] each.
    """
    same, by_hand = np.zeros((2, len(frames), len(PARTS)), dtype=bool)
    drags = record_holder(armature).get(_DRAGS, {})
    for row, frame in enumerate(frames.tolist()):
        if _key(frame) not in drags:
            continue
        basis, place, flags = np.split(np.array(drags[_key(frame)]), [9 * JOINT_COUNT, 9 * JOINT_COUNT + 3])
        off = np.abs(basis - motion.basis[row].ravel()).reshape(JOINT_COUNT, 9).max(axis=1)
        same[row, :JOINT_COUNT] = off < _SAME
        same[row, _PLACE] = np.abs(place - motion.location[row]).max() < _SAME
        by_hand[row] = flags > 0
    return same, by_hand


def _key(frame: float) -> str:
    return f"{frame:.3f}"
