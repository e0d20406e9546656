"""Bones' rotation modes: the channels of each, as quaternions and near to one another."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Euler, Matrix

_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
# Radians below which a rotation has no axis of its own.
_NO_TURN = 1e-6


def rotation_path(bone: bpy.types.PoseBone) -> str:
    """The name of the property that turns a bone in its rotation mode."""
    return _PATHS.get(bone.rotation_mode, "rotation_euler")


def mode_quaternions(values: np.ndarray, mode: str) -> np.ndarray:
    """Unit quaternions (w, x, y, z) of a bone's rotation channels [N, C], as Blender reads them."""
    if mode == "QUATERNION":
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    if mode == "AXIS_ANGLE":
        axis = values[:, 1:] / np.maximum(np.linalg.norm(values[:, 1:], axis=1, keepdims=True), 1e-12)
        half = values[:, :1] / 2
        return np.concatenate([np.cos(half), np.sin(half) * axis], axis=1)
    return np.array([Euler(value, mode).to_quaternion() for value in values.tolist()])


def rotations_near(mode: str, rotations: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The channels [B, C] of rotations [B, 3, 3] in a mode, in the numbers nearest to ``near`` [B, C]."""
    values = []
    for rotation, old in zip(rotations, near.tolist(), strict=True):
        matrix = Matrix(rotation)
        if mode == "QUATERNION":
            own = np.array(matrix.to_quaternion())
        elif mode == "AXIS_ANGLE":
            axis, angle = matrix.to_quaternion().to_axis_angle()
            own = np.array([angle, *axis])
        else:
            values.append(np.array(matrix.to_euler(mode, Euler(old, mode))))
            continue
        values.append(values_near(mode, own, np.array(old)))
    return np.array(values)


def values_near(mode: str, value: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The same rotation as the channels ``value`` [C], in the numbers that are nearest to ``near`` [C]."""
    if mode == "QUATERNION":
        return -value if value @ near < 0 else value
    if mode != "AXIS_ANGLE":
        return np.array(Euler(value, mode).to_matrix().to_euler(mode, Euler(near, mode)))
    angle, axis = value[0], value[1:]
    if abs(np.sin(angle / 2)) < _NO_TURN and near[1:].any():
        axis = near[1:]
    elif axis @ near[1:] < 0:
        angle, axis = -angle, -axis
    whole = 2 * np.pi
    return np.array([angle + whole * np.round((near[0] - angle) / whole), *axis])
