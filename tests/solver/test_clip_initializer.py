"""The clip initializer: its neighbours, its features, its samples, its training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr1_solver.camera import plane_in_view
from lsr1_solver.clip_initializer import (
    CLIP_INITIALIZER,
    CLIP_INPUT_SIZE,
    ClipInitializer,
    clip_features,
    load_clip_initializer,
    neighbours,
)
from lsr1_solver.errors import FitError
from lsr1_solver.initializer import ERROR_SIZE, INITIALIZER, load_initializer
from lsr1_solver.initializer_input import SLOTS
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from lsr1_solver.training.clip_samples import NORMALS, UNIFORMS, clip_sample_maker
from lsr1_solver.training.config import (
    ClipInitializerConfig,
    CorruptionConfig,
    InitializerConfig,
    TrainingConfig,
)
from lsr1_solver.training.learn_clip_initializer import (
    finish_clip_initializer,
    grown_network,
    train_clip_initializer,
)
from lsr1_solver.training.pose_prior import sample_poses
from lsr1_solver.training.processes import Processes
from lsr1_solver.training.retarget import Motion
from lsr1_solver.training.tensors import clip_features as tensor_features

CLEAN = CorruptionConfig(
    noise=0.0, missing=0.0, lower_body=0.0, limb=0.0, half=0.0, upper_body=0.0, outliers=0.0, swapped=0.0,
    formats=(0.0, 0.0), joints=0.0,
)  # fmt: skip
CONFIG = TrainingConfig(
    clip_initializer=ClipInitializerConfig(
        network=InitializerConfig(steps=3, batch=8, warm_up=1, bfloat16=False), clips=3, clip_seconds=1.0
    )
)


def _motion(frames: int = 60, *, moves: bool = True) -> Motion:
    """A person who turns one way from one plausible pose to another."""
    ends = matrix_to_axis_angle(sample_poses(load_pose_prior(), 2, seed=5))
    share = np.linspace(0, 1, frames)[:, None, None] * moves
    vectors = (1 - share) * ends[0] + share * (0.8 * ends[0] + 0.2 * ends[1])
    root = np.array([0.0, 1.0, 0.0]) + share[:, 0] * [0.5, 0.0, 0.2]
    return Motion("made", "train", "made", axis_angle_to_matrix(vectors), root, 30.0)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return matrix_to_axis_angle(sample_poses(load_pose_prior(), 32, seed=3)).astype(np.float16)


@pytest.fixture(scope="module")
def shaken() -> ClipInitializer:
    """The stills' network with neighbours that do have a say."""
    network = grown_network(load_initializer())
    torch.manual_seed(0)
    network.input.weight.data += 0.02 * torch.randn_like(network.input.weight)
    weights = {n.removeprefix("blocks."): w.detach().numpy() for n, w in network.named_parameters()}
    return ClipInitializer(weights, np.eye(ERROR_SIZE), {})


