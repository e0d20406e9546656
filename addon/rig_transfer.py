"""An SMPL rig's motion for another rig, whatever that one's rest pose, bone rolls and size are.

A bone turns in the world as its joint does from rest to pose, once both rest poses are the same
(``rest_match``). The feet take the source's steps in the proportion of the legs: the pelvis is put where the
lower foot, at the end of the rig's own leg, is on its step, so that a foot that stands still for the source
stands still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import SMPL_JOINT_NAMES, SMPL_PARENTS
from .awake import awake
from .camera_path import carried_places
from .keyframes import ensure_curves, key_bone, key_values
from .known import known
from .rest_match import ANKLES, LEGS, alignment, ankle_height, leg_length, leg_vectors
from .rig import Rig, nearest_axes, rig_of
from .rig_tables import RigTable
from .takes import begin_take, keep_earlier_take

# Between standing on one foot and on the other: a difference of the ankles' heights, in lengths of the leg.
_BAND = 0.06


@dataclass(frozen=True, eq=False)
class SourceMotion:
    """How the source moved, in the world.

    ``turns`` [B, 24, 3, 3] takes the solver's axes at rest to the world, joint by joint; ``ankles`` [B, 2,
    3] are the places of left and right.
    """

    turns: np.ndarray
    ankles: np.ndarray


@dataclass(frozen=True, eq=False)
class Transfer:
    """What the copy needs to know of both rigs; N bones, parents before children, the pelvis's first.

    ``joints`` and ``bones`` [N] are SMPL's joints and the target's bones; ``rest`` [N, 3, 3] a bone's rest
    axes in the solver's, limbs turned as the source's: where a joint moved by Q, its bone's axes in the
    world are ``Q rest``. ``carriers`` [N] says which of the bones carries it (-1: none), ``above`` [N, 4, 4]
    leads from the carrier's posed frame (the armature's, where there is none) to the bone before its own
    motion. ``world`` [4, 4] is the target's matrix, ``scale`` leg to leg. ``ground`` [2, 3] are points of
    the world, the source's and the target's, as high as their ankles are when they stand. ``legs`` [2, 3, 3]
    lead from the head of the pelvis's bone over left and right hip and knee to the ankle, metres, solver's
    axes, limbs turned; between ankles whose heights differ by less than ``band``, metres, the pelvis goes
    over from one to the other.
    """

    joints: tuple[int, ...]
    bones: tuple[str, ...]
    rest: np.ndarray
    carriers: tuple[int, ...]
    above: np.ndarray
    world: np.ndarray
    scale: float
    ground: np.ndarray
    legs: np.ndarray
    band: float

    def channels(
        self, motion: SourceMotion, carried: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The bones' own rotations [B, N, 3, 3] and the locations [B, 3] of the pelvis's bone; ``carried``
        [B, 4, 4] are the target's matrices where something moves it as a whole.
        """
        world = np.broadcast_to(self.world if carried is None else carried, (len(motion.turns), 4, 4))
        scaled = np.linalg.inv(world[:, :3, :3])
        axes = scaled / np.linalg.norm(scaled, axis=2, keepdims=True)
        posed = axes[:, None] @ motion.turns[:, self.joints] @ self.rest
        basis = np.empty_like(posed)
        for n, carrier in enumerate(self.carriers):
            above = self.above[n, :3, :3]
            before = above if carrier < 0 else posed[:, carrier] @ above
            basis[:, n] = np.swapaxes(before, -1, -2) @ posed[:, n]
        inside = (scaled @ (self._pelvis(motion) - world[:, :3, 3])[..., None])[..., 0]
        return basis, (inside - self.above[0, :3, 3]) @ self.above[0, :3, :3]

    def _pelvis(self, motion: SourceMotion) -> np.ndarray:
        """Where the head of the pelvis's bone has to be in the world [B, 3]."""
        steps = self.ground[1] + self.scale * (motion.ankles - self.ground[0])
        moving = motion.turns[:, LEGS] @ self.legs[..., None]
        places = steps - moving[..., 0].sum(axis=2)
        share = smoothstep((motion.ankles[:, 0, 2] - motion.ankles[:, 1, 2]) / self.band)[:, None]
        return (1 - share) * places[:, 0] + share * places[:, 1]


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, and smooth between."""
    t = np.clip((x + 1) / 2, 0, 1)
    return t * t * (3 - 2 * t)


def sample_source(
    context: bpy.types.Context, source: bpy.types.Object, frames: Sequence[int]
) -> Iterator[SourceMotion]:
    """The source's motion [1], frame by frame; what constraints and drivers add is in it.

    The scene is left at the last frame asked for. FitError where the source is no SMPL rig, or where it is
    deleted between two frames.
    """
    rig, found = rig_of(source), known(source)
    for frame in frames:
        own = found.still_in(context.scene)
        with awake(context.scene, context.view_layer, own):
            context.scene.frame_set(frame)
            motion = _motion_now(context, own, rig)
        yield motion


def _motion_now(context: bpy.types.Context, source: bpy.types.Object, rig: Rig) -> SourceMotion:
    seen = source.evaluated_get(context.evaluated_depsgraph_get())
    bones = seen.pose.bones
    ankles = [seen.matrix_world @ bones[rig.bones[j]].head for j in ANKLES]
    return SourceMotion(joint_turns(seen, rig)[None], np.array(ankles)[None])


def joint_turns(seen: bpy.types.Object, rig: Rig) -> np.ndarray:
    """How each joint of an evaluated rig is turned in the world, from the solver's axes. -> [24, 3, 3].

    A joint that the rig lacks turns with its parent.
    """
    axes = np.array(seen.matrix_world.to_3x3().normalized())
    turns = np.empty((len(rig.bones), 3, 3))
    for j, name in enumerate(rig.bones):
        if name is None:
            turns[j] = turns[SMPL_PARENTS[j]]
            continue
        posed = np.array(seen.pose.bones[name].matrix.to_3x3().normalized())
        turns[j] = axes @ posed @ rig.rest[j, :3, :3].T @ rig.axes
    return turns


def join(motions: Sequence[SourceMotion]) -> SourceMotion:
    """One motion of many, in their order."""
    fields = ([getattr(motion, name) for motion in motions] for name in ("turns", "ankles"))
    return SourceMotion(*(np.concatenate(arrays) for arrays in fields))


def transfer_between(
    source: bpy.types.Object,
    target: bpy.types.Object,
    mapping: Mapping[str, str],
    first: SourceMotion,
    table: RigTable | None = None,
) -> Transfer:
    """How a target moves as a source does.

    ``mapping`` {joint: bone}; where the source stands in ``first`` [1], the copy stands, too; ``table`` the
    kind of rig, if it is one that is moved by constraints. FitError where the source is no SMPL rig.
    """
    rig = rig_of(source)
    joints = tuple(j for j, name in enumerate(SMPL_JOINT_NAMES) if name in mapping)
    bones = tuple(mapping[SMPL_JOINT_NAMES[j]] for j in joints)
    world = np.array(target.matrix_world)
    size = float(np.linalg.norm(world[:3, 0]))
    rest = np.stack([np.array(target.data.bones[name].matrix_local) for name in bones])
    own = rig.scale * rig.rest[:, :3, 3] @ rig.axes
    axes = nearest_axes(own[list(joints)] - own[0], rest[:, :3, 3] - rest[0, :3, 3])
    other = dict(zip(joints, size * rest[:, :3, 3] @ axes, strict=True))
    heads = dict(enumerate(own))
    align = alignment(other, heads)
    legs = np.array([leg_length(heads), leg_length(other)])
    heights = (
        ankle_height(source, rig.scale * rig.axes[:, 1], heads, legs[0]),
        ankle_height(target, size * axes[:, 1], other, legs[1]),
    )
    floor = first.ankles[0, :, 2].min() - heights[0]
    carriers = tuple(_carrier(joints, j) for j in joints)
    return Transfer(
        joints,
        bones,
        np.stack([align[j] @ axes.T @ rest[n, :3, :3] for n, j in enumerate(joints)]),
        carriers,
        np.stack([_above(target, bones, carriers[n], n, table) for n in range(len(bones))]),
        world,
        float(legs[1] / legs[0]),
        np.array([[*first.ankles[0, :, :2].mean(axis=0), floor + height] for height in heights]),
        leg_vectors(other, align),
        float(_BAND * legs[0]),
    )


def _carrier(joints: Sequence[int], joint: int) -> int:
    """Which of the bones carries a joint's: that of the next joint above which has one; -1 for none."""
    above = SMPL_PARENTS[joint]
    while above >= 0 and above not in joints:
        above = SMPL_PARENTS[above]
    return joints.index(above) if above >= 0 else -1


