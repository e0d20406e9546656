from typing import cast

import numpy as np
import pytest
import torch

from lsr1_solver.arrays import Array
from lsr1_solver.body_model import SMPL_PARENTS, BodyPose, posed_joints, rest_joints, skin
from lsr1_solver.errors import FitError
from lsr1_solver.kinematics import PELVIS, PosedChain, keypoint_chain, pose_chain, pull_back, row_jacobian
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_axis_angle, rotation_vectors
from tests.solver.bodies import random_body

BODY = random_body()
LANDMARKS = tuple(BODY.landmarks)
CHAIN = keypoint_chain(BODY, LANDMARKS)


def problem(batch: int, angle: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Centres and parameters with rotation vectors of the given length."""
    rng = np.random.default_rng(seed)
    centre = axis_angle_to_matrix(rng.normal(scale=0.5, size=(batch, 24, 3)))
    axis = rng.normal(size=(batch, 24, 3))
    omega = angle * axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    return centre, np.concatenate([omega.reshape(batch, -1), rng.normal(size=(batch, 13))], axis=1)


def naive_points(centre: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Landmarks taken from the whole skinned mesh and the posed joints."""
    local = axis_angle_to_matrix(x[:, :72].reshape(-1, 24, 3)) @ centre
    omega = matrix_to_axis_angle(local)
    betas = x[:, 75:]
    transl = x[:, PELVIS] - rest_joints(BODY, betas)[:, 0]
    pose = BodyPose(omega[:, 0], omega[:, 1:], betas, transl)
    vertices, joints = skin(BODY, pose), posed_joints(BODY, pose)
    points = []
    for mark in BODY.landmarks.values():
        on_mesh = np.tensordot(vertices[:, list(mark.vertices)], np.array(mark.vertex_weights), (1, 0))
        points.append(
            on_mesh + np.tensordot(joints[:, list(mark.joints)], np.array(mark.joint_weights), (1, 0))
        )
    return np.stack(points, axis=1)


def test_points_are_those_of_the_skinned_mesh() -> None:
    centre, x = problem(5, 1.0)
    assert np.abs(pose_chain(CHAIN, centre, x).points - naive_points(centre, x)).max() < 1e-12


def point_jacobian(posed: PosedChain) -> np.ndarray:
    """Rows along the three axes: the whole Jacobian of the points, [B, K, 3, P]."""
    axes = np.broadcast_to(np.eye(3), (*posed.points.shape[:2], 3, 3))
    return row_jacobian(CHAIN, posed, axes).reshape(*axes.shape[:3], -1)


@pytest.mark.parametrize("angle", [0.0, 1e-5, 0.009, 0.011, 1.0, np.pi - 1e-4])
def test_jacobian_agrees_with_finite_differences(angle: float) -> None:
    centre, x = problem(2, angle)
    J = point_jacobian(pose_chain(CHAIN, centre, x))
    step = 1e-5
    for i in range(x.shape[1]):
        dx = np.zeros_like(x)
        dx[:, i] = step
        above, below = (pose_chain(CHAIN, centre, x + s * dx).points for s in (1, -1))
        assert np.abs((above - below) / (2 * step) - J[..., i]).max() < 1e-8


@pytest.mark.parametrize("angle", [0.0, 1.0, np.pi - 1e-4])
def test_pull_back_is_the_transposed_jacobian(angle: float) -> None:
    centre, x = problem(3, angle)
    posed = pose_chain(CHAIN, centre, x)
    force = np.random.default_rng(2).normal(size=posed.points.shape)
    by_jacobian = np.einsum("bkc,bkcp->bp", force, point_jacobian(posed))
    assert np.abs(pull_back(CHAIN, posed, force) - by_jacobian).max() < 1e-12


def tensor(values: np.ndarray) -> Array:
    """A torch tensor where the solver's signatures speak of arrays."""
    return cast(Array, torch.tensor(values))


def to_numpy(array: Array) -> np.ndarray:
    return cast(torch.Tensor, array).detach().numpy()


def naive_torch_points(centre: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    """The landmarks of the whole skinned mesh, joint after joint: a twin of the chain in plain torch."""
    omega = cast(Array, x[:, :72].reshape(-1, 24, 3))
    local = cast(torch.Tensor, axis_angle_to_matrix(omega)) @ torch.tensor(centre)
    v = torch.tensor(BODY.v_template) + torch.einsum("vcs,bs->bvc", torch.tensor(BODY.shapedirs), x[:, 75:])
    joints = torch.einsum("jv,bvc->bjc", torch.tensor(BODY.J_regressor), v)
    G, place = [local[:, 0]], [x[:, 72:75]]
    for j, parent in enumerate(SMPL_PARENTS[1:], start=1):
        bone = (joints[:, j] - joints[:, parent])[..., None]
        place.append(place[parent] + (G[parent] @ bone)[..., 0])
        G.append(G[parent] @ local[:, j])
    rotations, positions = torch.stack(G, 1), torch.stack(place, 1)
    arms = torch.einsum("bjck,bvjk->bvjc", rotations, v[:, :, None] - joints[:, None]) + positions[:, None]
    vertices = torch.einsum("vj,bvjc->bvc", torch.tensor(BODY.lbs_weights), arms)
    points = []
    for mark in BODY.landmarks.values():
        on_mesh = torch.einsum(
            "bvc,v->bc", vertices[:, list(mark.vertices)], torch.tensor(mark.vertex_weights, dtype=x.dtype)
        )
        on_joints = torch.einsum(
            "bjc,j->bc", positions[:, list(mark.joints)], torch.tensor(mark.joint_weights, dtype=x.dtype)
        )
        points.append(on_mesh + on_joints)
    return torch.stack(points, 1)


@pytest.mark.parametrize("angle", [1e-9, 1.0, np.pi - 1e-4])
def test_pull_back_agrees_with_autograd_through_a_naive_twin(angle: float) -> None:
    centre, x = problem(3, angle)
    force = np.random.default_rng(2).normal(size=(3, len(LANDMARKS), 3))
    leaf = torch.tensor(x, requires_grad=True)
    points = naive_torch_points(centre, leaf)
    posed = pose_chain(CHAIN, centre, x)
    assert np.abs(points.detach().numpy() - posed.points).max() < 1e-12
    (points * torch.tensor(force)).sum().backward()
    assert leaf.grad is not None
    assert np.abs(leaf.grad.numpy() - pull_back(CHAIN, posed, force)).max() < 1e-6


def test_numpy_and_torch_run_the_same_lines() -> None:
    centre, x = problem(4, 0.7)
    force = np.random.default_rng(2).normal(size=(4, len(LANDMARKS), 3))
    axes = np.random.default_rng(3).normal(size=(4, len(LANDMARKS), 2, 3))
    posed = pose_chain(CHAIN, centre, x)
    chain = CHAIN.to(tensor(x))
    twin = pose_chain(chain, tensor(centre), tensor(x))
    pairs = (
        (twin.points, posed.points),
        (pull_back(chain, twin, tensor(force)), pull_back(CHAIN, posed, force)),
        (row_jacobian(chain, twin, tensor(axes)), row_jacobian(CHAIN, posed, axes)),
    )
    for theirs, ours in pairs:
        assert np.allclose(to_numpy(theirs), ours, atol=1e-12)


def test_a_missing_landmark_is_named() -> None:
    with pytest.raises(FitError, match="'tail'"):
        keypoint_chain(BODY, ["pelvis", "tail"])


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-4, 1.0, 2.6, 2.75, 3.1, np.pi - 1e-7])
def test_rotation_vectors_are_logarithms(angle: float) -> None:
    axis = np.random.default_rng(4).normal(size=(200, 3))
    omega = angle * axis / np.linalg.norm(axis, axis=1, keepdims=True)
    R = axis_angle_to_matrix(omega)
    np.testing.assert_allclose(rotation_vectors(R), omega, atol=1e-8 if angle > 3.14 else 1e-14)
    if angle < 3.14:  # in single precision that is half a turn, of either sign
        np.testing.assert_allclose(rotation_vectors(R.astype(np.float32)), omega, atol=2e-6)
