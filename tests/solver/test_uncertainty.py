"""Depth uncertainty is the curvature's: against samples, against what is seen, and against what is held."""

from dataclasses import replace

import numpy as np

from lsr1_solver import FitProblem, fit_pose, keypoints_2d, project
from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.starts import start_at
from lsr1_solver.uncertainty import depth_uncertainty
from lsr1_solver.view import person_view
from tests.solver.test_fitting import BODY, CAMERA, problem, random_poses

WRIST, ELBOW = SMPL_JOINT_NAMES.index("left_wrist"), SMPL_JOINT_NAMES.index("left_elbow")


def test_it_is_the_spread_of_samples_of_the_laplace_approximation() -> None:
    pose, points = random_poses(1, seed=2)
    asked = problem(points)
    view = person_view(asked)
    objective, z = view.objective(start_at(view, pose))
    linear = objective.linearize(z)
    H = linear.jacobian[0].T @ linear.jacobian[0] + np.eye(objective.dimension)
    rng = np.random.default_rng(0)
    # Small samples: the Jacobian is exact only near the pose.
    scale = 1e-3
    noise = scale * np.linalg.solve(np.linalg.cholesky(H).T, rng.normal(size=(objective.dimension, 4000))).T
    many = objective.select(np.zeros(4000, dtype=int))
    depth = many.pose(z + noise).positions[..., 2]
    spread = np.std(depth - depth[:, :1], axis=0) / scale
    found = depth_uncertainty(asked, pose)[0]
    assert found[0] == 0
    assert np.allclose(found[1:], spread[1:], rtol=0.06)


def test_hands_are_less_sure_than_spines_and_hidden_ones_less_than_seen() -> None:
    pose, points = random_poses(6)
    seen = depth_uncertainty(problem(points), pose)
    assert np.all(seen[:, WRIST] > seen[:, SMPL_JOINT_NAMES.index("spine3")])
    assert 0.02 < seen[:, WRIST].mean() < 0.3
    confidence = np.ones(points.shape[:2])
    hidden = [i for i, name in enumerate(BODY_25.names) if name in ("left_elbow", "left_wrist")]
    assert len(hidden) == 2
    confidence[:, hidden] = 0
    keypoints = keypoints_2d(project(CAMERA, points), confidence, BODY_25)
    unseen = depth_uncertainty(FitProblem(BODY, CAMERA, keypoints), pose)
    assert np.all(unseen[:, WRIST] > seen[:, WRIST])


def test_what_is_held_is_known() -> None:
    pose, points = random_poses(3)
    asked = problem(points)
    held = np.full((3, 26), np.inf)
    held[0, : ELBOW + 1] = held[1, ELBOW] = 0.0
    held[2] = 0.0
    free, kept = depth_uncertainty(asked, pose), depth_uncertainty(replace(asked, held=held), pose)
    assert np.all(kept[:2, WRIST] < free[:2, WRIST])
    assert np.all(kept[2] == 0)
    assert kept[0, ELBOW] < 0.3 * free[0, ELBOW]


def test_a_fit_with_no_prior_gives_finite_numbers() -> None:
    pose, points = random_poses(2)
    asked = problem(points)
    free = replace(asked, weights=replace(asked.weights, prior=0.0))
    found = depth_uncertainty(free, fit_pose(free, initial=pose).pose)
    assert np.all(np.isfinite(found)) and np.all(found[:, WRIST] > depth_uncertainty(asked, pose)[:, WRIST])