def _clip(frames: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target [T, 25, 2], confidence [T, 25] and turns [T, 3, 3] of a person who drifts."""
    random = np.random.default_rng(1)
    target = random.normal(0, 0.1, (1, SLOTS, 2)) + 0.01 * np.cumsum(
        random.normal(size=(frames, SLOTS, 2)), axis=0
    )
    confidence = (random.uniform(size=(frames, SLOTS)) > 0.2).astype(float)
    return target, confidence, axis_angle_to_matrix(0.05 * random.normal(size=(frames, 3)))


@pytest.mark.parametrize(
    ("rate", "steps"), [(30.0, [-6, -3, 3, 6]), (24.0, [-5, -2, 2, 5]), (5.0, [-1, 0, 0, 1])]
)
def test_neighbours_are_the_nearest_frames(rate: float, steps: list[int]) -> None:
    frames, there = neighbours(40, rate, np.arange(40))
    np.testing.assert_array_equal(frames[20] - 20, steps)
    np.testing.assert_array_equal(there[20], [step != 0 for step in steps])
    assert not there[0, :2].any() and not there[-1, 2:].any()
    assert not neighbours(1, rate, np.arange(1))[1].any()


def test_before_training_the_answer_is_the_stills() -> None:
    still = load_initializer()
    weights = {
        n.removeprefix("blocks."): w.detach().numpy() for n, w in grown_network(still).named_parameters()
    }
    target, confidence, turn = _clip()
    found = ClipInitializer(weights, still.covariance, {}).predict(target, confidence, turn, 30.0)
    for ours, theirs in zip(found, still.predict(target, confidence), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-4)


def test_what_is_not_seen_has_no_say(shaken: ClipInitializer) -> None:
    target, confidence, turn = _clip()
    confidence[6] = 0  # a whole frame
    expected, _ = shaken.predict(target, confidence, turn, 30.0)
    rubbish = np.where((confidence > 0)[..., None], target, np.nan)
    np.testing.assert_array_equal(shaken.predict(rubbish, confidence, turn, 30.0)[0], expected)
    moved = target.copy()
    moved[3] += 0.05
    changed = np.abs(shaken.predict(moved, confidence, turn, 30.0)[0] - expected).max(axis=(1, 2, 3)) > 1e-4
    assert changed[[0, 3, 9]].all() and not changed[[1, 2, 4, 5, 7]].any()


def test_where_the_neighbours_virtual_cameras_look_does_not_matter(shaken: ClipInitializer) -> None:
    target, confidence, turn = _clip()
    expected, betas = shaken.predict(target, confidence, turn, 30.0)
    away = axis_angle_to_matrix(0.1 * np.random.default_rng(3).normal(size=(len(turn), 3)))
    away[6] = np.eye(3)
    turned = plane_in_view(away, target, np.ones(confidence.shape))
    found, other = shaken.predict(turned, confidence, away @ turn, 30.0)
    np.testing.assert_allclose(found[6], expected[6], atol=1e-4)
    np.testing.assert_allclose(other[6], betas[6], atol=1e-4)


def test_numpy_and_torch_see_the_same_features() -> None:
    random = np.random.default_rng(0)
    seen, near_seen = (random.uniform(size=shape) > 0.3 for shape in ((4, SLOTS), (4, 4, SLOTS)))
    arrays = [
        random.normal(size=(4, SLOTS, 2)),
        seen * 1.0,
        random.normal(size=(4, 4, SLOTS, 2)),
        near_seen * 1.0,
    ]
    ours = clip_features(*arrays)
    assert ours.shape == (4, CLIP_INPUT_SIZE)
    theirs = tensor_features(*(torch.from_numpy(a) for a in arrays)).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-12)


def test_who_stands_still_shows_no_way(vectors: np.ndarray) -> None:
    config = dataclasses.replace(
        CONFIG,
        corruption=CLEAN,
        clip_initializer=dataclasses.replace(
            CONFIG.clip_initializer, dropped=0.0, borders=0.0, alone=0.0, noise_correlation=0.0
        ),
    )
    maker = clip_sample_maker([_motion(moves=False)], vectors, load_body_model(), config)
    batch = maker.batch(0, slice(0, 8))
    points, seen, way = batch.features[:, -20 * SLOTS :].split([8 * SLOTS, 4 * SLOTS, 8 * SLOTS], dim=1)
    assert points.abs().max() > 0.5
    assert way.abs().max() < 1e-4
    assert (seen.view(8, 4, SLOTS).any(dim=2)).float().mean() > 0.9


def test_windows_move_as_the_motion_does_and_end_with_it(vectors: np.ndarray) -> None:
    maker = clip_sample_maker([_motion()], vectors, load_body_model(), CONFIG)
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand((64, UNIFORMS), generator=generator)
    normal = torch.randn((64, NORMALS), generator=generator)
    batch = maker.make(uniform, normal)
    assert batch.features.shape == (64, CLIP_INPUT_SIZE) and batch.features.isfinite().all()
    eye = torch.eye(3).expand(64, 24, 3, 3)
    torch.testing.assert_close(batch.world @ batch.world.transpose(-1, -2), eye, atol=1e-2, rtol=0)
    _, _, there = maker.windows.at(torch.tensor([0.0, 0.5, 0.999]), torch.tensor([[-0.2, 0.2]] * 3))
    assert there.tolist() == [[False, True], [True, True], [True, False]]
    part = maker.make(uniform[16:32], normal[16:32])
    torch.testing.assert_close(part.features, batch.features[16:32], atol=1e-5, rtol=1e-4)


def test_training_writes_a_file_that_loads(vectors: np.ndarray, tmp_path: Path) -> None:
    body, motions = load_body_model(), [_motion()]
    still = load_initializer()
    training = train_clip_initializer(
        motions, vectors, body, still, CONFIG, Processes(), tmp_path / "checkpoint"
    )
    assert training.done
    path = tmp_path / "clip.npz"
    written = finish_clip_initializer(training.weights(), body, {"made": motions}, CONFIG, path, 1.0)
    loaded = load_clip_initializer(path)
    target, confidence, turn = _clip()
    for a, b in zip(*(one.predict(target, confidence, turn, 30.0) for one in (loaded, written)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.covariance.shape == (ERROR_SIZE, ERROR_SIZE)


def test_a_stills_initializer_is_refused() -> None:
    with pytest.raises(FitError, match=r"input\.weight"):
        load_clip_initializer(INITIALIZER)
    with pytest.raises(FitError, match="arrange_input"):
        ClipInitializer({}, np.eye(1), {}).predict(
            np.zeros((2, 17, 2)), np.zeros((2, 17)), np.zeros((2, 3, 3)), 30.0
        )


def test_the_shipped_file_is_small_and_says_what_it_is() -> None:
    shipped = load_clip_initializer()
    assert CLIP_INITIALIZER.stat().st_size < 3_000_000
    assert "mocap.cs.cmu.edu" in str(shipped.metadata["sources"])
    assert (np.sqrt(np.diag(shipped.covariance))[:72] < 1.2).all()
