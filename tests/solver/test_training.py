"""Training: its configuration, its samples, and that an interruption changes nothing."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr1_solver.body_model import JOINT_COUNT, SMPL_JOINT_NAMES
from lsr1_solver.errors import FitError
from lsr1_solver.initializer import load_initializer
from lsr1_solver.initializer_input import INPUT_LANDMARKS
from lsr1_solver.kinematics import keypoint_chain, pose_chain
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import matrix_to_axis_angle
from lsr1_solver.training.config import (
    CorruptionConfig,
    InitializerConfig,
    PoseConfig,
    TrainingConfig,
    config_json,
    read_config,
)
from lsr1_solver.training.corruption import CORRUPTION_DRAWS, FEWEST, corrupt
from lsr1_solver.training.initializer_error import error_covariance, mirror_errors, predict_joints
from lsr1_solver.training.learn_initializer import (
    begin_initializer,
    finish_initializer,
    train_initializer,
)
from lsr1_solver.training.pose_prior import sample_poses
from lsr1_solver.training.poses import LEG_PAIRS, plausibility, widen_poses, within_limits
from lsr1_solver.training.problems import sample_problems
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.retarget import Motion
from lsr1_solver.training.samples import SampleMaker, sample_maker
from lsr1_solver.training.tensors import axis_angle_to_matrix
from lsr1_solver.training.world_chain import world_chain, world_rotations
from tests.shared import REPOSITORY

SMALL = TrainingConfig(
    initializer=InitializerConfig(
        steps=8, batch=16, width=24, blocks=1, warm_up=2, bfloat16=False, covariance_views=2
    )
)
CLEAN = CorruptionConfig(
    noise=0.0, missing=0.0, lower_body=0.0, limb=0.0, half=0.0, upper_body=0.0, outliers=0.0, swapped=0.0,
    formats=(0.0, 0.0), joints=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    poses = sample_poses(load_pose_prior(), 64, seed=3)
    return matrix_to_axis_angle(poses).astype(np.float16)


def _maker(vectors: np.ndarray, config: TrainingConfig) -> SampleMaker:
    return sample_maker(vectors, load_body_model(), config)


def test_a_config_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"seed": 3, "initializer": {"steps": 10, "clip": 2}, "views": {"lens": [20, 50]}}')
    config = read_config(path)
    assert (config.seed, config.initializer.steps, config.initializer.clip) == (3, 10, 2.0)
    assert config.views.lens == (20, 50)
    assert config.poses == TrainingConfig().poses
    assert config_json(config)["seed"] == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ('{"sead": 1}', "there is no 'sead'"),
        ('{"initializer": {"steps": "many"}}', "steps must be like"),
        ("[1]", "an object"),
    ],
)
def test_a_wrong_config_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(FitError, match=says):
        read_config(path)


def test_widened_poses_are_plausible_many_and_the_same_for_a_seed() -> None:
    prior = load_pose_prior()
    captured = sample_poses(prior, 500, seed=0)
    captured = captured[within_limits(captured)]
    config = PoseConfig(count=600, posed=0.3)
    widened = widen_poses(captured, prior, config, seed=1)
    assert widened.shape == (600, JOINT_COUNT, 3)
    assert widened.dtype == np.float16
    np.testing.assert_array_equal(widened, widen_poses(captured, prior, config, seed=1))
    poses = axis_angle_to_matrix(torch.from_numpy(widened.astype(np.float64))).numpy()
    assert plausibility(prior, poses).max() < 1.1 * plausibility(prior, captured).max()
    assert within_limits(poses).mean() > 0.99  # half precision moves some over the limit
    knees = np.degrees(np.linalg.norm(widened[:, [4, 5]].astype(float), axis=-1))
    assert (knees.min(axis=1) > 70).mean() > 0.1  # seated and kneeling
    assert len(LEG_PAIRS) > 3


def test_world_chain_stands_where_the_kinematics_do(vectors: np.ndarray) -> None:
    body = load_body_model()
    local = axis_angle_to_matrix(torch.from_numpy(vectors[:9].astype(np.float32)))
    betas = torch.randn((9, 10), generator=torch.Generator().manual_seed(0))
    points = world_chain(body, INPUT_LANDMARKS).points(world_rotations(local), betas).numpy()
    chain = keypoint_chain(body, INPUT_LANDMARKS)
    x = np.zeros((9, chain.size))
    x[:, 75:] = betas.numpy()
    posed = pose_chain(chain, local.numpy().astype(float), x)
    np.testing.assert_allclose(points[:, :JOINT_COUNT], posed.positions, atol=1e-5)
    np.testing.assert_allclose(points[:, JOINT_COUNT:], posed.points, atol=1e-5)


def test_clean_samples_are_their_points_seen_by_the_virtual_camera(vectors: np.ndarray) -> None:
    batch = _maker(vectors, dataclasses.replace(SMALL, corruption=CLEAN)).batch(0, slice(0, 16))
    assert (batch.seen == 1).all()
    # The features hold the image up to place and size: so do the points, wherever the camera sees them.
    seen = batch.features[:, :50].view(-1, 25, 2).numpy()
    points = batch.points[:, JOINT_COUNT:].numpy()
    for image, solid in zip(seen, points, strict=True):
        # u = (x + t_x) / (d - z) with u = s image + c is linear in (s d, s, c d, c, t) up to scale.
        rows = np.zeros((25, 2, 7))
        for axis in (0, 1):
            rows[:, axis, 0] = image[:, axis]
            rows[:, axis, 1] = -image[:, axis] * solid[:, 2]
            rows[:, axis, 2 + axis] = 1
            rows[:, axis, 4 + axis] = -solid[:, 2]
            rows[:, axis, 6] = -solid[:, axis]
        spectrum = np.linalg.svd(rows.reshape(50, 7), compute_uv=False)
        assert spectrum[-1] < 1e-3 * spectrum[-2]


def test_detectors_mistakes_have_the_shares_asked_for() -> None:
    random = torch.Generator().manual_seed(0)
    uniform = torch.rand((20_000, CORRUPTION_DRAWS), generator=random)
    normal = torch.randn((20_000, 25, 2), generator=random)
    plane, height = torch.zeros((20_000, 25, 2)), torch.full((20_000,), 0.5)
    only = dataclasses.replace(CLEAN, missing=0.4)
    _, seen = corrupt(plane, height, uniform, normal, only)
    assert float(seen.mean()) == pytest.approx(0.8, abs=0.01)
    assert int(seen.sum(dim=1).min()) >= FEWEST
    noisy, seen = corrupt(plane, height, uniform, normal, dataclasses.replace(CLEAN, noise=0.01))
    assert float(noisy.std()) == pytest.approx(0.005, rel=0.25)
    assert bool((seen == 1).all())
    shifted, _ = corrupt(plane, height, uniform, normal, dataclasses.replace(CLEAN, outliers=0.1))
    assert float((shifted.abs() > 0).any(dim=-1).float().mean()) == pytest.approx(0.01, rel=0.15)
    _, seen = corrupt(plane, height, uniform, normal, dataclasses.replace(CLEAN, lower_body=0.1))
    ankle = INPUT_LANDMARKS.index("coco_left_ankle")
    assert float(seen[:, ankle].mean()) == pytest.approx(0.9, abs=0.01)
    assert bool((seen[:, INPUT_LANDMARKS.index("nose")] == 1).all())


def test_samples_depend_on_seed_and_step_alone(vectors: np.ndarray) -> None:
    maker = _maker(vectors, SMALL)
    whole, part = maker.batch(5, slice(0, 16)), maker.batch(5, slice(8, 16))
    torch.testing.assert_close(part.features, whole.features[8:])
    other = _maker(vectors, dataclasses.replace(SMALL, seed=1)).batch(5, slice(0, 16))
    assert float((other.features - whole.features).abs().max()) > 0.1


def test_a_resumed_training_ends_as_an_uninterrupted_one(vectors: np.ndarray, tmp_path: Path) -> None:
    body = load_body_model()
    straight = train_initializer(vectors, body, SMALL, Processes(), tmp_path / "straight")
    begun = begin_initializer(vectors, body, SMALL, Processes())
    for _ in range(3):
        begun.advance()
    resumed = begin_initializer(vectors, body, dataclasses.replace(SMALL), Processes())
    torch.save(begun.state(), tmp_path / "state")
    resumed.resume(torch.load(tmp_path / "state", weights_only=True))
    while not resumed.done:
        resumed.advance()
    for name, weight in straight.weights().items():
        np.testing.assert_array_equal(resumed.weights()[name], weight)
    # Asked again, a finished training is read and not repeated; another one begins anew.
    again = train_initializer(vectors, body, SMALL, Processes(), tmp_path / "straight")
    assert again.done
    np.testing.assert_array_equal(again.weights()["output.bias"], straight.weights()["output.bias"])
    changed = dataclasses.replace(SMALL, seed=5)
    other = train_initializer(vectors, body, changed, Processes(), tmp_path / "straight")
    assert (other.weights()["output.bias"] != straight.weights()["output.bias"]).any()


def test_two_processes_halves_average_to_the_whole_gradient(vectors: np.ndarray) -> None:
    maker = _maker(vectors, SMALL)
    whole = maker.batch(0, Processes().rows(16)).features
    halves = [maker.batch(0, Processes(rank, 2).rows(16)).features for rank in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), whole)
    with pytest.raises(FitError, match="evenly"):
        Processes(0, 3).rows(16)


_WORKER = """
import sys
import numpy as np
import torch
from lsr1_solver.model_file import load_body_model
from lsr1_solver.training.learn_initializer import begin_initializer
from lsr1_solver.training.processes import join_processes, leave
from tests.solver.test_training import SMALL

