"""The motion prior: what ships, and that learning recovers known motions."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.errors import FitError
from lsr1_solver.motion_prior import MOTION_PRIOR, MOTION_SIZE, load_motion_prior
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix, continuous_axis_angle, matrix_to_axis_angle
from lsr1_solver.training.motion_prior import (
    Derivatives,
    derivatives,
    learn_motion,
    mirrored_covariance,
)
from lsr1_solver.training.pose_prior import deviations
from lsr1_solver.training.retarget import Motion, load_motions, mirror, mirror_rotations
from tests.shared import SHARED, needs_shared

JOINTS = slice(3, 72)


def _motion(omega: np.ndarray, rate: float) -> Motion:
    """Joints at the deviations ``omega`` [T, 69] from the mean pose, turning and moving steadily."""
    time = np.arange(len(omega)) / rate
    joints = axis_angle_to_matrix(omega.reshape(len(omega), 23, 3)) @ load_pose_prior().mean_rotations
    root = axis_angle_to_matrix(time[:, None] * np.array([0.0, 2.0, 0.0]))
    pelvis = time[:, None] * np.array([1.5, 0.0, 0.0])
    return Motion("walk", "train", "x", np.concatenate([root[:, None], joints], axis=1), pelvis, rate)


def _swing(rate: float, seconds: float = 4) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, 69)
    return 0.2 * np.sin(2 * np.pi * time[:, None] + phase)


def test_the_shipped_prior_is_symmetric_and_positive_definite() -> None:
    motion = load_motion_prior()
    for covariance in (motion.velocity, motion.acceleration):
        assert covariance.shape == (MOTION_SIZE, MOTION_SIZE)
        np.testing.assert_allclose(covariance, covariance.T)
        assert np.linalg.eigvalsh(covariance)[0] > 0
        np.testing.assert_allclose(covariance, mirrored_covariance(covariance), atol=1e-9 * covariance.max())


def test_root_and_pelvis_know_no_direction_and_no_joint() -> None:
    turn = axis_angle_to_matrix(np.array([0.3, -1.0, 0.5]))
    for covariance in (load_motion_prior().velocity, load_motion_prior().acceleration):
        for part in (slice(0, 3), slice(72, 75)):
            own = covariance[part, part]
            np.testing.assert_allclose(turn @ own @ turn.T, own, atol=1e-12 * covariance.max())
            assert not np.delete(covariance[part], part, axis=1).any()


def test_the_file_says_what_it_is_made_of() -> None:
    assert MOTION_PRIOR.stat().st_size < 150_000
    with np.load(MOTION_PRIOR, allow_pickle=False) as file:
        metadata = json.loads(str(file["metadata"]))
    assert "CC BY 3.0" in metadata["sources"][0]
    rates = {row["rate_hz"]: row for row in metadata["root_mean_squares_by_rate"]}
    # Velocities hardly depend on the rate; accelerations above 30 Hz are the markers' tremor.
    assert rates[60]["joint_velocity"] < 1.25 * rates[30]["joint_velocity"]
    assert rates[30]["joint_acceleration"] < 1.35 * rates[24]["joint_acceleration"]
    assert rates[60]["joint_acceleration"] > 2 * rates[30]["joint_acceleration"]


def test_derivatives_of_a_known_motion_at_two_rates() -> None:
    prior = load_pose_prior()
    for rate in (30.0, 60.0):
        motion = _motion(_swing(rate), rate)
        found = derivatives([motion], prior, rate)
        np.testing.assert_allclose(found.velocity[:, 0], np.tile([0.0, 2.0, 0.0], (len(motion.root) - 1, 1)))
        np.testing.assert_allclose(found.velocity[:, -1, 0], 1.5)
        np.testing.assert_allclose(found.acceleration[:, [0, -1]], 0, atol=1e-8)
        # The root mean square of a sine's derivatives, over whole periods.
        speed = 0.2 * 2 * np.pi
        joints = slice(1, -1)
        assert np.sqrt((found.velocity[:, joints] ** 2).mean()) == pytest.approx(speed / 2**0.5, rel=0.02)
        size = np.sqrt((found.acceleration[:, joints] ** 2).mean())
        assert size == pytest.approx(speed * 2 * np.pi / 2**0.5, rel=0.02)
        slower = derivatives([motion], prior, 30.0)
        assert len(slower.velocity) == 4 * 30 - 1


def test_learning_a_gaussian_of_velocities() -> None:
    truth = load_motion_prior().velocity[JOINTS, JOINTS]
    draws = np.random.default_rng(1).standard_normal((20_000, 69)) @ np.linalg.cholesky(truth).T
    still = np.zeros((len(draws), 3))
    samples = np.concatenate([still, draws, still], axis=1).reshape(len(draws), 25, 3)
    learned = learn_motion(Derivatives(samples, samples), load_pose_prior()).velocity[JOINTS, JOINTS]
    hands = np.arange(63, 69)
    rest = np.delete(np.arange(69), hands)
    own, expected = learned[np.ix_(rest, rest)], truth[np.ix_(rest, rest)]
    # The quantile takes a little off the tails, the floor adds a little.
    np.testing.assert_allclose(np.diag(own), np.diag(expected) + 0.1**2, rtol=0.06)
    assert np.abs(own - expected).max() < 0.05 * expected.max()


def test_one_frame_jumps_are_shortened() -> None:
    smooth = _swing(30.0, 20)
    jumping = smooth.copy()
    jumping[57, 12:15] += 1.5
    prior = load_pose_prior()
    still, moved = (
        learn_motion(derivatives([_motion(omega, 30.0)] * 2, prior, 30.0), prior).acceleration
        for omega in (smooth, jumping)
    )
    assert np.trace(moved) < 3 * np.trace(still)
    raw = derivatives([_motion(jumping, 30.0)], prior, 30.0).acceleration
    assert np.square(raw).sum(axis=(1, 2)).mean() > 5 * np.trace(still)


def test_a_mirrored_motion_has_the_mirrored_covariance() -> None:
    motion, prior = (
        _motion(np.cumsum(0.02 * np.random.default_rng(2).standard_normal((40, 69)), axis=0), 30.0),
        (load_pose_prior()),
    )
    own, other = (derivatives([m], prior, 30.0).velocity.reshape(-1, 75) for m in (motion, mirror(motion)))
    np.testing.assert_allclose(other.T @ other, mirrored_covariance(own.T @ own), atol=1e-6)
    assert not np.allclose(deviations(mirror_rotations(motion.rotations), prior.mean_rotations), 0)


def test_paths_past_half_a_turn_stay_continuous() -> None:
    angle = np.linspace(0, 6, 60)
    axis = np.array([0.6, 0.0, 0.8])
    wrapped = matrix_to_axis_angle(axis_angle_to_matrix(angle[:, None] * axis))
    assert np.linalg.norm(np.diff(wrapped, axis=0), axis=1).max() > 5
    np.testing.assert_allclose(continuous_axis_angle(wrapped), angle[:, None] * axis, atol=1e-8)
    np.testing.assert_allclose(continuous_axis_angle(wrapped[:25]), wrapped[:25])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "lacks 'velocity'"),
        ({"velocity": np.eye(75), "acceleration": np.eye(69)}, r"\[75, 75\]"),
        (
            {"velocity": np.eye(75), "acceleration": -np.eye(75)},
            "acceleration must be symmetric and positive",
        ),
    ],
)
def test_a_file_that_is_no_motion_prior_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / "motion.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name, array in {"other": np.zeros(1), **arrays}.items():
            with file.open(f"{name}.npy", "w") as stream:
                np.save(stream, array)
    with pytest.raises(FitError, match=message):
        load_motion_prior(path)


@needs_shared("mocap")
def test_other_people_move_as_the_prior_says() -> None:
    prior, shipped = load_pose_prior(), load_motion_prior()
    walks = load_motions(SHARED / "mocap", rate=None, splits=("validation",), pattern="cmu/49_0[12]*")
    learned = {rate: learn_motion(derivatives(walks, prior, rate), prior) for rate in (30.0, 60.0)}
    ratio = np.trace(learned[30.0].velocity) / np.trace(shipped.velocity)
    assert 0.3 < ratio < 3
    ratio = np.trace(learned[60.0].velocity) / np.trace(learned[30.0].velocity)
    assert 0.9 < ratio < 1.5