def _above(
    target: bpy.types.Object, bones: Sequence[str], carrier: int, n: int, table: RigTable | None
) -> np.ndarray:
    """From the carrier's posed frame (the armature's) to the bone before its own motion [4, 4], without
    scale.

    Bones between the two count with the pose that they have. A carrier that is not among the bone's parents
    moves it by constraints, as one piece.
    """
    bone = target.data.bones[bones[n]]
    stop = bones[carrier] if carrier >= 0 else (table.carrier if table else "")
    if stop in target.data.bones and stop not in (parent.name for parent in bone.parent_recursive):
        matrix = target.data.bones[stop].matrix_local.inverted() @ bone.matrix_local
        if carrier < 0:
            matrix = target.pose.bones[stop].matrix @ matrix
        return _without_scale(matrix)
    still = table.at_rest if table else ()
    matrix = Matrix.Identity(4)
    while True:
        parent = bone.parent
        relative = parent.matrix_local.inverted() @ bone.matrix_local if parent else bone.matrix_local
        matrix = relative @ matrix
        if parent is None or (carrier >= 0 and parent.name == stop):
            return _without_scale(matrix)
        bone = parent
        if bone.name not in still:
            matrix = target.pose.bones[bone.name].matrix_basis @ matrix


def _without_scale(matrix: Matrix) -> np.ndarray:
    out = np.array(matrix)
    out[:3, :3] /= np.linalg.norm(out[:3, :3], axis=0)
    return out