torch.set_num_threads(1)
with join_processes() as processes:
    training = begin_initializer(np.load(sys.argv[1]), load_body_model(), SMALL, processes)
    while not training.done:
        training.advance()
    if processes.is_first:
        np.savez(sys.argv[2], **{name: w.numpy() for name, w in training.average.items()})
leave(0)
"""


def test_two_processes_learn_what_one_does(vectors: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", vectors)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "vectors.npy"), str(tmp_path / "two.npz")]
    workers = [
        subprocess.Popen(command, env={**shared, "RANK": rank}, cwd=REPOSITORY, stderr=subprocess.PIPE)
        for rank in ("0", "1")
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors.decode()[-2000:]
    alone = begin_initializer(vectors, load_body_model(), SMALL, Processes())
    begun = {name: w.clone() for name, w in alone.average.items()}
    while not alone.done:
        alone.advance()
    with np.load(tmp_path / "two.npz") as two:
        for name, weight in alone.average.items():
            moved = float((weight - begun[name]).abs().max())
            np.testing.assert_allclose(two[name], weight.numpy(), atol=0.02 * moved)


def test_the_finished_file_loads_and_its_covariance_is_that_of_the_error(
    vectors: np.ndarray, tmp_path: Path
) -> None:
    body = load_body_model()
    training = train_initializer(vectors, body, SMALL, Processes(), tmp_path / "checkpoint")
    poses = sample_poses(load_pose_prior(), 30, seed=9)
    motions = [Motion("a/1", "validation", "A", poses, np.zeros((30, 3)), 10.0)]
    finish_initializer(
        training.weights(), body, {"validation": motions}, SMALL, tmp_path / "initializer.npz", 1.0
    )
    loaded = load_initializer(tmp_path / "initializer.npz")
    assert loaded.metadata["config"] == config_json(SMALL)
    problems = sample_problems(motions, body, INPUT_LANDMARKS, seed=SMALL.seed, views=2)
    joints, errors = predict_joints(loaded, problems, body)
    assert joints.shape == (len(problems), JOINT_COUNT, 3)
    np.testing.assert_allclose(error_covariance(errors), loaded.covariance, rtol=1e-6, atol=1e-9)


def test_mirrored_errors_are_those_of_the_mirrored_person() -> None:
    errors = np.random.default_rng(0).standard_normal((5, 85))
    np.testing.assert_array_equal(mirror_errors(mirror_errors(errors)), errors)
    left, right = (3 * SMPL_JOINT_NAMES.index(f"{side}_knee") for side in ("left", "right"))
    np.testing.assert_array_equal(mirror_errors(errors)[:, left], errors[:, right])
    np.testing.assert_array_equal(mirror_errors(errors)[:, left + 1], -errors[:, right + 1])
    np.testing.assert_array_equal(mirror_errors(errors)[:, 72:75], errors[:, 72:75] * [-1, 1, 1])
