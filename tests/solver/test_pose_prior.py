"""The pose prior: its file, its loader, and how it is learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.errors import FitError
from lsr1_solver.pose_prior import POSE_PRIOR, PosePrior, load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix
from lsr1_solver.training.limb_twist import plausible_poses
from lsr1_solver.training.pose_prior import (
    deviations,
    distinct_poses,
    learn,
    log_likelihood,
    plausible,
    sample_poses,
)
from lsr1_solver.training.retarget import (
    MIRRORED_JOINTS,
    load_motions,
    mirror_rotations,
    open_body_joints,
    world_joints,
)
from tests.shared import SHARED, needs_shared


def _mirrored(prior: PosePrior) -> PosePrior:
    reflect = np.diag([-1.0, 1.0, 1.0])
    order = [j - 1 for j in MIRRORED_JOINTS[1:]]
    # A reflection turns rotation vectors by (x, -y, -z).
    P = np.kron(np.eye(23)[order], np.diag([1.0, -1.0, -1.0]))
    return PosePrior(reflect @ prior.mean_rotations[order] @ reflect, P @ prior.covariance @ P.T)


def test_the_shipped_prior_is_sound_and_its_own_mirror_image() -> None:
    prior = load_pose_prior()
    mirrored = _mirrored(prior)
    np.testing.assert_allclose(mirrored.mean_rotations, prior.mean_rotations, atol=1e-8)
    np.testing.assert_allclose(mirrored.covariance, prior.covariance, atol=1e-8)
    values = np.linalg.eigvalsh(prior.covariance)
    assert values[0] >= 0.05**2 * 0.999
    assert values[-1] < 4


def test_the_shipped_prior_knows_how_people_move() -> None:
    prior = load_pose_prior()
    spread = np.sqrt(np.diag(prior.covariance)).reshape(23, 3)
    names = SMPL_JOINT_NAMES[1:]
    assert spread[names.index("left_knee")].argmax() == 0
    assert spread[names.index("left_elbow")].argmax() == 1
    assert spread[names.index("left_hip")].argmax() == 0
    assert POSE_PRIOR.stat().st_size < 100_000
    with np.load(POSE_PRIOR, allow_pickle=False) as file:
        assert "mocap.cs.cmu.edu" in str(file["metadata"])
        assert "CC BY 3.0" in str(file["metadata"])


def test_most_samples_are_possible_poses() -> None:
    samples = sample_poses(load_pose_prior(), 500, seed=0)
    assert plausible_poses(samples).mean() > 0.98
    knees = deviations(samples, np.broadcast_to(np.eye(3), (23, 3, 3))).reshape(-1, 23, 3)[:, [3, 4], 0]
    assert (knees > -0.5).mean() > 0.95


def test_learning_recovers_the_gaussian_that_the_poses_come_from() -> None:
    # Deviations beyond half a turn come back from the other side: a narrower prior has none.
    shipped = load_pose_prior()
    truth = PosePrior(shipped.mean_rotations, shipped.covariance * 0.3)
    learned = learn(sample_poses(truth, 5000, seed=1))
    hands = [3 * (SMPL_JOINT_NAMES.index(f"{side}_hand") - 1) for side in ("left", "right")]
    driven = [i for i in range(69) if not any(h <= i < h + 3 for h in hands)]
    angles = deviations(learned.mean_rotations[None], truth.mean_rotations)
    assert np.abs(angles).max() < 0.02
    expected = (truth.covariance + 0.05**2 * np.eye(69))[np.ix_(driven, driven)]
    error = np.abs(learned.covariance[np.ix_(driven, driven)] - expected)
    assert error.max() < 0.1 * expected.max()


def test_log_likelihood_is_that_of_a_gaussian() -> None:
    prior = load_pose_prior()
    at_mean = log_likelihood(
        prior, sample_poses(PosePrior(prior.mean_rotations, np.eye(69) * 1e-30), 1, seed=0)
    )
    _, logdet = np.linalg.slogdet(2 * np.pi * prior.covariance)
    np.testing.assert_allclose(at_mean, -0.5 * logdet, atol=1e-6)
    drawn = log_likelihood(
        PosePrior(prior.mean_rotations, prior.covariance), sample_poses(prior, 2000, seed=2)
    )
    # Half a chi-square of 69 degrees below the peak, a little less where deviations wrap.
    assert drawn.mean() == pytest.approx(at_mean[0] - 69 / 2, abs=1.5)


def test_distinct_poses_are_apart_and_cover_the_rest() -> None:
    joints = open_body_joints()
    random = np.random.default_rng(3)
    poses = axis_angle_to_matrix(np.cumsum(random.normal(0, 0.02, (600, 24, 3)), axis=0))
    kept = distinct_poses(poses, joints)
    assert 10 < len(kept) < 600
    upright = poses.copy()
    upright[:, 0] = np.eye(3)
    _, positions = world_joints(upright, np.zeros((600, 3)), joints)
    distance = np.sqrt(((positions[:, None] - positions[None, kept]) ** 2).sum(axis=-1).mean(axis=-1))
    assert (distance.min(axis=1) <= 0.025 + 1e-9).all()
    between = distance[kept]
    assert between[~np.eye(len(kept), dtype=bool)].min() > 0.025 - 1e-9


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_prior_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prior.npz"
    path.write_bytes(content)
    with pytest.raises(FitError, match=r"prior\.npz"):
        load_pose_prior(path)


def test_a_prior_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prior.npz"
    data = POSE_PRIOR.read_bytes()
    for size in range(100, len(data), len(data) // 13):
        path.write_bytes(data[:size])
        with pytest.raises(FitError, match=r"prior\.npz"):
            load_pose_prior(path)


def test_a_missing_prior_is_named(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="No such file"):
        load_pose_prior(tmp_path / "prior.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"covariance": None}, "lacks 'covariance"),
        ({"covariance": np.eye(3)}, r"\[69, 69\]"),
        ({"covariance": -np.eye(69)}, "positive definite"),
        ({"covariance": np.full((69, 69), np.nan)}, "finite"),
        ({"mean_rotations": np.ones((23, 3, 3))}, "rotation matrices"),
        ({"mean_rotations": np.array(["a"])}, "no pose prior"),
        ({"mean_rotations": np.array([{}])}, "no pose prior"),
    ],
)
def test_wrong_content_is_refused(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    prior = load_pose_prior()
    arrays = {"mean_rotations": prior.mean_rotations, "covariance": prior.covariance, **change}
    path = tmp_path / "prior.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(FitError, match=message):
        load_pose_prior(path)


@needs_shared("mocap")
def test_the_shipped_prior_comes_from_training_clips_and_fits_the_others() -> None:
    prior = load_pose_prior()
    test = plausible(load_motions(SHARED / "mocap", splits=("test",), pattern="accad/Male1_C*"))
    train = plausible(load_motions(SHARED / "mocap", splits=("train",), pattern="accad/Male1_B*"))
    difference = log_likelihood(prior, train).mean() - log_likelihood(prior, test).mean()
    # A share of a nat for each of the 69 coordinates.
    assert abs(difference) / 69 < 0.5
    both = np.concatenate([test, mirror_rotations(test)])
    np.testing.assert_allclose(
        log_likelihood(prior, both)[: len(test)],
        log_likelihood(prior, both)[len(test) :],
        rtol=1e-6,
        atol=1e-6,
    )
