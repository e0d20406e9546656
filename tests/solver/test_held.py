"""What is held stays, frame by frame and bit for bit, and draws the rest with it."""

from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import (
    FitError,
    FitProblem,
    LevenbergMarquardt,
    fit_pose,
    keypoints_2d,
    posed_joints,
    project,
)
from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, local_rotations
from lsr1_solver.conditioning import conditioned, whitened
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.kinematics import PELVIS
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.problem import PARTS, PLACE, SHAPE
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from lsr1_solver.starts import start_at
from lsr1_solver.view import person_view
from tests.solver.test_fitting import BODY, CAMERA, nearby, problem, random_poses

KNEE, ELBOW = SMPL_JOINT_NAMES.index("left_knee"), SMPL_JOINT_NAMES.index("right_elbow")


def table(frames: int) -> np.ndarray:
    return np.full((frames, len(PARTS)), np.inf)


def omegas(pose: BodyPose) -> np.ndarray:
    return np.concatenate([pose.global_orient[:, None], pose.body_pose], axis=1)


def covariance(count: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(count, count))
    return root @ root.T / count + 0.1 * np.eye(count)


def test_what_a_frame_holds_is_the_same_bit_for_bit_and_the_rest_moves() -> None:
    pose, points = random_poses(4)
    start = nearby(pose, 20)
    held = table(4)
    held[0, KNEE] = held[2, [0, ELBOW]] = 0.0
    held[3] = 0.0
    state = fit_pose(replace(problem(points), held=held), initial=start)
    before, after = omegas(start), omegas(state.pose)
    exact = held[:, :24] == 0
    assert np.array_equal(after[exact], before[exact])
    angles = geodesic_angle(axis_angle_to_matrix(after), axis_angle_to_matrix(before))
    assert np.all(angles[:3, :20].max(axis=1) > 1e-2)
    for name in ("global_orient", "body_pose", "betas", "transl"):
        assert np.array_equal(getattr(state.pose, name)[3], getattr(start, name)[3]), name


def test_a_table_with_equal_rows_is_the_same_as_fixed() -> None:
    pose, points = random_poses(3)
    start = nearby(pose, 20)
    held = table(3)
    held[:, [KNEE, PARTS.index(PLACE), PARTS.index(SHAPE)]] = 0.0
    by_table = fit_pose(replace(problem(points), held=held), initial=start)
    by_name = fit_pose(replace(problem(points), fixed=frozenset({"left_knee", PLACE, SHAPE})), initial=start)
    assert np.array_equal(omegas(by_table.pose), omegas(by_name.pose))


def test_a_frame_that_holds_something_does_not_feel_the_others() -> None:
    pose, points = random_poses(3)
    start = nearby(pose, 20)
    held = table(3)
    held[0, KNEE], held[1, ELBOW], held[2, 0] = 0.0, 0.2, 0.0
    asked = replace(problem(points), held=held)
    # To the very minimum: alone, a frame's held joint is no unknown, and the steps there are others.
    exactly = LevenbergMarquardt(tolerance=1e-10)
    together = fit_pose(asked, exactly, initial=start, max_iterations=200)
    for b in range(3):
        rows = slice(b, b + 1)
        alone = fit_pose(asked.frames(rows), exactly, initial=start.frames(rows), max_iterations=200)
        assert np.abs(posed_joints(BODY, alone.pose) - posed_joints(BODY, together.pose)[b]).max() < 2e-4


def test_a_hint_holds_the_more_the_smaller_its_sigma() -> None:
    pose, points = random_poses(4)
    asked = problem(points)
    edited = replace(pose, body_pose=pose.body_pose.copy())
    turned = axis_angle_to_matrix(np.array([0.9, 0.0, 0.0])) @ axis_angle_to_matrix(
        pose.body_pose[:, KNEE - 1]
    )
    edited.body_pose[:, KNEE - 1] = matrix_to_axis_angle(turned)
    off = []
    for sigma in (1e-3, 0.1, 0.5, np.inf):
        held = table(4)
        held[:, KNEE] = sigma
        state = fit_pose(replace(asked, held=held), initial=edited)
        off.append(geodesic_angle(local_rotations(state.pose), local_rotations(edited))[:, KNEE].mean())
    assert off[0] < 1e-3 and np.all(np.diff(off) > 0)


