"""Keys changed in the middle of curves: where neither end of a stretch changes, the curve stays."""

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import curve_keys, keyframes, rotation_modes
from lsr1_body_fit.lsr1_solver.rotation import axis_angle_to_matrix
from mathutils import Euler, Matrix

FINE = np.linspace(-5, 45, 2001)
KINDS = {"auto": 1, "auto clamped": 4, "vector": 2, "aligned": 3, "free": 0}


def curve_of(times: list[float], values: list[float], *, smoothing: str = "NONE") -> bpy.types.FCurve:
    thing = bpy.data.objects.new("thing", None)
    curve = keyframes.new_curve(keyframes.ensure_curves(thing, "thing"), "location", 0, "Place")
    curve.auto_smoothing = smoothing
    keyframes.add_keys(curve, np.array(times), np.array(values))
    return curve


def seen(curve: bpy.types.FCurve) -> np.ndarray:
    return np.array([curve.evaluate(time) for time in FINE.tolist()])


def wave(times: np.ndarray) -> np.ndarray:
    return np.sin(0.7 * times) + 0.1 * times


@pytest.mark.parametrize("smoothing", ["NONE", "CONT_ACCEL"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_in_dense_keys_nothing_moves_but_beside_the_changed_ones(kind: str, smoothing: str) -> None:
    times = np.arange(0.0, 41.0)
    curve = curve_of(times.tolist(), wave(times).tolist(), smoothing=smoothing)
    for side in ("handle_left_type", "handle_right_type"):
        curve.keyframe_points.foreach_set(side, np.full(len(times), KINDS[kind], dtype=np.int32))
    curve.update()
    before = seen(curve)
    changed = np.array([10.0, 11.0, 12.0, 20.0])
    curve_keys.change_keys(curve, changed, wave(changed) + 3, times)
    after = seen(curve)
    touched = ((FINE > 9) & (FINE < 13)) | ((FINE > 19) & (FINE < 21))
    assert np.array_equal(after[~touched], before[~touched])
    assert np.allclose([curve.evaluate(t) for t in changed.tolist()], wave(changed) + 3)
    # It stays so when Blender works the handles out again.
    curve.update()
    assert np.abs(seen(curve) - before)[~touched].max() < 2e-4
    assert len(curve.keyframe_points) == 41


@pytest.mark.parametrize("smoothing", ["NONE", "CONT_ACCEL"])
def test_sparse_keys_are_cut_without_changing_the_curve(smoothing: str) -> None:
    times = np.array([0.0, 3.0, 9.0, 24.0, 31.0, 40.0])
    curve = curve_of(times.tolist(), wave(times).tolist(), smoothing=smoothing)
    before = seen(curve)
    frames = np.arange(0.0, 41.0)
    at_frames = np.array([curve.evaluate(t) for t in frames.tolist()])
    changed = np.array([14.0, 15.0, 16.0])
    curve_keys.change_keys(curve, changed, np.full(3, 7.0), frames)
    touched = (FINE > 13) & (FINE < 17)
    assert np.abs(seen(curve) - before)[~touched].max() < 2e-5
    same = ~np.isin(frames, changed)
    assert np.array_equal(np.array([curve.evaluate(t) for t in frames.tolist()])[same], at_frames[same])
    outside = (FINE < 9) | (FINE > 24)
    assert np.array_equal(seen(curve)[outside], before[outside])


@pytest.mark.parametrize("extrapolation", ["CONSTANT", "LINEAR"])
def test_beyond_the_keys_the_curve_stays_straight(extrapolation: str) -> None:
    curve = curve_of([0.0, 4.0, 8.0], [0.0, 3.0, 4.0])
    for key in curve.keyframe_points:
        key.handle_left_type = key.handle_right_type = "AUTO"
    curve.extrapolation = extrapolation
    curve.update()
    before = seen(curve)
    curve_keys.change_keys(curve, np.array([20.0, 21.0]), np.array([1.0, 2.0]), np.arange(0.0, 41.0))
    after, touched = seen(curve), (FINE > 19)
    assert np.abs(after - before)[~touched].max() < 1e-5
    assert abs(curve.evaluate(20) - 1) < 1e-6
    curve_keys.change_keys(curve, np.array([-3.0]), np.array([5.0]), np.arange(0.0, 41.0))
    between = (FINE >= -2) & (FINE <= 19)
    assert np.abs(seen(curve) - after)[between].max() < 1e-5


@pytest.mark.parametrize("interpolation", ["CONSTANT", "LINEAR"])
def test_other_interpolations_stay(interpolation: str) -> None:
    curve = curve_of([0.0, 10.0, 30.0], [0.0, 3.0, -2.0])
    for key in curve.keyframe_points:
        key.interpolation = interpolation
    before = seen(curve)
    curve_keys.change_keys(curve, np.array([15.0]), np.array([9.0]), np.arange(0.0, 41.0))
    touched = (FINE > 14) & (FINE < 16)
    assert np.abs(seen(curve) - before)[~touched].max() < 1e-5


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "XYZ", "ZYX"])
def test_rotations_take_the_numbers_nearest_to_those_before(mode: str) -> None:
    generator = np.random.default_rng(3)
    for _ in range(30):
        omega = generator.normal(size=3)
        matrix = axis_angle_to_matrix(omega)
        angle = np.linalg.norm(omega)
        near = {
            "QUATERNION": -np.array(Matrix(matrix).to_quaternion()),
            "AXIS_ANGLE": np.array([4 * np.pi - angle, *(-omega / angle)]),
        }.get(mode)
        if near is None:
            near = np.array(Euler(tuple(generator.normal(size=3) * 4), mode))
        own = rotation_modes.rotations_near(mode, matrix[None], near[None])
        q = rotation_modes.mode_quaternions(own, mode)[0]
        assert abs(abs(q @ np.array(Matrix(matrix).to_quaternion())) - 1) < 1e-6
        if mode in ("QUATERNION", "AXIS_ANGLE"):
            assert np.abs(own[0] - near).max() < 1e-5
        else:
            assert np.abs(own[0] - near).max() < 2.2 * np.pi
