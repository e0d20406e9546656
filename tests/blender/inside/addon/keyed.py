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
