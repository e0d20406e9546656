"""The initializer: its input, its numpy network, its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr1_solver.body_model import JOINT_COUNT
from lsr1_solver.camera import camera_from_focal, image_plane, project, virtual_view
from lsr1_solver.errors import FitError
from lsr1_solver.initializer import (
    ERROR_SIZE,
    INITIALIZER,
    OUTPUT_SIZE,
    Initializer,
    load_initializer,
    weight_shapes,
)
from lsr1_solver.initializer_input import (
    INPUT_LANDMARKS,
    INPUT_SIZE,
    SLOTS,
    arrange_input,
    input_features,
    input_slots,
)
from lsr1_solver.keypoint_formats import BODY_25, COCO_17, FORMATS, SMPL_24
from lsr1_solver.kinematics import keypoint_chain, pose_chain
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, rotation_between
from lsr1_solver.smpl_landmarks import mirrored
from lsr1_solver.training.initializer_network import InitializerNetwork
from lsr1_solver.training.pose_prior import sample_poses
from lsr1_solver.training.retarget import mirror_rotations
from lsr1_solver.training.tensors import input_features as tensor_features
from lsr1_solver.training.tensors import turn_to_points as tensor_turn

_SWAP = [INPUT_LANDMARKS.index(mirrored(name)) for name in INPUT_LANDMARKS]


@pytest.fixture(scope="module")
def shipped() -> Initializer:
    return load_initializer()


def _people(count: int = 12, yaw: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Points of INPUT_LANDMARKS in camera axes, [B, 25, 3], and the poses, the root's in camera axes."""
    poses = sample_poses(load_pose_prior(), count, seed=2)
    turns = np.random.default_rng(4).uniform(-np.pi, np.pi, count) if yaw is None else np.full(count, yaw)
    poses[:, 0] = axis_angle_to_matrix(turns[:, None] * np.array([0.0, 1.0, 0.0]))
    chain = keypoint_chain(load_body_model(), INPUT_LANDMARKS)
    x = np.zeros((count, chain.size))
    x[:, 72:75] = [0.4, 0.2, -4.0]
    return pose_chain(chain, poses, x).points, poses


def _seen(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(size=(count, SLOTS)) > 0.2).astype(float)


def test_numpy_runs_the_network_that_torch_trained() -> None:
    torch.manual_seed(0)
    network = InitializerNetwork(64, 2)
    for parameter in network.parameters():  # the blocks begin as the identity: make them say something
        parameter.data += 0.05 * torch.randn_like(parameter)
    weights = {n.removeprefix("blocks."): w.detach().numpy() for n, w in network.named_parameters()}
    assert {name: w.shape for name, w in weights.items()} == weight_shapes(64, 2)
    features = np.random.default_rng(0).standard_normal((7, INPUT_SIZE)).astype(np.float32)
    ours = Initializer(weights, np.eye(ERROR_SIZE), {}).network(features)
    np.testing.assert_allclose(ours, network(torch.from_numpy(features)).detach().numpy(), atol=1e-5)
    assert ours.shape == (7, OUTPUT_SIZE)


def test_numpy_and_torch_see_the_same_features_and_virtual_camera() -> None:
    points, _ = _people()
    plane, seen = points[..., :2] / -points[..., 2:], _seen(12)
    turn, turned = virtual_view(plane, seen)
    rays = np.concatenate([plane, -np.ones_like(plane[..., :1])], axis=-1)
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    ahead = rotation_between(np.sum(unit * seen[..., None], axis=1), np.array([0.0, 0.0, -1.0]))
    np.testing.assert_allclose(turn, ahead, atol=1e-12)
    theirs = tensor_turn(torch.from_numpy(plane), torch.from_numpy(seen))
    for i, expected in enumerate((turn, turned)):
        np.testing.assert_allclose(theirs[i].numpy(), expected, atol=1e-12)
    features = tensor_features(*(torch.from_numpy(a) for a in (turned, seen))).numpy()
    np.testing.assert_allclose(features, input_features(turned, seen), atol=1e-12)
    assert features.shape == (12, INPUT_SIZE)


@pytest.mark.parametrize(
    ("size", "focal"), [((640, 480), 500.0), ((1920, 1440), 1500.0), ((640, 480), 900.0)]
)
def test_size_and_lens_leave_the_answer_as_it_is(
    shipped: Initializer, size: tuple[int, int], focal: float
) -> None:
    points, _ = _people()
    plane = points[..., :2] / -points[..., 2:]
    camera = camera_from_focal(focal, size)
    seen = _seen(12)
    turn, target = virtual_view(image_plane(camera, project(camera, points)), seen)
    rotations, betas = shipped.predict(target, seen)
    expected, expected_betas = shipped.predict(plane, seen)
    # The answer turns with the camera: the second one looked elsewhere.
    rotations[:, 0] = np.swapaxes(turn, -1, -2) @ rotations[:, 0]
    np.testing.assert_allclose(rotations, expected, atol=1e-4)
    np.testing.assert_allclose(betas, expected_betas, atol=1e-4)


def test_missing_points_have_no_say(shipped: Initializer) -> None:
    points, _ = _people()
    plane, seen = points[..., :2] / -points[..., 2:], _seen(12)
    expected, _ = shipped.predict(plane, seen)
    for rubbish in (0.0, 1e3, np.nan):
        other = np.where((seen > 0)[..., None], plane, rubbish)
        np.testing.assert_array_equal(shipped.predict(other, seen)[0], expected)


