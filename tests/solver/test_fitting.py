from dataclasses import replace

import numpy as np
import pytest

from lsr1_solver import (
    MINIMIZERS,
    BodyPose,
    Camera,
    FitError,
    FitProblem,
    FitState,
    FitStatus,
    LevenbergMarquardt,
    Weights,
    bridge_gaps,
    camera_from_focal,
    fit,
    fit_pose,
    keypoints_2d,
    load_body_model,
    posed_joints,
    project,
)
from lsr1_solver.body_model import SMPL_JOINT_NAMES, local_rotations, rest_joints
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.kinematics import BETAS_START, PELVIS, keypoint_chain, pose_chain
from lsr1_solver.minimizer import LeastSquares, Minimizer, MinimizerState
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from lsr1_solver.starts import start_at
from lsr1_solver.view import person_view

BODY = load_body_model()
PRIOR = load_pose_prior()
CHAIN = keypoint_chain(BODY, [name for name in BODY_25.joints if name])
CAMERA = camera_from_focal(1500, (1280, 720))
USUAL = Weights()


def random_poses(count: int, seed: int = 0, spread: float = 0.7) -> tuple[BodyPose, np.ndarray]:
    """Plausible people four metres away, within 60 degrees of facing the camera, and their points."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, 69)) @ np.linalg.cholesky(PRIOR.covariance).T
    body = axis_angle_to_matrix(spread * noise.reshape(count, 23, 3)) @ PRIOR.mean_rotations
    root = axis_angle_to_matrix(rng.uniform(-1, 1, (count, 3)) * [0.2, 1.0, 0.1])
    x = np.zeros((count, CHAIN.size))
    x[:, PELVIS] = rng.uniform(-0.3, 0.3, (count, 3)) + np.array([0.0, 0.0, -4.0])
    x[:, BETAS_START:] = rng.normal(size=(count, 10))
    centre = np.concatenate([root[:, None], body], axis=1)
    omega = matrix_to_axis_angle(centre)
    transl = x[:, PELVIS] - rest_joints(BODY, x[:, BETAS_START:])[:, 0]
    pose = BodyPose(omega[:, 0], omega[:, 1:], x[:, BETAS_START:], transl)
    return pose, pose_chain(CHAIN, centre, x).points


def problem(points: np.ndarray, camera: Camera = CAMERA, weights: Weights = USUAL) -> FitProblem:
    xy = project(camera, points)
    return FitProblem(BODY, camera, keypoints_2d(xy, None, BODY_25), weights=weights)


def nearby(pose: BodyPose, degrees: float, seed: int = 1) -> BodyPose:
    """The pose with every joint turned by up to that much."""
    rng = np.random.default_rng(seed)

    def turned(omega: np.ndarray) -> np.ndarray:
        axis = rng.normal(size=omega.shape)
        axis *= (
            np.radians(degrees)
            * rng.uniform(size=omega.shape[:-1])[..., None]
            / np.linalg.norm(axis, axis=-1, keepdims=True)
        )
        return matrix_to_axis_angle(axis_angle_to_matrix(axis) @ axis_angle_to_matrix(omega))

    return replace(pose, global_orient=turned(pose.global_orient), body_pose=turned(pose.body_pose))


def test_a_known_pose_is_recovered_from_3d_keypoints_to_a_millimetre() -> None:
    pose, points = random_poses(6)
    free = problem(points, weights=Weights(prior=0.0, limits=0.0, sigma_3d=0.005))
    asked = replace(free, keypoints_3d=points)
    state = fit_pose(asked, LevenbergMarquardt(), initial=nearby(pose, 20), max_iterations=300)
    assert np.linalg.norm(state.points - points, axis=-1).max() < 1e-3


def test_a_known_pose_is_recovered_in_2d_to_a_tenth_of_a_pixel() -> None:
    pose, points = random_poses(6)
    free = problem(points, weights=Weights(prior=0.0, limits=0.0))
    state = fit_pose(free, LevenbergMarquardt(), initial=nearby(pose, 20), max_iterations=300)
    assert state.reprojection_error.max() < 0.1


def test_the_start_of_a_fit_is_the_initial_pose() -> None:
    pose, points = random_poses(4)
    first = next(iter(fit(problem(points), initial=pose)))
    assert np.allclose(posed_joints(BODY, first.pose), posed_joints(BODY, pose), atol=1e-9)
    assert np.allclose(first.points, points, atol=1e-9)
    assert first.reprojection_error.max() < 1e-6


@pytest.mark.parametrize("name", list(MINIMIZERS))
def test_every_minimizer_finds_the_person(name: str) -> None:
    _, points = random_poses(4, spread=0.4)
    state = fit_pose(problem(points), MINIMIZERS[name], max_iterations=200)
    assert state.reprojection_percent < 1.5
    assert np.all(np.isfinite(state.loss))


def test_energies_never_rise_while_fitting() -> None:
    pose, points = random_poses(5)
    losses = np.array([state.loss for state in fit(problem(points), initial=nearby(pose, 20))])
    assert len(losses) > 3 and np.all(np.diff(losses, axis=0) <= 0)


def same(a: FitState, b: FitState, tolerance: float) -> bool:
    return bool(np.abs(posed_joints(BODY, a.pose) - posed_joints(BODY, b.pose)).max() < tolerance)


def test_any_resolution_is_the_same_problem() -> None:
    _, points = random_poses(3)
    small = fit_pose(problem(points))
    for factor in (2, 3):
        camera = camera_from_focal(1500 * factor, (1280 * factor, 720 * factor))
        large = fit_pose(problem(points, camera))
        assert same(large, small, 1e-6)
        assert large.reprojection_percent == pytest.approx(small.reprojection_percent, rel=1e-5)


def test_a_person_at_the_edge_is_the_same_person() -> None:
    """Turning the camera about its centre turns the answer and changes nothing else."""
    _, points = random_poses(3)
    turn = axis_angle_to_matrix(np.array([0.1, 0.35, 0.0]))
    ahead = person_view(problem(points))
    aside = person_view(problem(points @ turn.T))
    # The two virtual cameras look at the same person, up to a roll about the line of sight.
    roll = aside.turn @ turn @ np.swapaxes(ahead.turn, 1, 2)
    assert np.allclose(roll[:, 2], [0, 0, 1], atol=1e-9)
    assert np.allclose(aside.target, ahead.target @ np.swapaxes(roll[:, :2, :2], 1, 2), atol=1e-9)
    seen, turned = (posed_joints(BODY, fit_pose(problem(p)).pose) for p in (points, points @ turn.T))
    assert np.linalg.norm(seen @ turn.T - turned, axis=-1).max() < 5e-3


@pytest.mark.parametrize("name", ["lsr1", "lm", "adam"])
def test_a_frame_does_not_feel_its_batch(name: str) -> None:
    """Only by rounding, which those that converge don't amplify."""
    _, points = random_poses(20)
    together = fit_pose(problem(points), MINIMIZERS[name])
    for b in (0, 7, 19):
        alone = fit_pose(problem(points[b : b + 1]), MINIMIZERS[name])
        assert np.abs(posed_joints(BODY, alone.pose) - posed_joints(BODY, together.pose)[b]).max() < 1e-5


