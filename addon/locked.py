"""Locked bones through a fit: their pose for the solver, and their numbers for the bones.

A pose that goes through the solver and back differs from what was there in the last digits. What is locked
is therefore read once, before the fit, and written back number by number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import BodyModel, BodyPose
from ..lsr1_solver.problem import PARTS, PLACE, SHAPE
from ..lsr1_solver.refine import with_parts
from .body import shown_betas
from .bone_motion import read_bones, read_channel
from .curve_keys import near_frames
from .holding import locked_parts
from .keyframes import Channel, add_keys, ensure_curves
from .rig import rig_of
from .rotation_modes import rotation_path, values_near

_PLACE = PARTS.index(PLACE)
_SAME_SHAPE = 1e-6


@dataclass(frozen=True, eq=False)
class LockedChannel:
    """A bone's property ``name``, the ``rows`` [B] at which it is locked, and its ``values`` [B, N].

    ``between`` [M] are whole frames in the lock that have no row, ``there`` [M, N] the values at these.
    """

    bone: str
    name: str
    path: str
    mode: str
    rows: np.ndarray
    values: np.ndarray
    between: np.ndarray
    there: np.ndarray


@dataclass(frozen=True, eq=False)
class LockedBones:
    """What a body keeps through a fit, at B scene frames.

    ``parts`` [B, 26] which of PARTS are locked; ``pose`` [B] the body as it is there, in camera axes;
    ``betas`` the shape of its rest bones.
    """

    parts: np.ndarray
    pose: BodyPose
    channels: tuple[LockedChannel, ...]
    betas: np.ndarray

    @property
    def held(self) -> np.ndarray | None:
        """The same for a `FitProblem`; None where nothing is locked."""
        return np.where(self.parts, 0.0, np.inf) if self.parts.any() else None

    def into(self, body: BodyModel, pose: BodyPose, *, keep_shape: bool) -> BodyPose:
        """A pose [B] with what is locked, and the body's shape if that is to be kept."""
        parts = self.parts.copy()
        parts[:, PARTS.index(SHAPE)] = keep_shape
        return with_parts(body, pose, self.pose, parts)

    def show(self, armature: bpy.types.Object, row: int = 0) -> None:
        """Put the bones that are locked in a row back to their numbers."""
        for own in self._valid(armature):
            if own.rows[row]:
                setattr(armature.pose.bones[own.bone], own.name, own.values[row].tolist())

    def keep(self, armature: bpy.types.Object, channels: list[Channel]) -> list[Channel]:
        """A motion's channels [B] with the numbers of what is locked."""
        locked = {own.path: own for own in self._valid(armature)}
        return [_kept(channel, locked.get(channel.path)) for channel in channels]

    def key_between(self, armature: bpy.types.Object) -> None:
        """Key what is locked at whole frames between the rows, too, where only these were keyed."""
        curves = ensure_curves(armature, armature.name)
        for own in self._valid(armature):
            found = [curves.find(own.path, index=index) for index in range(own.values.shape[1])]
            for time, values in zip(own.between.tolist(), own.there, strict=True):
                near = np.array([curve.evaluate(time) for curve in found])
                values = values_near(own.mode, values, near) if own.mode == "QUATERNION" else values
                for curve, value in zip(found, values, strict=True):
                    add_keys(curve, np.array([time]), np.array([value]))

    def _valid(self, armature: bpy.types.Object) -> list[LockedChannel]:
        """A pelvis that stays where it is has another location above rest bones of another shape."""
        shapes = shown_betas(armature), np.array(armature.lsr1_body.betas)
        same = all(np.allclose(shape, self.betas, atol=_SAME_SHAPE) for shape in shapes)
        return [own for own in self.channels if same or own.name != "location"]


def locked_bones(
    armature: bpy.types.Object, frames: np.ndarray, now: float, to_world: np.ndarray | None
) -> LockedBones:
    """Read what is locked at scene frames [B], at the frame ``now`` as it stands; ``to_world`` as in
    ``apply_pose``.
    """
    rig, parts, betas = rig_of(armature), locked_parts(armature, frames), shown_betas(armature)
    motion = read_bones(armature, frames, now)
    whole = np.arange(np.ceil(frames[0]), np.floor(frames[-1]) + 1)
    whole = whole[~near_frames(whole, frames)]
    locked_whole = locked_parts(armature, whole)
    channels = []
    for part in np.flatnonzero(parts.any(axis=0)).tolist():
        name = rig.bones[0 if part == _PLACE else part]
        if name is None:
            continue
        bone = armature.pose.bones[name]
        own = "location" if part == _PLACE else rotation_path(bone)
        values, there = (read_channel(armature, bone, own, times, now) for times in (frames, whole))
        mode, path = "" if part == _PLACE else bone.rotation_mode, f"{bone.path_from_id()}.{own}"
        at = locked_whole[:, part]
        channels.append(LockedChannel(name, own, path, mode, parts[:, part], values, whole[at], there[at]))
    pose = motion.pose(rig, betas, to_world)
    return LockedBones(parts, pose, tuple(channels), np.array(armature.lsr1_body.betas))


def _kept(channel: Channel, locked: LockedChannel | None) -> Channel:
    """The channel with the locked rows' numbers, and the others' near to those."""
    if locked is None:
        return channel
    rows = locked.rows
    values = np.where(rows[:, None], locked.values, channel.values)
    if channel.mode:
        first = int(np.argmax(rows))
        ways = range(first + 1, len(values)), range(first - 1, -1, -1)
        for way in ways:
            for row in way:
                beside = values[row - way.step]
                # A quaternion may change its sign: the rotation is the same, bit for bit.
                if not rows[row] or channel.mode == "QUATERNION":
                    values[row] = values_near(channel.mode, values[row], beside)
    return replace(channel, values=values, held=rows)
