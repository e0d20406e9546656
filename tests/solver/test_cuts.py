"""Where a clip is cut, and where only a person moves fast or a detector errs."""

import numpy as np
import pytest

from lsr1_solver import read_keypoints
from lsr1_solver.cuts import jump_cuts, stray_frames
from lsr1_solver.hypotheses import SWAPPED_LIMBS
from lsr1_solver.side_swaps import side_swaps
from lsr1_solver.tracking import person_sizes
from tests.shared import SHARED, needs_shared
from tests.solver.moving_people import HEIGHT, NAMES, exchanged, walker

RATES = (24.0, 30.0, 60.0, 120.0)


def cuts(xy: np.ndarray, rate: float, seen: np.ndarray | None = None) -> list[int]:
    confidence = np.ones(xy.shape[:2]) if seen is None else seen.astype(float)
    height = np.full(len(xy), HEIGHT)
    return np.flatnonzero(jump_cuts(xy, confidence, height, rate, NAMES)).tolist()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("speed", "steps"), [(1.2, 1.0), (9.5, 2.3)])
def test_a_walk_and_a_sprint_have_no_cut(rate: float, speed: float, steps: float) -> None:
    xy = walker(int(2 * rate), rate, yaw=np.pi / 2, speed=speed, steps=steps, noise=0.01)
    assert cuts(xy, rate) == []


@pytest.mark.parametrize("rate", RATES)
def test_somebody_elsewhere_is_a_cut_at_the_frame(rate: float) -> None:
    xy = walker(int(2 * rate), rate, noise=0.01)
    at = int(rate)
    xy[at:] += [0.3 * HEIGHT, 0.0]
    assert cuts(xy, rate) == [at]


@pytest.mark.parametrize("rate", RATES)
def test_another_camera_is_a_cut(rate: float) -> None:
    at = int(rate)
    xy = np.concatenate(
        [walker(at, rate, noise=0.01), 300 + 1.5 * walker(at, rate, yaw=np.pi, noise=0.01)[:, :, ::-1]]
    )
    assert cuts(xy, rate) == [at]


def test_somersaults_are_no_cuts() -> None:
    rate = 24.0
    xy = walker(48, rate, noise=0.01)
    middle = xy.mean(axis=1, keepdims=True)
    angle = 2 * np.pi * 1.5 * np.arange(48) / rate
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 1, 2, 2)
    assert cuts(middle + (turn @ (xy - middle)[..., None])[..., 0], rate) == []


def test_frames_that_were_dropped_or_repeated_are_no_cut() -> None:
    xy = walker(120, 30, yaw=np.pi / 2, speed=9.0, steps=2.3, noise=0.005)
    dropped = np.delete(xy, [30, 60, 90], axis=0)
    assert cuts(dropped, 30) == []
    # 24 frames a second made 30: every fourth is shown twice.
    shown = walker(96, 24, yaw=np.pi / 2, speed=9.0, steps=2.3, noise=0.005)
    assert cuts(shown[np.arange(120) * 4 // 5], 30) == []


def test_a_shaking_camera_makes_no_cut_and_hides_none() -> None:
    shake = np.random.default_rng(2).normal(0, 0.05 * HEIGHT, (120, 1, 2))
    xy = walker(120, 30, noise=0.01) + shake
    assert cuts(xy, 30) == []
    xy[60:] += [0.7 * HEIGHT, 0.0]
    assert cuts(xy, 30) == [60]


@pytest.mark.parametrize("parts", [*SWAPPED_LIMBS, ("",)])
def test_exchanged_sides_are_no_cut(parts: tuple[str, ...]) -> None:
    xy = exchanged(walker(60, 30, noise=0.01), slice(20, 40), parts)
    assert cuts(xy, 30) == []


def test_a_gap_that_a_walk_explains_is_no_cut_and_one_that_it_does_not_is() -> None:
    xy, seen = walker(90, 30, yaw=np.pi / 2, noise=0.01), np.ones((90, 16), dtype=bool)
    seen[40:52] = False
    assert cuts(xy, 30, seen) == []
    xy[52:] += [1.5 * HEIGHT, 0.0]
    assert cuts(xy, 30, seen) == [52]


def test_missing_runs_and_outliers_hide_no_cut_and_make_none() -> None:
    random = np.random.default_rng(1)
    xy = walker(120, 30, noise=0.01)
    seen = np.ones(xy.shape[:2], dtype=bool)
    for k in range(16):
        begin = random.integers(0, 110, size=3)
        for b in begin:
            seen[b : b + 8, k] = False
    hit = random.uniform(size=seen.shape) < 0.05
    xy = xy + hit[..., None] * random.uniform(-0.5, 0.5, xy.shape) * HEIGHT
    assert cuts(xy, 30, seen) == []
    xy[70:] += [0.0, 0.4 * HEIGHT]
    assert cuts(xy, 30, seen) == [70]


def test_a_glitch_of_two_frames_is_stray_and_no_cut() -> None:
    xy = walker(60, 30, noise=0.01)
    xy[30:32] += [2 * HEIGHT, 0.0]
    assert cuts(xy, 30) == []
    stray = stray_frames(xy, np.ones(xy.shape[:2]), np.full(60, HEIGHT), 30, NAMES)
    assert np.flatnonzero(stray).tolist() == [30, 31]


def test_size_rate_and_an_unknown_height_change_nothing() -> None:
    xy = walker(60, 30, noise=0.01)
    xy[30:] += [0.3 * HEIGHT, 0.0]
    height = np.full(60, HEIGHT)
    height[10:20] = np.nan
    confidence = np.ones(xy.shape[:2])
    wanted = jump_cuts(xy, confidence, height, 30, NAMES)
    assert np.array_equal(jump_cuts(7 * xy + 100, confidence, 7 * height, 30, NAMES), wanted)
    assert wanted.sum() == 1


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips_and_empty_frames(frames: int) -> None:
    xy = walker(frames, 30)
    assert cuts(xy, 30) == []
    assert cuts(xy, 30, np.zeros((frames, 16), dtype=bool)) == []


@needs_shared("cases")
@pytest.mark.parametrize("case", ["02_gap_frames", "03_person_order_swap", "17_frame_rates"])
def test_people_who_only_walk_in_the_cases_are_not_cut(case: str) -> None:
    for person in read_keypoints(SHARED / "cases" / case / "op", format="BODY_25"):
        height = 1.1 * person_sizes(person.xy, person.confidence)
        names = person.format.names
        for rate in (25.0, 30.0):
            assert not jump_cuts(person.xy, person.confidence, height, rate, names).any()
            assert not stray_frames(person.xy, person.confidence, height, rate, names).any()
            swaps = side_swaps(person.xy, person.confidence, names, height, rate)
            assert not swaps.swapped.any()