@pytest.mark.parametrize("name", ["lsr1", "lm", "lbfgs", "sr1"])
def test_what_has_converged_is_not_worked_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, points = random_poses(90)
    minimizer, finished = MINIMIZERS[name], []
    step = type(minimizer).step

    def watched(
        self: Minimizer[MinimizerState], objective: LeastSquares, state: MinimizerState
    ) -> MinimizerState:
        finished.append(np.mean(state.converged))
        return step(self, objective, state)

    monkeypatch.setattr(type(minimizer), "step", watched)
    shown = [(state, state.z.copy(), state.loss.copy()) for state in fit(problem(points), minimizer)]
    assert max(finished) < 0.5 and len(finished) > 10
    # What was shown stays as it was shown, and no energy rises.
    assert all(np.array_equal(state.z, z) and np.array_equal(state.loss, loss) for state, z, loss in shown)
    losses = np.array([loss for _, _, loss in shown])
    assert np.all(np.diff(losses, axis=0) <= 1e-9)


def test_two_runs_give_the_same_bits_and_nothing_is_written_to() -> None:
    pose, points = random_poses(3)
    asked = problem(points)
    asked.keypoints.xy.flags.writeable = False
    asked.keypoints.confidence.flags.writeable = False
    for array in (pose.global_orient, pose.body_pose, pose.betas, pose.transl):
        array.flags.writeable = False
    for initial in (None, pose):
        a, b = fit_pose(asked, initial=initial), fit_pose(asked, initial=initial)
        assert np.array_equal(a.z, b.z) and np.array_equal(a.pose.body_pose, b.pose.body_pose)


