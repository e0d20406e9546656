"""Bodies with keys."""

from collections.abc import Sequence

import bpy
import numpy as np
from lsr1_body_fit.addon.keyframes import insert_channels, motion_channels
from lsr1_body_fit.lsr1_solver import BodyPose


def insert_keyframes(
    armature: bpy.types.Object, pose: BodyPose, frames: Sequence[float], to_world: np.ndarray | None = None
) -> None:
    """Key a pose [B] at scene frames [B]; keys at other frames stay."""
    insert_channels(armature, motion_channels(armature, pose, to_world), np.asarray(frames, dtype=float))


def tweaked(armature: bpy.types.Object) -> None:
    """Its action is a strip that is being edited."""
    data = armature.animation_data_create()
    data.action = data.action or bpy.data.actions.new("strip")
    track = data.nla_tracks.new()
    strip = track.strips.new("strip", 1, data.action)
    data.action = None
    track.select = strip.select = True
    data.nla_tracks.active = track
    data.use_tweak_mode = True