def test_answers_are_rotations_and_do_not_depend_on_the_batch(shipped: Initializer) -> None:
    points, _ = _people()
    plane, seen = points[..., :2] / -points[..., 2:], _seen(12)
    rotations, betas = shipped.predict(plane, seen)
    np.testing.assert_allclose(
        rotations @ np.swapaxes(rotations, -1, -2), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9
    )
    alone, alone_betas = shipped.predict(plane[3:4], seen[3:4])
    np.testing.assert_allclose(alone, rotations[3:4], atol=1e-5)
    np.testing.assert_allclose(alone_betas, betas[3:4], atol=1e-5)
    nothing, _ = shipped.predict(plane, np.zeros_like(seen))
    assert np.isfinite(nothing).all()


def test_a_mirrored_person_gives_nearly_the_mirrored_pose(shipped: Initializer) -> None:
    points, _ = _people(40, yaw=0.3)
    plane, seen = points[..., :2] / -points[..., 2:], np.ones((40, SLOTS))
    straight, _ = shipped.predict(plane, seen)
    reflected, _ = shipped.predict((plane * [-1.0, 1.0])[:, _SWAP], seen)
    assert np.median(geodesic_angle(mirror_rotations(reflected), straight)) < np.radians(8)


def test_poses_are_found_roughly(shipped: Initializer) -> None:
    points, poses = _people(60)
    plane = points[..., :2] / -points[..., 2:]
    rotations, _ = shipped.predict(plane, np.ones((60, SLOTS)))
    angle = np.degrees(geodesic_angle(rotations, poses))
    assert rotations.shape == (60, JOINT_COUNT, 3, 3)
    assert np.median(angle[:, 0]) < 25  # the direction that the person faces
    assert np.median(angle) < 20


def test_every_format_fills_the_slots_it_can() -> None:
    for known in FORMATS.values():
        names = [joint for joint in known.joints if joint]
        assert (input_slots(names) >= 0).sum() >= 12, known.name
    coco = input_slots([joint or "" for joint in COCO_17.joints])
    assert (coco[:17] >= 0).all() and (coco[17:] < 0).all()
    body_25 = [joint or "" for joint in BODY_25.joints]
    slots = input_slots(body_25)
    assert body_25[slots[INPUT_LANDMARKS.index("left_heel")]] == "left_heel"
    # SMPL's hip stands in for COCO's, but never where COCO's own is there.
    smpl = list(SMPL_24.joints)
    assert smpl[input_slots([n or "" for n in smpl])[INPUT_LANDMARKS.index("coco_left_hip")]] == "left_hip"
    both = ["left_hip", "coco_left_hip"]
    assert input_slots(both)[INPUT_LANDMARKS.index("coco_left_hip")] == 1


def test_arranged_points_keep_their_confidence() -> None:
    names = ["left_knee", "nose", "left_heel"]
    target = np.arange(6.0).reshape(1, 3, 2)
    arranged, confidence = arrange_input(names, target, np.array([[0.5, 0.0, 1.0]]))
    assert confidence.sum() == 1.5
    assert confidence[0, INPUT_LANDMARKS.index("coco_left_knee")] == 0.5
    np.testing.assert_array_equal(arranged[0, INPUT_LANDMARKS.index("left_heel")], [4, 5])
    np.testing.assert_array_equal(arranged[0, INPUT_LANDMARKS.index("nose")], [0, 0])


def test_the_shipped_file_is_small_and_says_what_it_is(shipped: Initializer) -> None:
    assert INITIALIZER.stat().st_size < 4_000_000
    assert "mocap.cs.cmu.edu" in str(shipped.metadata["sources"])
    assert json.loads(json.dumps(shipped.metadata["config"]))["initializer"]["width"] > 0
    spread = np.sqrt(np.diag(shipped.covariance))
    assert (spread[:72] < 1.2).all()


def test_points_in_another_arrangement_are_refused(shipped: Initializer) -> None:
    with pytest.raises(FitError, match="arrange_input"):
        shipped.predict(np.zeros((1, 17, 2)), np.zeros((1, 17)))


def _arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal(shape) for name, shape in weight_shapes(8, 1).items()}
    return {
        **arrays,
        "covariance": np.eye(ERROR_SIZE),
        "landmarks": np.array(INPUT_LANDMARKS),
        "metadata": np.array("{}"),
    }


def _write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def test_a_whole_file_loads(tmp_path: Path) -> None:
    loaded = load_initializer(_write(tmp_path / "whole.npz", _arrays()))
    assert loaded.blocks == 1


def test_damaged_and_foreign_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    whole = _write(tmp_path / "whole.npz", _arrays())
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:-2000])
    text = tmp_path / "text.npz"
    text.write_text("these are no weights")
    for path in (cut, text, tmp_path / "absent.npz"):
        with pytest.raises(FitError, match=path.name):
            load_initializer(path)
    with pytest.raises(FitError, match="is no initializer"):
        load_initializer(INITIALIZER.with_name("pose_prior.npz"))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("landmarks", np.array(["nose"]), "other keypoints"),
        ("0.wide.weight", np.zeros((8, 7)), "0.wide.weight"),
        ("output.bias", np.full(OUTPUT_SIZE, np.nan), "output.bias"),
        ("covariance", -np.eye(ERROR_SIZE), "positive definite"),
        ("covariance", np.eye(3), "covariance"),
        ("metadata", np.array("{"), "is no initializer"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, name: str, value: np.ndarray, says: str) -> None:
    path = _write(tmp_path / "wrong.npz", {**_arrays(), name: value})
    with pytest.raises(FitError, match=says):
        load_initializer(path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    arrays = _arrays()
    del arrays["norm.bias"]
    with pytest.raises(FitError, match=r"norm\.bias"):
        load_initializer(_write(tmp_path / "short.npz", arrays))
