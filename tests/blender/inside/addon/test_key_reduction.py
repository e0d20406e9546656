"""Fewer keys stay within the error that was asked for, and keys in bulk are cheap."""

import time

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import keyframes, takes
from mathutils import Euler, Quaternion

from tests.blender.inside.addon.test_keyframes import turning_clip

FRAMES = 90


PATHS = {"QUATERNION": ("rotation_quaternion", 4), "AXIS_ANGLE": ("rotation_axis_angle", 4)}


def matrices(armature: bpy.types.Object, bone: str, mode: str) -> np.ndarray:
    """A bone's own rotations [B, 3, 3] as its curves give them, evaluated by Blender at every frame."""
    curves = keyframes.ensure_curves(armature, armature.name)
    path, count = PATHS.get(mode, ("rotation_euler", 3))
    found = [curves.find(f'pose.bones["{bone}"].{path}', index=index) for index in range(count)]
    values = [[curve.evaluate(frame) for curve in found] for frame in range(1, FRAMES + 1)]
    if mode == "QUATERNION":
        turns = [Quaternion(value).normalized() for value in values]
    elif mode == "AXIS_ANGLE":
        turns = [Quaternion(value[1:], value[0]) for value in values]
    else:
        turns = [Euler(value, mode) for value in values]
    return np.array([np.array(turn.to_matrix()) for turn in turns])


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "YZX"])
@pytest.mark.parametrize("interpolation", ["BEZIER", "LINEAR"])
@pytest.mark.parametrize("error", [0.5, 3.0])
def test_fewer_keys_within_the_error(mode: str, interpolation: str, error: float) -> None:
    armature = bodies.add_body(bpy.context)
    for bone in armature.pose.bones:
        bone.rotation_mode = mode
    clip, frames = turning_clip(FRAMES), np.arange(1.0, FRAMES + 1)
    channels = keyframes.motion_channels(armature, clip)
    curves = keyframes.ensure_curves(armature, armature.name)
    dense = takes.write_motion(curves, channels, frames, interpolation=interpolation)
    before = {bone.name: matrices(armature, bone.name, mode) for bone in armature.pose.bones}
    curves.clear()
    fewer = takes.write_motion(curves, channels, frames, interpolation=interpolation, error=error)
    assert fewer < (0.75 if error < 1 else 0.5) * dense
    for name, wanted in before.items():
        turned = np.swapaxes(matrices(armature, name, mode), -1, -2) @ wanted
        cosine = np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)
        assert np.degrees(np.arccos(cosine)).max() < error + 0.05, name
    ends = [point.co.x for point in curves[0].keyframe_points]
    assert ends[0] == 1 and ends[-1] == FRAMES


def test_a_still_bone_has_two_keys() -> None:
    armature = bodies.add_body(bpy.context)
    clip = turning_clip(FRAMES)
    clip.body_pose[:] = clip.body_pose[:1]
    curves = keyframes.ensure_curves(armature, armature.name)
    channels = keyframes.motion_channels(armature, clip)
    takes.write_motion(curves, channels, np.arange(1.0, FRAMES + 1), error=0.5)
    assert len(curves.find('pose.bones["left_elbow"].rotation_quaternion', index=0).keyframe_points) == 2


@pytest.mark.parametrize("error", [None, 0.2])
def test_a_cut_is_not_led_over(error: float | None) -> None:
    armature = bodies.add_body(bpy.context)
    clip = turning_clip(20)
    clip.transl[10:] += 3.0
    cuts = np.zeros(20, dtype=bool)
    cuts[10] = True
    curves = keyframes.ensure_curves(armature, armature.name)
    channels = keyframes.motion_channels(armature, clip)
    takes.write_motion(curves, channels, np.arange(1.0, 21.0), cuts=cuts, error=error)
    place = curves.find('pose.bones["pelvis"].location', index=0)
    key = {round(point.co.x): point.co.y for point in place.keyframe_points}
    assert {10, 11} <= key.keys()
    for frame in (10.01, 10.5, 10.9):
        assert abs(place.evaluate(frame) - key[10]) < 1e-6
    between = np.array([place.evaluate(frame) for frame in np.arange(9, 10, 0.1)])
    low, high = sorted((place.evaluate(9), key[10]))
    assert low - 0.01 < between.min() and between.max() < high + 0.01


def test_keys_in_bulk_cost_a_fraction_of_single_ones() -> None:
    """The same keys, written both ways in one process: only their ratio is looked at."""
    clip, frames = turning_clip(600), np.arange(1.0, 601.0)
    armature = bodies.add_body(bpy.context)
    channels = keyframes.motion_channels(armature, clip)
    began = time.perf_counter()
    takes.write_motion(keyframes.ensure_curves(armature, "bulk"), channels, frames)
    bulk = time.perf_counter() - began
    other = bodies.add_body(bpy.context)
    began = time.perf_counter()
    for frame in frames.tolist():
        for bone in other.pose.bones:
            bone.keyframe_insert("rotation_quaternion", frame=frame)
    single = time.perf_counter() - began
    assert bulk < single / 4, f"bulk {bulk:.3f} s, one by one {single:.3f} s"
    print(f"bulk {bulk:.3f} s, one by one {single:.3f} s")
