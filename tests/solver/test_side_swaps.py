"""Exchanged sides are found and put right; limbs that truly cross are left alone."""

import numpy as np
import pytest

from lsr1_solver.hypotheses import ARMS, LEGS, SWAPPED_LIMBS
from lsr1_solver.side_swaps import SideSwaps, side_swaps
from tests.solver.moving_people import HEIGHT, NAMES, exchanged, walker

# The whole person too, face and all.
PARTS = (*SWAPPED_LIMBS, ("",))
RATES = (24.0, 30.0, 60.0, 120.0)


def found(
    xy: np.ndarray,
    rate: float = 30.0,
    seen: np.ndarray | None = None,
    cuts: np.ndarray | None = None,
    names: tuple[str | None, ...] = NAMES,
) -> SideSwaps:
    confidence = np.ones(xy.shape[:2]) if seen is None else seen.astype(float)
    return side_swaps(xy, confidence, names, np.full(len(xy), HEIGHT), rate, cuts)


def repaired(xy: np.ndarray, swaps: SideSwaps) -> np.ndarray:
    return np.take_along_axis(xy, swaps.order[..., None], axis=1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("parts", PARTS)
def test_an_exchanged_run_is_put_right(rate: float, parts: tuple[str, ...]) -> None:
    xy = walker(int(3 * rate), rate, yaw=0.3, noise=0.005)
    at = int(rate)
    wrong = exchanged(xy, slice(at, at + int(0.4 * rate)), parts)
    swaps = found(wrong, rate)
    assert np.array_equal(repaired(wrong, swaps), xy)
    assert not swaps.unsure.any()


@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_runs_of_any_length(length: int) -> None:
    xy = walker(150, 30, yaw=0.3, noise=0.005)
    wrong = exchanged(xy, slice(60, 60 + length), LEGS)
    assert np.array_equal(repaired(wrong, found(wrong)), xy)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("yaw", [0.0, 0.4, 0.8, 1.2, np.pi / 2, 2.5])
@pytest.mark.parametrize("steps", [1.0, 2.0])
def test_crossing_limbs_are_left_alone(rate: float, yaw: float, steps: float) -> None:
    swaps = found(walker(int(4 * rate), rate, yaw=yaw, steps=steps, noise=0.01), rate)
    assert not swaps.swapped.any()
    assert not swaps.unsure.any()


def test_missing_points_and_outliers() -> None:
    random = np.random.default_rng(0)
    xy = walker(150, 30, yaw=0.3, noise=0.005)
    wrong = exchanged(xy, slice(60, 80), LEGS)
    seen = random.uniform(size=xy.shape[:2]) > 0.15
    seen[66:70] = False
    hit = random.uniform(size=seen.shape) < 0.02
    wrong = wrong + hit[..., None] * random.uniform(-0.5, 0.5, wrong.shape) * HEIGHT
    wanted = np.zeros(len(xy), dtype=bool)
    wanted[60:80] = True
    swapped = found(wrong, seen=seen).swapped[:, NAMES.index("left_knee")]
    # In frames that show nobody it doesn't matter.
    assert np.array_equal(swapped[seen.any(axis=1)], wanted[seen.any(axis=1)])


def test_of_one_change_the_longer_part_is_believed() -> None:
    xy = walker(150, 30, yaw=0.3, noise=0.005)
    wrong = exchanged(xy, slice(125, None), LEGS)
    swaps = found(wrong)
    assert np.array_equal(repaired(wrong, swaps), xy)
    assert not swaps.unsure.any()


@pytest.mark.parametrize("at", [65, 85])
def test_of_one_change_near_the_middle_nobody_is_sure(at: int) -> None:
    xy = walker(150, 30, yaw=0.3, noise=0.005)
    swaps = found(exchanged(xy, slice(at, None), ARMS))
    shorter = np.arange(150) < at if at < 75 else np.arange(150) >= at
    assert swaps.swapped[:, NAMES.index("left_wrist")].tolist() == shorter.tolist()
    assert np.array_equal(swaps.unsure, shorter)


def test_a_long_exchange_with_two_ends_is_put_right() -> None:
    xy = walker(900, 30, yaw=0.3, noise=0.005)
    wrong = exchanged(xy, slice(200, 500), LEGS)
    assert np.array_equal(repaired(wrong, found(wrong)), xy)


def test_nothing_is_compared_across_a_cut() -> None:
    xy = walker(120, 30, yaw=0.3, noise=0.005)
    other = exchanged(walker(120, 30, yaw=np.pi + 0.3, noise=0.005), slice(0, 20), LEGS)
    cuts = np.zeros(240, dtype=bool)
    cuts[120] = True
    swaps = found(np.concatenate([xy, other]), cuts=cuts)
    wanted = np.zeros(240, dtype=bool)
    wanted[120:140] = True
    assert np.array_equal(swaps.swapped.any(axis=1), wanted)


def test_names_without_a_side_are_never_exchanged() -> None:
    xy = exchanged(walker(90, 30, yaw=0.3), slice(30, 50), LEGS)
    names = tuple(None if "left" in name else name for name in NAMES)
    assert not found(xy, names=names).swapped.any()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_and_empty_clips(frames: int) -> None:
    xy = walker(frames, 30)
    for seen in (np.ones(xy.shape[:2], dtype=bool), np.zeros(xy.shape[:2], dtype=bool)):
        swaps = found(xy, seen=seen)
        assert not swaps.swapped.any()
        assert not swaps.unsure.any()
