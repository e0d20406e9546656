"""What the bones do frame by frame, what the last fit wrote there, and changes to some of their keys.

The record of the last fit is kept with the action, or with the body where none animates it: arrays in custom
properties, saved and copied with the file.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import BodyPose
from ..lsr1_solver.body_model import JOINT_COUNT, local_rotations
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.rotation import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
)
from .armature import bone_channels, joints_of_channels
from .curve_keys import SAME_FRAME, change_keys, key_times, near_frames
from .keyframes import add_keys, ensure_curves, key_values, new_curve
from .rig import Rig, joints_of_shape, rig_of
from .rotation_modes import mode_quaternions, rotation_path, rotations_near

_RECORD = _FRAMES, _TURNS, _PLACES = ("fit_frames", "fit_turns", "fit_places")
_ROOT = PARTS.index(PLACE)
# What Blender shows of a curve differs by less: it makes quaternions' lengths one.
_SAME_VALUE = 1e-6


@dataclass(frozen=True, eq=False)
class BoneMotion:
    """The bones' own rotations ``basis`` [B, 24, 3, 3] and the root bone's ``location`` [B, 3]."""

    basis: np.ndarray
    location: np.ndarray

    def pose(self, rig: Rig, betas: np.ndarray, to_world: Matrix | np.ndarray | None = None) -> BodyPose:
        """The solver's parameters for a shape [S]; ``to_world`` as in ``apply_pose``."""
        local, pelvis = joints_of_channels(rig, self.basis, self.location, to_world)
        omega = matrix_to_axis_angle(local)
        shape = np.tile(betas[: rig.body.shape_count], (len(omega), 1))
        transl = pelvis - joints_of_shape(rig.body, shape[0])[0]
        return BodyPose(omega[:, 0], omega[:, 1:], shape, transl)


