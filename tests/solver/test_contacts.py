"""Feet that stand, on floors, stairs and after jumps, at any frame rate."""

import numpy as np
import pytest

from lsr1_solver.contacts import find_contacts, foot_slide, point_slides

UP = np.array([0.0, 1.0, 0.0])
RATES = (24.0, 30.0, 60.0, 120.0)
STAND, SWING = 0.6, 0.4  # seconds


def steps(rate: float, rise: float = 0.0, length: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Two points that stand and swing in turn, each step ``rise`` metres higher. -> [T, 2, 3], [T, 2]."""
    time = np.arange(round(5 * rate)) / rate
    points, stands = [], []
    for foot in range(2):
        cycle, phase = np.divmod(time + foot * (STAND + SWING) / 2, STAND + SWING)
        swing = np.clip((phase - STAND) / SWING, 0, 1)
        ahead = cycle + swing - np.sin(2 * np.pi * swing) / (2 * np.pi)
        # Lifted first, then put down on the next step.
        up = 2 * rise * (cycle + np.clip(2 * swing, 0, 1)) - foot * rise + 0.12 * np.sin(np.pi * swing) ** 2
        points.append(np.stack([0.2 * foot + 0 * time, up, 2 * length * ahead], axis=-1))
        stands.append(phase <= STAND)
    return np.stack(points, axis=1), np.stack(stands, axis=1)


def agreement(found: np.ndarray, wanted: np.ndarray, rate: float) -> float:
    """The share of frames that agree, those within 0.1 s of a change left out."""
    clear = np.ones(wanted.shape, dtype=bool)
    reach = round(0.1 * rate)
    for t, p in np.argwhere(np.diff(wanted, axis=0)):
        clear[max(0, t - reach) : t + reach + 2, p] = False
    return float((found == wanted)[clear].mean())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("rise", [0.0, 0.17, -0.17])
def test_steps_on_a_floor_and_on_stairs(rate: float, rise: float) -> None:
    points, wanted = steps(rate, rise)
    assert agreement(find_contacts(points, UP, rate), wanted, rate) > 0.98


@pytest.mark.parametrize("rate", RATES)
def test_errors_of_a_fit_change_little(rate: float) -> None:
    points, wanted = steps(rate)
    time = np.arange(len(points)) / rate
    drift = 0.04 * np.sin(2 * np.pi * 0.4 * time)[:, None, None] * np.array([0.6, 0.1, 0.8])
    # The tremor of a fit is as fast in seconds whatever the rate.
    rough = np.random.default_rng(0).standard_normal((151, 6)) * 0.003
    tremor = np.stack([np.interp(30 * time, np.arange(151), r) for r in rough.T], axis=-1)
    found = find_contacts(points + drift + tremor.reshape(-1, 2, 3), UP, rate)
    assert agreement(found, wanted, rate) > 0.95


@pytest.mark.parametrize("rate", RATES)
def test_nothing_stands_in_the_air(rate: float) -> None:
    time = np.arange(round(2 * rate)) / rate
    flight = np.clip((time - 0.8) / 0.5, 0, 1)
    height = 4.905 * 0.5**2 * flight * (1 - flight)
    points = np.zeros((len(time), 2, 3))
    points[..., 1] = height[:, None]
    found = find_contacts(points, UP, rate)
    assert found[(time < 0.7) | (time > 1.4)].all()
    assert not found[(time > 0.9) & (time < 1.2)].any()


def test_a_foot_held_high_does_not_stand() -> None:
    points = np.zeros((90, 2, 3))
    points[:, 1, 1] = 0.6 * np.clip((np.arange(90) - 20) / 20, 0, 1)
    found = find_contacts(points, UP, 30)
    assert found[:, 0].all()
    assert found[:15, 1].all()
    assert not found[45:, 1].any()


def test_up_may_point_anywhere_and_the_floor_may_lie_anywhere() -> None:
    points, _ = steps(30.0)
    wanted = find_contacts(points, UP, 30)
    turned = points[..., [2, 0, 1]] + [3.0, -2.0, 5.0]
    assert np.array_equal(find_contacts(turned, np.array([0.0, 0.0, 2.0]), 30), wanted)


def test_depth_errors_matter_less_where_the_camera_is_known() -> None:
    points, wanted = steps(30.0)
    eye = np.array([6.0, 1.5, 2.0])
    time = np.arange(len(points)) / 30
    rays = (points - eye) / np.linalg.norm(points - eye, axis=-1, keepdims=True)
    drift = 0.25 * np.sin(2 * np.pi * 0.4 * time)[:, None, None] * rays
    assert agreement(find_contacts(points + drift, UP, 30), wanted, 30) < 0.9
    assert agreement(find_contacts(points + drift, UP, 30, eye=eye), wanted, 30) > 0.95
    moving = np.tile(eye, (len(points), 1))
    found = find_contacts(points + drift, UP, 30, eye=moving)
    assert np.array_equal(found, find_contacts(points + drift, UP, 30, eye=eye))


@pytest.mark.parametrize("rate", RATES)
def test_somebody_who_walks_towards_the_camera_still_steps(rate: float) -> None:
    points, wanted = steps(rate)
    found = find_contacts(points, UP, rate, eye=np.array([0.1, 1.5, 12.0]))
    assert agreement(found, wanted, rate) > 0.97


def test_an_ankle_stands_though_it_is_never_as_low_as_a_toe() -> None:
    points, _ = steps(30.0)
    ankles = points + np.array([0.0, 0.09, -0.1])
    found = find_contacts(np.concatenate([points, ankles], axis=1), UP, 30)
    assert np.array_equal(found[:, :2], found[:, 2:])


def test_shots_are_read_apart() -> None:
    points, _ = steps(30.0)
    cuts = np.zeros(2 * len(points), dtype=bool)
    cuts[len(points)] = True
    alone = find_contacts(points, UP, 30)
    both = find_contacts(np.concatenate([points, points + 5 * UP]), UP, 30, cuts)
    assert np.array_equal(both, np.concatenate([alone, alone]))


def test_slides_are_measured_where_a_point_stands_in_both_frames() -> None:
    points = np.zeros((4, 1, 3))
    points[:, 0, 0] = [0.0, 0.002, 0.005, 0.1]
    contacts = np.array([[True], [True], [True], [False]])
    slides = point_slides(points, contacts)
    assert np.isnan(slides[[0, 3]]).all()
    assert slides[1:3, 0] == pytest.approx([2.0, 3.0])
    assert foot_slide(points, contacts) == pytest.approx(2.5)
    assert foot_slide(points, np.zeros((4, 1), dtype=bool)) == 0


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips(frames: int) -> None:
    assert find_contacts(np.zeros((frames, 2, 3)), UP, 30).shape == (frames, 2)