def test_a_refit_asks_about_the_initializers_reading_whatever_the_other_joints_were() -> None:
    """The objective of a re-fit depends on the held joint's value alone, not on the rest of the pose.

    (But for legs that the reading says nothing of: `knees`. These two poses have none.)
    """
    pose, points = random_poses(2)
    held = table(2)
    held[:, KNEE], held[0, ELBOW] = 0.0, 0.1
    asked = replace(problem(points), held=held)
    elsewhere = nearby(pose, 25)
    for joint in (KNEE, ELBOW):
        elsewhere.body_pose[:, joint - 1] = pose.body_pose[:, joint - 1]
    both = []
    for initial in (pose, elsewhere):
        view = replace(person_view(asked), kept=initial)
        both.append(view.objective(start_at(view, initial))[0])
    assert np.allclose(both[0].offset, both[1].offset, atol=1e-12)
    assert np.allclose(both[0].basis, both[1].basis, atol=1e-12)
    free = person_view(problem(points))
    reading, _ = free.objective(start_at(free, pose))
    assert np.array_equal(both[0].centre, reading.centre)
    # And the knee by hand moves the prior's mean of the hip, as the initializer's error says.
    hip = slice(3, 6)
    assert np.all(np.abs(both[0].offset - reading.offset)[:, hip].max(axis=1) > 1e-4)


def test_conditioning_is_that_of_a_gaussian() -> None:
    """Against the information form: what is known nearly adds to the inverse covariance."""
    C, P = covariance(85), 85
    rng = np.random.default_rng(1)
    value, sigma = rng.normal(scale=0.3, size=(2, P)), np.full((2, P), np.inf)
    sigma[0, PELVIS], sigma[1, -4:] = 0.2, 0.5  # no rotations: there the vector's own metric is another
    mean, basis, free = conditioned(C, value, sigma)
    assert free.all()
    for b in range(2):
        information = np.linalg.inv(C) + np.diag(1 / sigma[b] ** 2)
        assert np.allclose(basis[b] @ basis[b].T, np.linalg.inv(information), atol=1e-9)
        near = np.where(np.isfinite(sigma[b]), value[b] / sigma[b] ** 2, 0.0)
        assert np.allclose(mean[b], np.linalg.solve(information, near), atol=1e-9)


def test_a_hint_tends_to_a_lock() -> None:
    C = covariance(85)
    value = np.random.default_rng(1).normal(scale=0.3, size=(2, 85))
    tight, exact = np.full((2, 85), np.inf), np.full((2, 85), np.inf)
    tight[0, 12:15], exact[0, 12:15] = 1e-5, 0.0
    nearly, _, _ = conditioned(C, value, tight)
    exactly, basis, free = conditioned(C, value, exact)
    assert np.allclose(nearly, exactly, atol=1e-6)
    assert np.array_equal(exactly[0, 12:15], value[0, 12:15]) and not basis[0, 12:15].any()
    z = whitened(basis, free, value - exactly)
    assert not z[0, 12:15].any()
    assert np.allclose(exactly + (basis @ z[..., None])[..., 0], value)


def test_one_shape_is_the_shape_that_a_frame_holds() -> None:
    pose, points = random_poses(4)
    held = table(4)
    held[1, PARTS.index(SHAPE)] = 0.0
    state = fit_pose(replace(problem(points), held=held), initial=nearby(pose, 20), one_shape=True)
    assert np.array_equal(state.pose.betas[1], pose.betas[1])
    assert np.array_equal(state.pose.betas, np.tile(pose.betas[1], (4, 1)))


@pytest.mark.parametrize("held", [np.zeros((2, 24)), np.full((1, 26), 0.0), np.full((2, 26), -1.0)])
def test_a_wrong_table_is_refused(held: np.ndarray) -> None:
    _, points = random_poses(2)
    with pytest.raises(FitError, match=r"held has shape .* right is \(2, 26\)"):
        replace(problem(points), held=held)


def test_held_parts_need_a_pose() -> None:
    _, points = random_poses(2)
    held = table(2)
    held[1, KNEE] = 0.0
    with pytest.raises(FitError, match="'left_knee' is fixed: give the initial pose"):
        fit_pose(replace(problem(points), held=held))


def test_some_frames_of_a_problem() -> None:
    pose, points = random_poses(4)
    focal = np.array([1400.0, 1500.0, 1600.0, 1700.0])
    camera = replace(CAMERA, focal_length=focal)
    asked = FitProblem(BODY, camera, keypoints_2d(project(camera, points), None, BODY_25), held=table(4))
    some = asked.frames(np.array([3, 1]))
    assert np.array_equal(np.asarray(some.camera.focal_length), focal[[3, 1]])
    whole, part = fit_pose(asked, initial=pose), fit_pose(some, initial=pose.frames(np.array([3, 1])))
    assert np.allclose(part.pose.body_pose, whole.pose.body_pose[[3, 1]], atol=1e-4)
    assert load_pose_prior() is asked.prior
