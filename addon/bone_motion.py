"""What the bones do frame by frame, and what the last fit wrote there.

The record of the last fit is kept with the action, or with the body where none animates it: arrays in custom
properties, saved and copied with the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import BodyPose, FitError
from ..lsr1_solver.body_model import JOINT_COUNT
from ..lsr1_solver.problem import PARTS, PLACE
from ..lsr1_solver.rotation import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
)
from .armature import joints_of_channels
from .curve_keys import SAME_FRAME, key_times, near_frames
from .keyframes import curves_there
from .rig import Rig, joints_of_shape, rig_of
from .rotation_modes import mode_quaternions, rotation_path

_RECORD = _FRAMES, _TURNS, _PLACES = ("fit_frames", "fit_turns", "fit_places")
_ROOT = PARTS.index(PLACE)
# What Blender shows of a curve differs by less: it makes quaternions' lengths one.
_SAME_VALUE = 1e-6
# Two frames of an action: where they are seen tells a strip's place and its speed.
_PROBES = (0.0, 1000.0)


@dataclass(frozen=True, eq=False)
class BoneMotion:
    """The bones' own rotations ``basis`` [B, 24, 3, 3] and the root bone's ``location`` [B, 3]."""

    basis: np.ndarray
    location: np.ndarray

    def rows(self, index: np.ndarray | slice) -> BoneMotion:
        """Some of the frames."""
        return BoneMotion(self.basis[index], self.location[index])

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


def check_plays_in_scene(armature: bpy.types.Object) -> None:
    """FitError where keys of the armature's action are seen at other scene frames than their own."""
    data = armature.animation_data
    if data is None or not data.use_tweak_mode:
        return
    if any(abs(data.nla_tweak_strip_time_to_scene(frame) - frame) > SAME_FRAME for frame in _PROBES):
        raise FitError(
            f"{armature.name} is in tweak mode of a strip that plays its action at other frames: leave it "
            "(Tab in the NLA editor), or move the strip so that its action's frames are the scene's"
        )


def is_keyed(armature: bpy.types.Object) -> bool:
    """Whether an action has keys for the armature's bones."""
    return any(curve.data_path.startswith("pose.bones") for curve in curves_there(armature) or ())


def read_bones(armature: bpy.types.Object, frames: np.ndarray, now: float | None = None) -> BoneMotion:
    """The bones at scene frames [B] as their curves say, at the frame ``now`` as they stand."""
    rig = rig_of(armature)
    basis = np.tile(np.eye(3), (len(frames), JOINT_COUNT, 1, 1))
    for j, name in enumerate(rig.bones):
        if name is None:
            continue
        bone = armature.pose.bones[name]
        values = read_channel(armature, bone, rotation_path(bone), frames, now)
        basis[:, j] = _matrices(mode_quaternions(values, bone.rotation_mode))
    root = armature.pose.bones[rig.bones[0]]
    return BoneMotion(basis, read_channel(armature, root, "location", frames, now))


def keyed_parts(armature: bpy.types.Object, frames: np.ndarray, now: float) -> np.ndarray:
    """Which of PARTS have a key of their own at scene frames [B]; at the frame ``now`` all count as keyed.

    -> [B, 26].
    """
    rig = rig_of(armature)
    keyed = np.tile(_shown(frames, now)[:, None], (1, len(PARTS)))
    for part, name in enumerate((*rig.bones, rig.bones[0])):
        if name is None:
            continue
        bone = armature.pose.bones[name]
        path = "location" if part == _ROOT else rotation_path(bone)
        keyed[:, part] |= near_frames(frames, bone_key_times(armature, bone, path))
    return keyed


def _shown(frames: np.ndarray, now: float | None) -> np.ndarray:
    return np.zeros(len(frames), dtype=bool) if now is None else np.abs(frames - now) < SAME_FRAME


def read_channel(
    armature: bpy.types.Object,
    bone: bpy.types.PoseBone,
    name: str,
    frames: np.ndarray,
    now: float | None = None,
) -> np.ndarray:
    """A property's numbers [B, N] at scene frames, at the frame ``now`` as they stand."""
    own = np.array(getattr(bone, name))
    values = np.tile(own, (len(frames), 1))
    curves, times = curves_there(armature), frames.tolist()
    if curves is None:
        return values
    for index in range(values.shape[1]):
        curve = curves.find(f"{bone.path_from_id()}.{name}", index=index)
        if curve is not None:
            values[:, index] = [curve.evaluate(time) for time in times]
    for row in np.flatnonzero(_shown(frames, now)).tolist():
        if np.abs(values[row] - own).max() > _SAME_VALUE:
            values[row] = own
    return values


def bone_key_times(armature: bpy.types.Object, bone: bpy.types.PoseBone, name: str) -> np.ndarray:
    """The scene frames at which a bone's property has keys, ascending."""
    curves, path = curves_there(armature), f"{bone.path_from_id()}.{name}"
    if curves is None:
        return np.zeros(0)
    found = [curves.find(path, index=index) for index in range(len(getattr(bone, name)))]
    return _united(key_times(curve) for curve in found if curve is not None)


def all_key_times(armature: bpy.types.Object) -> np.ndarray:
    """The scene frames at which any of the body's bones is keyed, ascending."""
    rig = rig_of(armature)
    bones = [armature.pose.bones[name] for name in rig.bones if name is not None]
    turns = [bone_key_times(armature, bone, rotation_path(bone)) for bone in bones]
    return _united([*turns, bone_key_times(armature, bones[0], "location")])


def _united(times: Iterable[np.ndarray]) -> np.ndarray:
    """The scene frames of several curves, ascending and each but once."""
    # Most curves of a clip have the same ones, and long ones take their time to sort.
    different = {own.tobytes(): own for own in times}
    return np.unique(np.concatenate([np.zeros(0), *different.values()]))


def record_holder(armature: bpy.types.Object) -> bpy.types.PropertyGroup:
    """What keeps the record of a body's fits: the action that animates it, else the body."""
    return armature.lsr1_body if not is_keyed(armature) else action_of(armature).lsr1_take


def remember(armature: bpy.types.Object, frames: np.ndarray, motion: BoneMotion) -> None:
    """Keep what a fit wrote at scene frames [B]; what is kept of other frames stays."""
    holder = record_holder(armature)
    turns = matrix_to_quaternion(motion.basis).reshape(len(frames), -1)
    places, times = motion.location, np.asarray(frames, dtype=float)
    if _FRAMES in holder:
        before, old_turns, old_places = (np.array(holder[name]) for name in _RECORD)
        other = ~near_frames(before, times)
        times = np.concatenate([before[other], times])
        turns = np.concatenate([old_turns.reshape(len(before), -1)[other], turns])
        places = np.concatenate([old_places.reshape(len(before), -1)[other], places])
    order = np.argsort(times)
    for name, values in zip(_RECORD, (times, turns, places), strict=True):
        # Made anew: an array in place of another of another length made Blender 5.0 crash.
        if name in holder:
            del holder[name]
        holder[name] = np.ascontiguousarray(values[order], dtype=float).ravel()


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