def key_transfer(
    scene: bpy.types.Scene,
    target: bpy.types.Object,
    transfer: Transfer,
    motion: SourceMotion,
    frames: Sequence[int],
    table: RigTable | None = None,
) -> bpy.types.Action:
    """Key the copied motion [B] at scene frames [B] in a new action; the one that was there is kept in the
    file.

    Bones keep their rotation modes. A rig that is moved by constraints is switched to the bones that are
    keyed. FitError where Blender lets no action be changed.
    """
    action, before = begin_take(target, f"{target.name} Copy")
    keep_earlier_take(before)
    curves = ensure_curves(target, target.name)
    times = np.asarray(frames, dtype=float)
    basis, location = transfer.channels(motion, carried_places(scene, target, times))
    for n, name in enumerate(transfer.bones):
        key_bone(curves, target.pose.bones[name], times, basis[:, n], location if n == 0 else None)
    start = times[:1]
    for name in table.at_rest if table else ():
        if name in target.pose.bones:
            key_bone(curves, target.pose.bones[name], start, np.eye(3)[None], np.zeros((1, 3)))
    for bone, name, value in switches_of(target, table):
        path = f'{bone.path_from_id()}["{name}"]'
        key_values(curves, path, start, np.array([[value]]), bone.name)
    return action


def switches_of(
    target: bpy.types.Object, table: RigTable | None
) -> Iterator[tuple[bpy.types.PoseBone, str, float]]:
    """The switches of a rig's kind that this rig has: (bone, property, value)."""
    for bone_name, values in table.switches.items() if table else ():
        bone = target.pose.bones.get(bone_name)
        for name, value in values.items() if bone else ():
            if name in bone:
                yield bone, name, value