def _matrices(q: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(quaternion_to_axis_angle(q))


def action_of(armature: bpy.types.Object) -> bpy.types.Action | None:
    """The action that animates an armature, or None."""
    return armature.animation_data.action if armature.animation_data is not None else None


def is_keyed(armature: bpy.types.Object) -> bool:
    """Whether an action has keys for the armature's bones."""
    if action_of(armature) is None:
        return False
    return any(c.data_path.startswith("pose.bones") for c in ensure_curves(armature, armature.name))


def read_bones(
    armature: bpy.types.Object, frames: np.ndarray, now: float | None = None
) -> tuple[BoneMotion, np.ndarray]:
    """The bones at scene frames [B] as their curves say, at the frame ``now`` as they stand.

    Also returns [B, 26] which of PARTS have a key of their own there, or are unkeyed at ``now``.
    """
    rig = rig_of(armature)
    basis = np.tile(np.eye(3), (len(frames), JOINT_COUNT, 1, 1))
    keyed = np.zeros((len(frames), len(PARTS)), dtype=bool)
    for j, name in enumerate(rig.bones):
        if name is None:
            continue
        bone = armature.pose.bones[name]
        values, keyed[:, j] = read_channel(armature, bone, rotation_path(bone), frames, now)
        basis[:, j] = _matrices(mode_quaternions(values, bone.rotation_mode))
    root = armature.pose.bones[rig.bones[0]]
    location, keyed[:, _ROOT] = read_channel(armature, root, "location", frames, now)
    return BoneMotion(basis, location), keyed | _shown(frames, now)[:, None]


def _shown(frames: np.ndarray, now: float | None) -> np.ndarray:
    return np.zeros(len(frames), dtype=bool) if now is None else np.abs(frames - now) < SAME_FRAME


def read_channel(
    armature: bpy.types.Object,
    bone: bpy.types.PoseBone,
    name: str,
    frames: np.ndarray,
    now: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A property's numbers [B, N] at scene frames, at the frame ``now`` as they stand, and whether it has
    keys there [B].
    """
    values = np.tile(np.array(getattr(bone, name)), (len(frames), 1))
    keyed = np.zeros(len(frames), dtype=bool)
    if action_of(armature) is None:
        return values, keyed
    curves, times = ensure_curves(armature, armature.name), frames.tolist()
    for index in range(values.shape[1]):
        curve = curves.find(f"{bone.path_from_id()}.{name}", index=index)
        if curve is not None:
            values[:, index] = [curve.evaluate(time) for time in times]
            keyed |= near_frames(frames, key_times(curve))
    own = np.array(getattr(bone, name))
    for row in np.flatnonzero(_shown(frames, now)).tolist():
        if np.abs(values[row] - own).max() > _SAME_VALUE:
            values[row] = own
    return values, keyed


def record_holder(armature: bpy.types.Object) -> bpy.types.PropertyGroup:
    """What keeps the record of a body's fits: the action that animates it, else the body."""
    return armature.lsr1_body if not is_keyed(armature) else action_of(armature).lsr1_take


def remember(armature: bpy.types.Object, frames: np.ndarray, motion: BoneMotion) -> None:
    """Keep what a fit wrote at scene frames [B]; what is kept of other frames stays."""
    holder = record_holder(armature)
    turns = matrix_to_quaternion(motion.basis).reshape(len(frames), -1)
    places, times = motion.location, np.asarray(frames, dtype=float)
    if _FRAMES in holder:
        before, old_turns, old_places = (np.array(list(holder[name])) for name in _RECORD)
        other = ~near_frames(before, times)
        times = np.concatenate([before[other], times])
        turns = np.concatenate([old_turns.reshape(len(before), -1)[other], turns])
        places = np.concatenate([old_places.reshape(len(before), -1)[other], places])
    order = np.argsort(times)
    for name, values in zip(_RECORD, (times, turns, places), strict=True):
        # Plain lists, into a property that is made anew: an array in place of another of another length
        # made Blender 5.0 crash.
        if name in holder:
            del holder[name]
        holder[name] = values[order].astype(float).ravel().tolist()


def recall(armature: bpy.types.Object, frames: np.ndarray, now: BoneMotion) -> BoneMotion:
    """What the last fit wrote at scene frames [B]; where none has, what is there ``now``."""
    holder = record_holder(armature)
    if _FRAMES not in holder:
        return now
    times = np.array(holder[_FRAMES])
    known = near_frames(frames, times)
    rows = np.abs(frames[:, None] - times).argmin(axis=1)
    turns = np.reshape(holder[_TURNS], (len(times), JOINT_COUNT, 4)).astype(float)[rows]
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    basis = np.where(known[:, None, None, None], _matrices(turns), now.basis)
    places = np.reshape(holder[_PLACES], (len(times), 3)).astype(float)[rows]
    return BoneMotion(basis, np.where(known[:, None], places, now.location))


@dataclass(frozen=True, eq=False)
class BoneChange:
    """New values for some bones at some frames.

    ``frames`` [B] scene frames, ``motion`` what the bones shall do there, ``parts`` [B, 26] which of PARTS
    change; everything else is left as it is, bit for bit.
    """

    frames: np.ndarray
    motion: BoneMotion
    parts: np.ndarray

    def write(self, armature: bpy.types.Object, now: float, rows: np.ndarray) -> None:
        """Key the changes where the bones are keyed, and put them on the bones at the frame ``now``.

        ``rows`` [N] are all frames of the clip: between two keys the curves keep their values there.
        """
        rig, keyed = rig_of(armature), is_keyed(armature)
        unkeyed = {bone.name: _channels(bone) for bone in armature.pose.bones}
        for part, name in enumerate((*rig.bones, rig.bones[0])):
            chosen = np.flatnonzero(self.parts[:, part])
            if name is None or not len(chosen):
                continue
            bone = armature.pose.bones[name]
            path = "location" if part == _ROOT else rotation_path(bone)
            times = self.frames[chosen]
            before, _ = read_channel(armature, bone, path, times)
            values = (
                self.motion.location[chosen]
                if part == _ROOT
                else rotations_near(bone.rotation_mode, self.motion.basis[chosen, part], before)
            )
            if keyed:
                _key_some(armature, bone, path, times, values, rows)
            here = np.flatnonzero(np.abs(times - now) < 0.5)
            if len(here):
                unkeyed[name][path] = tuple(values[here[0]].tolist())
        # New keys make Blender read its curves again: what was never keyed must not get lost by that.
        bpy.context.view_layer.update()
        for name, channels in unkeyed.items():
            for path, value in channels.items():
                setattr(armature.pose.bones[name], path, value)


def key_as_shown(
    armature: bpy.types.Object, parts: np.ndarray, now: float, rows: np.ndarray, *, first: bool = False
) -> None:
    """Key those of ``parts`` [26] that stand otherwise at the frame ``now`` than their curves say, number by
    number as they stand; ``rows`` as in ``BoneChange.write``. Only with ``first`` a body without keys gets
    some.
    """
    rig, times, keyed = rig_of(armature), np.array([now]), is_keyed(armature)
    for part in np.flatnonzero(parts[: _ROOT + 1]).tolist() if keyed or first else ():
        name = rig.bones[0 if part == _ROOT else part]
        if name is None:
            continue
        bone = armature.pose.bones[name]
        path = "location" if part == _ROOT else rotation_path(bone)
        values, curves = (read_channel(armature, bone, path, times, at)[0] for at in (now, None))
        if not keyed:
            own = ensure_curves(armature, armature.name)
            key_values(own, f"{bone.path_from_id()}.{path}", times, values, name)
        elif np.abs(curves - values).max() > 0:
            _key_some(armature, bone, path, times, values, rows)


def _channels(bone: bpy.types.PoseBone) -> dict[str, tuple[float, ...]]:
    return {path: tuple(getattr(bone, path)) for path in ("location", rotation_path(bone))}


def change_to(
    armature: bpy.types.Object,
    pose: BodyPose,
    frames: np.ndarray,
    parts: np.ndarray,
    to_world: Matrix | np.ndarray | None,
) -> BoneChange:
    """The change of ``parts`` [B, 26] to a pose [B] at scene frames [B]; ``to_world`` as in `apply_pose`."""
    rig = rig_of(armature)
    pelvis = joints_of_shape(rig.body, np.asarray(pose.betas)[0])[0] + pose.transl
    basis, location = bone_channels(rig, local_rotations(pose), pelvis, to_world)
    return BoneChange(frames, BoneMotion(basis, location[:, 0]), parts)


def _key_some(
    armature: bpy.types.Object,
    bone: bpy.types.PoseBone,
    name: str,
    times: np.ndarray,
    values: np.ndarray,
    still: np.ndarray,
) -> None:
    """Key a property [B, N] at scene frames [B]; at the frames ``still`` it keeps the value that it has."""
    curves, path = ensure_curves(armature, armature.name), f"{bone.path_from_id()}.{name}"
    for index, own in enumerate(values.T):
        curve = curves.find(path, index=index)
        if curve is None or not len(curve.keyframe_points):
            curve = curve or new_curve(curves, path, index, bone.name)
            add_keys(curve, times[:1] - 1, np.array([getattr(bone, name)[index]]))
        change_keys(curve, times, own, still)
