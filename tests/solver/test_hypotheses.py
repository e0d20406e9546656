"""Detectors' mistakes: outliers and swapped limbs are found, named and survived."""

import numpy as np
import pytest

from lsr1_solver import FitProblem, FitState, fit_pose, keypoints_2d, posed_joints, project
from lsr1_solver.hypotheses import LEGS, exchanged
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.view import person_view
from tests.solver.test_fitting import BODY, CAMERA, random_poses

NAMES = BODY_25.names


def fitted(xy: np.ndarray, confidence: np.ndarray | None = None) -> FitState:
    return fit_pose(FitProblem(BODY, CAMERA, keypoints_2d(xy, confidence, BODY_25)))


def height(points: np.ndarray) -> float:
    """Roughly, of the person in the picture, pixels."""
    return float(np.ptp(project(CAMERA, points)[..., 1], axis=1).mean())


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """Twelve people's points with a detector's noise about them, [B, K, 3]."""
    return random_poses(12, seed=4, spread=0.5)[1]


def noisy(points: np.ndarray) -> np.ndarray:
    xy = project(CAMERA, points)
    return xy + np.random.default_rng(0).normal(scale=0.01 * height(points), size=xy.shape)


def test_clean_points_are_believed(people: np.ndarray) -> None:
    state = fitted(noisy(people))
    assert state.dropped.mean() < 0.01 and not state.swapped.any()
    assert np.array_equal(state.view.used_xy, state.view.problem.keypoints.xy)


def test_outliers_are_dropped_by_name_and_hurt_little(people: np.ndarray) -> None:
    xy = noisy(people)
    clean = fitted(xy)
    wild = xy.copy()
    wrist, ankle = NAMES.index("right_wrist"), NAMES.index("left_ankle")
    wild[:, wrist] += [0.45 * height(people), -0.2 * height(people)]
    wild[:, ankle] += [-0.5 * height(people), 0.1 * height(people)]
    state = fitted(wild)
    assert state.dropped[:, [wrist, ankle]].mean() > 0.9
    others = np.delete(state.dropped, [wrist, ankle], axis=1)
    assert others.mean() < 0.12
    assert np.isnan(state.reprojection_error[state.dropped]).all()
    near = np.linalg.norm(posed_joints(BODY, state.pose) - posed_joints(BODY, clean.pose), axis=-1)
    assert np.median(near) < 0.08


def test_swapped_legs_are_put_right(people: np.ndarray) -> None:
    xy = noisy(people)
    straight = fitted(xy)
    order = exchanged(person_view(straight.view.problem), LEGS)
    mirrored = [NAMES.index(n) for n in NAMES]
    assert sorted(order.tolist()) == mirrored  # an exchange loses nothing
    state = fitted(xy[:, order])
    repaired = state.swapped.any(axis=1)
    assert repaired.mean() > 0.5
    assert state.swapped[repaired][:, NAMES.index("left_knee")].all()
    assert not state.swapped[:, NAMES.index("left_wrist")].any()
    same = np.linalg.norm(posed_joints(BODY, state.pose) - posed_joints(BODY, straight.pose), axis=-1)
    assert np.median(same[repaired]) < 0.03


def test_at_most_five_points_are_dropped_and_six_are_left(people: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    xy = noisy(people) + (rng.uniform(size=(12, 25, 1)) < 0.5) * rng.normal(scale=200, size=(12, 25, 2))
    confidence = np.zeros((12, 25))
    confidence[:, :8] = 1
    state = fitted(xy, confidence)
    assert state.dropped.sum(axis=1).max() <= 2 and state.view.used.sum(axis=1).min() >= 6
    assert fitted(xy).dropped.sum(axis=1).max() <= 5
