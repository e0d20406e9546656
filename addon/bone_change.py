"""Changes to some bones' keys at some frames, and everything else left as it is."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..lsr1_solver import BodyPose
from ..lsr1_solver.body_model import local_rotations
from ..lsr1_solver.problem import PARTS, PLACE
from .armature import bone_channels
from .bone_motion import BoneMotion, bone_key_times, is_keyed, read_channel
from .curve_keys import change_keys, near_frames
from .keyframes import add_keys, ensure_curves, key_values, new_curve
from .rig import joints_of_shape, rig_of
from .rotation_modes import rotation_path, rotations_near
from .timing import nearest_row

_ROOT = PARTS.index(PLACE)


@dataclass(frozen=True, eq=False)
class Still:
    """Scene frames [M] at which curves keep their values, and which of PARTS [M, 26] do."""

    frames: np.ndarray
    parts: np.ndarray

    def of(self, part: int) -> np.ndarray:
        """The frames of one part."""
        return self.frames[self.parts[:, part]]


def still_at(frames: np.ndarray) -> Still:
    """All parts stay at scene frames [M]."""
    return Still(frames, np.ones((len(frames), len(PARTS)), dtype=bool))


@dataclass(frozen=True, eq=False)
class BoneChange:
    """New values for some bones at some frames.

    ``frames`` [B] scene frames, ``motion`` what the bones shall do there, ``before`` what they did, ``parts``
    [B, 26] which of PARTS change. Everything else is left as it is, bit for bit; keys between two frames go
    along with them where they are not ``still``.
    """

    frames: np.ndarray
    motion: BoneMotion
    before: BoneMotion
    parts: np.ndarray

    def write(self, armature: bpy.types.Object, now: float, still: Still) -> None:
        """Key the changes where the bones are keyed, and put them on the bones at the frame ``now``."""
        rig, keyed, here = rig_of(armature), is_keyed(armature), nearest_row(self.frames, now)
        shown = {bone.name: _channels(bone) for bone in armature.pose.bones}
        anew = []
        for part, name in enumerate((*rig.bones, rig.bones[0])):
            if name is None or not self.parts[:, part].any():
                continue
            bone = armature.pose.bones[name]
            path = "location" if part == _ROOT else rotation_path(bone)
            times, values = self._values(armature, bone, path, part, still.of(part))
            if keyed:
                _key_some(armature, bone, path, times, values, still.of(part))
            if here is not None and self.parts[here, part]:
                anew.append((bone, path))
                shown[name][path] = tuple(values[np.abs(times - self.frames[here]).argmin()].tolist())
        # New keys make Blender read its curves again: what was never keyed must not get lost by that.
        bpy.context.view_layer.update()
        for name, channels in shown.items():
            for path, value in channels.items():
                setattr(armature.pose.bones[name], path, value)
        for bone, path in anew if keyed else ():
            setattr(bone, path, read_channel(armature, bone, path, np.array([now]))[0].tolist())

    def _values(
        self, armature: bpy.types.Object, bone: bpy.types.PoseBone, path: str, part: int, still: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scene frames [N] and a property's new values [N, C]; keys in between move with their neighbours."""
        chosen = np.flatnonzero(self.parts[:, part])
        times, near = self.frames[chosen], read_channel(armature, bone, path, self.frames)
        if part == _ROOT:
            old, new = self.before.location, self.motion.location
        else:
            old, new = (
                rotations_near(bone.rotation_mode, one.basis[:, part], near)
                for one in (self.before, self.motion)
            )
        moved = np.where(self.parts[:, part, None], new - old, 0.0)
        between = bone_key_times(armature, bone, path)
        # What lies beyond a frame that stays stays, too.
        others = still[~near_frames(still, self.frames)]
        known = np.concatenate([self.frames, others])
        order = np.argsort(known)
        known, moved = known[order], np.pad(moved, ((0, len(others)), (0, 0)))[order]
        beside = np.pad(np.pad(self.parts[:, part], (0, len(others)))[order], 1)
        between = between[~near_frames(between, known)]
        after = np.searchsorted(known, between)
        between = between[beside[after] | beside[after + 1]]
        if not len(between):
            return times, new[chosen]
        along = np.stack([np.interp(between, known, column) for column in moved.T], axis=1)
        along = along + read_channel(armature, bone, path, between)
        order = np.argsort(np.concatenate([times, between]))
        return np.concatenate([times, between])[order], np.concatenate([new[chosen], along])[order]


def change_to(
    armature: bpy.types.Object,
    pose: BodyPose,
    before: BoneMotion,
    frames: np.ndarray,
    parts: np.ndarray,
    to_world: Matrix | np.ndarray | None,
) -> BoneChange:
    """The change of ``parts`` [B, 26] to a pose [B] at scene frames [B]; ``to_world`` as in `apply_pose`."""
    rig = rig_of(armature)
    pelvis = joints_of_shape(rig.body, np.asarray(pose.betas)[0])[0] + pose.transl
    basis, location = bone_channels(rig, local_rotations(pose), pelvis, to_world)
    return BoneChange(frames, BoneMotion(basis, location[:, 0]), before, parts)


def key_as_shown(
    armature: bpy.types.Object, parts: np.ndarray, now: float, rows: np.ndarray, *, first: bool = False
) -> None:
    """Key those of ``parts`` [26] that stand otherwise at the frame ``now`` than their curves say, number by
    number as they stand; at the frames ``rows`` [N] curves keep their values. Only with ``first`` a body
    without keys gets some.
    """
    rig, times, keyed = rig_of(armature), np.array([now]), is_keyed(armature)
    for part in np.flatnonzero(parts[: _ROOT + 1]).tolist() if keyed or first else ():
        name = rig.bones[0 if part == _ROOT else part]
        if name is None:
            continue
        bone = armature.pose.bones[name]
        path = "location" if part == _ROOT else rotation_path(bone)
        values, curves = (read_channel(armature, bone, path, times, at) for at in (now, None))
        if not keyed:
            own = ensure_curves(armature, armature.name)
            key_values(own, f"{bone.path_from_id()}.{path}", times, values, name)
        elif np.abs(curves - values).max() > 0:
            _key_some(armature, bone, path, times, values, rows)


def _channels(bone: bpy.types.PoseBone) -> dict[str, tuple[float, ...]]:
    return {path: tuple(getattr(bone, path)) for path in ("location", rotation_path(bone))}


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