def test_a_missing_point_equals_a_point_that_is_not_there() -> None:
    _, points = random_poses(2)
    xy = project(CAMERA, points)
    confidence = np.ones(xy.shape[:2])
    confidence[:, [4, 11]] = 0
    elsewhere = xy.copy()
    elsewhere[:, [4, 11]] = [3.0, 5000.0]
    fits = [
        fit_pose(FitProblem(BODY, CAMERA, keypoints_2d(given, confidence, BODY_25)))
        for given in (xy, elsewhere)
    ]
    assert np.array_equal(fits[0].z, fits[1].z)


@pytest.mark.parametrize("fixed", [{"left_knee"}, {"pelvis", "left_elbow", "betas"}, {"transl"}])
def test_what_is_fixed_stays(fixed: set[str]) -> None:
    pose, points = random_poses(3)
    start = nearby(pose, 20)
    state = fit_pose(replace(problem(points), fixed=frozenset(fixed)), initial=start)
    angles = geodesic_angle(local_rotations(state.pose), local_rotations(start))
    held = [SMPL_JOINT_NAMES.index(name) for name in fixed & set(SMPL_JOINT_NAMES)]
    assert np.all(angles[:, held] < 1e-7)
    moved = [j for j in range(20) if j not in held]
    assert np.all(angles[:, moved].max(axis=1) > 1e-3)
    if "betas" in fixed:
        assert np.allclose(state.pose.betas, start.betas)
    if "transl" in fixed:
        assert np.allclose(posed_joints(BODY, state.pose)[:, 0], posed_joints(BODY, start)[:, 0])


def test_a_fixed_joint_draws_the_others_with_it() -> None:
    """The prior of the free joints is conditioned on the fixed: a bent knee raises the hip's mean."""
    pose, points = random_poses(1, spread=0.0)
    bent = replace(pose, body_pose=pose.body_pose.copy())
    bent.body_pose[:, 3] = [1.5, 0.0, 0.0]  # left knee
    xy = project(CAMERA, points)
    confidence = np.ones(xy.shape[:2])
    unseen = [
        i
        for i, n in enumerate(BODY_25.names)
        if n.startswith("left_") and any(p in n for p in ("knee", "ankle", "toe", "heel"))
    ]
    confidence[:, unseen] = 0
    asked = FitProblem(BODY, CAMERA, keypoints_2d(xy, confidence, BODY_25), fixed=frozenset({"left_knee"}))
    straight = fit_pose(asked, initial=pose).pose
    lifted = fit_pose(asked, initial=bent).pose
    hip = geodesic_angle(
        axis_angle_to_matrix(straight.body_pose[:, 0]), axis_angle_to_matrix(lifted.body_pose[:, 0])
    )
    assert np.degrees(hip[0]) > 4


