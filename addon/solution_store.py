"""Poses to choose from, kept with the body: which there are, which one is shown, and what it needs to show
another.

Arrays in custom properties: saved, copied and undone with the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Quaternion

from ..lsr1_solver.body_model import JOINT_COUNT
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.rotation import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
)
from .bone_motion import BoneMotion, read_bones
from .curve_keys import SAME_FRAME
from .refine_properties import ENERGIES, WORDS
from .rig import rig_of

_ARRAYS = _FRAMES, _CHANGES, _MINE, _JOINTS, _TURNS, _PLACES = (
    "at",
    "changes",
    "mine",
    "joints",
    "turns",
    "places",
)
_PLACE = PARTS.index(PLACE)
# What writing to bones and curves and reading back leaves: radians, metres.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Choices:
    """N poses for R scene frames.

    ``frames`` [R]; ``motions`` N times what the bones do there; ``changes`` [R, 26] which of PARTS differ
    from pose to pose; ``mine`` which of these count as fitted and not as chosen by hand.
    """

    frames: np.ndarray
    motions: tuple[BoneMotion, ...]
    changes: np.ndarray
    mine: np.ndarray

    def differs(self, index: int, motion: BoneMotion) -> np.ndarray:
        """Which of the PARTS that change a motion [R] does otherwise than a pose. -> [R, 26]."""
        own = self.motions[index]
        turn = np.swapaxes(own.basis, -1, -2) @ motion.basis
        off = np.zeros(self.changes.shape, dtype=bool)
        off[:, :JOINT_COUNT] = np.linalg.norm(matrix_to_axis_angle(turn), axis=-1) > _SAME
        off[:, _PLACE] = np.abs(own.location - motion.location).max(axis=-1) > _SAME
        return off & self.changes


def keep(
    armature: bpy.types.Object,
    choices: Choices,
    shown: int,
    sources: Sequence[tuple[str, float]],
    *,
    limb: str,
    key: str,
) -> None:
    """Keep poses in place of those that were kept; ``sources`` are their words and energies."""
    held = armature.lsr1_body.solutions
    held.limb, held.key, held.shown, held.first = limb, key, shown, shown
    held[WORDS] = "\n".join(words for words, _ in sources)
    _replace(held, ENERGIES, [energy for _, energy in sources])
    joints = np.flatnonzero(choices.changes[:, :JOINT_COUNT].any(axis=0))
    turns = [matrix_to_quaternion(motion.basis[:, joints]) for motion in choices.motions]
    places = [motion.location for motion in choices.motions]
    arrays = choices.frames, choices.changes, choices.mine, joints, np.stack(turns), np.stack(places)
    for name, values in zip(_ARRAYS, arrays, strict=True):
        _replace(held, name, values.astype(float).ravel().tolist())


def _replace(held: bpy.types.PropertyGroup, name: str, values: list[float]) -> None:
    # See ``bone_motion.remember``.
    if name in held:
        del held[name]
    held[name] = values


def kept(armature: bpy.types.Object) -> Choices | None:
    """The poses that are kept; None where there are none."""
    held = armature.lsr1_body.solutions
    if not held.found or any(name not in held for name in _ARRAYS):
        return None
    frames, changes, mine, joints, turns, places = (np.array(held[name][:]) for name in _ARRAYS)
    count, rows = len(held.found), len(frames)
    changes, mine = (flags.reshape(rows, len(PARTS)) > 0 for flags in (changes, mine))
    basis = np.tile(np.eye(3), (count, rows, JOINT_COUNT, 1, 1))
    turns = turns.reshape(count, rows, len(joints), 4)
    basis[:, :, joints.astype(int)] = axis_angle_to_matrix(quaternion_to_axis_angle(turns))
    places = places.reshape(count, rows, 3)
    motions = tuple(BoneMotion(turn, place) for turn, place in zip(basis, places, strict=True))
    return Choices(frames, motions, changes, mine)


def stands(scene: bpy.types.Scene, armature: bpy.types.Object) -> bool:
    """Whether the body stands at the current frame as the pose that is shown; quick, for the panel."""
    held, now = armature.lsr1_body.solutions, scene.frame_current_final
    if not held.found or any(name not in held for name in _ARRAYS):
        return False
    frames, joints = (np.array(held[name][:]) for name in (_FRAMES, _JOINTS))
    row = int(np.abs(frames - now).argmin())
    if abs(frames[row] - now) > 0.5 + SAME_FRAME:
        return False
    place = held.shown * len(frames) + row
    turns = np.reshape(_part(held, _TURNS, place, 4 * len(joints)), (-1, 4))
    changes = np.array(_part(held, _CHANGES, row, len(PARTS))) > 0
    bones, rig = armature.pose.bones, rig_of(armature)
    basis = {j: bones[rig.bones[j]].matrix_basis for j in joints.astype(int).tolist()}
    location = np.array(bones[rig.bones[0]].location)
    if abs(frames[row] - now) > SAME_FRAME:
        motion = read_bones(armature, frames[[row]])
        basis, location = {j: Matrix(motion.basis[0, j]) for j in basis}, motion.location[0]
    for (joint, matrix), turn in zip(basis.items(), turns.tolist(), strict=True):
        off = matrix.to_quaternion().rotation_difference(Quaternion(turn))
        if changes[joint] and abs(off.to_exponential_map().length) > _SAME:
            return False
    moved = np.abs(location - _part(held, _PLACES, place, 3)).max()
    return not changes[_PLACE] or bool(moved < _SAME)


def _part(held: bpy.types.PropertyGroup, name: str, index: int, size: int) -> list[float]:
    return held[name][index * size : (index + 1) * size]


def in_words(armature: bpy.types.Object) -> tuple[str, str]:
    """Which pose is shown: "2 of 6, energy 41.3, +3 %", and what it is."""
    held = armature.lsr1_body.solutions
    found = held.found
    item, lowest = found[held.shown], min(item.energy for item in found)
    above = f", {100 * (item.energy / lowest - 1):+.0f} %" if item.energy > lowest > 0 else ""
    # Of flips the first is the pose as it was.
    place, count = (held.shown, len(found) - 1) if held.limb else (held.shown + 1, len(found))
    which = f"{place} of {count}, " if place else ""
    return f"{which}energy {item.energy:.1f}{above}", item.name
