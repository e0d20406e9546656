"""The smoothing baselines of the video benchmark, and its clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver.body_model import BodyPose
from lsr1_solver.model_file import load_body_model
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from lsr1_solver.training.retarget import Motion
from tests.bench.metrics import acceleration_error_mm, slide_mm
from tests.bench.smoothing import Filter, OneEuro, SavitzkyGolay, continuous_quaternions, smoothed
from tests.bench.video_clips import TURN, back_and_forth

FILTERS = [SavitzkyGolay(9, 2), SavitzkyGolay(15, 1), OneEuro(1.0, 0.3, 30.0), OneEuro(0.5, 0.0, 30.0, True)]


def _turning(frames: int, speed: float = 4.0) -> BodyPose:
    """A body that turns about the vertical, past half a turn; radians a second, 30 Hz."""
    angle = speed * np.arange(frames) / 30.0
    omega = matrix_to_axis_angle(axis_angle_to_matrix(angle[:, None] * np.array([0.0, 1.0, 0.0])))
    joints = np.full((frames, 23, 3), 0.2)
    return BodyPose(omega, joints, np.zeros((frames, 10)), np.tile([0.5, 1.0, -4.0], (frames, 1)))


@pytest.mark.parametrize("smooth", FILTERS)
@pytest.mark.parametrize("frames", [1, 2, 4, 40])
def test_a_constant_stays(smooth: Filter, frames: int) -> None:
    still = np.tile(np.random.default_rng(0).standard_normal((1, 3, 4)), (frames, 1, 1))
    np.testing.assert_allclose(smooth(still), still, atol=1e-12)


@pytest.mark.parametrize(("window", "degree"), [(5, 1), (9, 2), (61, 3)])
@pytest.mark.parametrize("frames", [8, 9, 100])
def test_savitzky_golay_keeps_polynomials_of_its_degree(window: int, degree: int, frames: int) -> None:
    time = np.linspace(-1, 1, frames)
    curve = np.stack([time**k for k in range(degree + 1)], axis=1)[:, None]
    np.testing.assert_allclose(SavitzkyGolay(window, degree)(curve), curve, atol=1e-10)


def test_savitzky_golay_with_as_many_frames_as_coefficients_changes_nothing() -> None:
    noise = np.random.default_rng(1).standard_normal((20, 2, 3))
    np.testing.assert_allclose(SavitzkyGolay(3, 2)(noise), noise, atol=1e-10)


@pytest.mark.parametrize("smooth", FILTERS)
def test_filters_take_tremor_away(smooth: Filter) -> None:
    noise = np.random.default_rng(2).standard_normal((300, 5, 3))
    assert np.diff(smooth(noise), 2, axis=0).std() < 0.5 * np.diff(noise, 2, axis=0).std()


def test_one_euro_at_a_high_cutoff_is_no_filter_and_there_and_back_has_no_delay() -> None:
    time = np.arange(300) / 30.0
    wave = np.sin(time)[:, None, None]
    np.testing.assert_allclose(OneEuro(1e9, 0.0, 30.0)(wave), wave, atol=1e-6)
    once, twice = OneEuro(0.5, 0.0, 30.0)(wave), OneEuro(0.5, 0.0, 30.0, True)(wave)
    delays = [
        int(np.argmax([np.sum(s[k:] * wave[: len(wave) - k]) for k in range(20)])) for s in (once, twice)
    ]
    assert delays[0] > 3
    assert delays[1] == 0


@pytest.mark.parametrize("smooth", FILTERS[:2])
def test_a_turning_body_is_smoothed_without_a_jump_or_a_scale(smooth: Filter) -> None:
    body, pose = load_body_model(), _turning(120)
    q = continuous_quaternions(axis_angle_to_matrix(pose.global_orient[:, None]))
    assert np.abs(np.diff(q, axis=0)).max() < 0.1
    result = smoothed(pose, body, smooth)
    inner = slice(10, -10)
    before, after = (axis_angle_to_matrix(p.global_orient[inner]) for p in (pose, result))
    assert np.degrees(geodesic_angle(before, after)).max() < 0.5
    np.testing.assert_allclose(result.body_pose, pose.body_pose, atol=1e-9)
    np.testing.assert_allclose(result.transl, pose.transl, atol=1e-9)


def test_the_pelvis_stays_where_it_was_when_shapes_become_one() -> None:
    body, pose = load_body_model(), _turning(10, 0.0)
    pose = replace(pose, betas=np.linspace(-1, 1, 10)[:, None] * np.ones(10))
    result = smoothed(pose, body, SavitzkyGolay(5, 1))
    np.testing.assert_allclose(result.betas, 0, atol=1e-12)
    np.testing.assert_allclose(result.transl, pose.transl, atol=0.02)


def test_back_and_forth_is_smooth_and_made_of_the_motion_itself() -> None:
    angle = np.linspace(0, 2, 60)
    rotations = np.tile(axis_angle_to_matrix(angle[:, None, None] * np.eye(3)[None, :1]), (1, 24, 1, 1))
    motion = Motion("x", "test", "X", rotations, angle[:, None] * np.array([1.0, 0.0, 0.0]), 30.0)
    long = back_and_forth(motion, 400)
    assert len(long.root) == 400
    place = long.root[:, 0]
    step = angle[1]
    assert np.abs(np.diff(place)).max() < step * 1.001
    assert np.abs(np.diff(place, 2)).max() < 1.5 * step / TURN
    assert place.max() - place.min() > angle[-1] - (TURN + 1) * step
    exact = np.abs(place[:, None] - angle).min(axis=1) < 1e-9
    assert exact.mean() > 0.65
    np.testing.assert_allclose(matrix_to_axis_angle(long.rotations)[:, 5, 0], place, atol=1e-9)
    np.testing.assert_array_equal(back_and_forth(motion, 50).root, motion.root[:50])


def test_metrics_in_time() -> None:
    truth = np.random.default_rng(3).standard_normal((50, 24, 3))
    moved = truth + np.arange(50)[:, None, None] * np.array([0.01, 0.0, 0.0])
    assert acceleration_error_mm(moved, truth) == pytest.approx(0, abs=1e-9)
    shaken = truth.copy()
    shaken[:, 5, 0] += 0.001 * (-1.0) ** np.arange(50)
    assert acceleration_error_mm(shaken, truth) == pytest.approx(4 / 24)
    standing = np.ones((50, 24), dtype=bool)
    assert slide_mm(moved - truth, standing) == pytest.approx(10)
    assert np.isnan(slide_mm(truth, ~standing))