def test_limits_keep_knees_from_bending_backwards() -> None:
    pose, _ = random_poses(1, spread=0.0)
    broken = replace(pose, body_pose=pose.body_pose.copy())
    broken.body_pose[:, 3] = [-0.6, 0.0, 0.0]
    x = person_view(problem(random_poses(1)[1]))
    start = start_at(x, broken)
    objective, z = x.objective(start)
    points = objective.pose(z).points @ x.turn
    asked = problem(points, weights=Weights(prior=0.01))
    state = fit_pose(asked, initial=broken)
    lean = axis_angle_to_matrix(state.pose.body_pose[0, 3]) @ np.array([0, -1.0, 0])
    assert lean[2] < np.sin(np.radians(5)) + 0.05
    free = fit_pose(replace(asked, weights=Weights(prior=0.01, limits=0.0)), initial=broken)
    assert (axis_angle_to_matrix(free.pose.body_pose[0, 3]) @ np.array([0, -1.0, 0]))[2] > 0.4


def test_frames_without_enough_keypoints_are_marked_and_bridged() -> None:
    _, points = random_poses(5)
    xy = project(CAMERA, points)
    confidence = np.ones(xy.shape[:2])
    confidence[1] = 0
    confidence[2, 5:] = 0
    state = fit_pose(FitProblem(BODY, CAMERA, keypoints_2d(xy, confidence, BODY_25)))
    assert state.fitted.tolist() == [True, False, False, True, True]
    assert np.isnan(state.reprojection_error[1:3]).all()
    pose = bridge_gaps(state.pose, state.fitted)
    for name in ("global_orient", "body_pose", "betas", "transl"):
        kept, given = getattr(pose, name), getattr(state.pose, name)
        assert np.array_equal(kept[[0, 3, 4]], given[[0, 3, 4]])
    assert np.allclose(pose.transl[1], (2 * pose.transl[0] + pose.transl[3]) / 3)
    R = axis_angle_to_matrix(pose.body_pose[:4])
    whole = geodesic_angle(R[0], R[3])
    assert np.allclose(geodesic_angle(R[0], R[1]), whole / 3, atol=1e-6)
    assert np.allclose(geodesic_angle(R[2], R[3]), whole / 3, atol=1e-6)


def test_bridging_holds_the_ends() -> None:
    pose, _ = random_poses(4)
    bridged = bridge_gaps(pose, np.array([False, True, True, False]))
    assert np.allclose(bridged.transl[[0, 3]], pose.transl[[1, 2]])


def test_a_clip_of_one_person_has_one_shape() -> None:
    _, points = random_poses(4)
    state = fit_pose(problem(points), one_shape=True)
    assert np.allclose(state.pose.betas, state.pose.betas[0])
    assert state.status is FitStatus.CONVERGED


def test_cancelling_is_asking_for_no_more() -> None:
    _, points = random_poses(2)
    states = fit(problem(points))
    seen = [next(states) for _ in range(2)]
    states.close()
    assert [s.iteration for s in seen] == [0, 1]
    assert all(s.status is FitStatus.RUNNING for s in seen)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fixed": frozenset({"tail"})}, "'tail'"),
        (
            {"camera": Camera(np.array([1.0, 2.0, 3.0]), np.zeros(2), (10, 10))},
            "3 focal lengths for 2 frames",
        ),
        ({"keypoints_3d": np.zeros((2, 3, 3))}, r"right is \(2, 25, 3\)"),
        ({"keypoints": keypoints_2d(np.ones((2, 25, 2)), np.eye(2, 25), BODY_25)}, "at most 1 are usable"),
    ],
)
def test_what_cannot_be_fitted_is_said(change: dict[str, object], words: str) -> None:
    _, points = random_poses(2)
    with pytest.raises(FitError, match=words):
        replace(problem(points), **change)  # pyright: ignore[reportArgumentType]  # wrong on purpose


def test_something_fixed_needs_a_value() -> None:
    _, points = random_poses(1)
    with pytest.raises(FitError, match="initial pose"):
        fit_pose(replace(problem(points), fixed=frozenset({"left_knee"})))
