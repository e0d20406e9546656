from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from lsr1_solver.arrays import Array
from lsr1_solver.gauss_newton import Linearization
from lsr1_solver.kinematics import PELVIS, keypoint_chain
from lsr1_solver.objective import Objective
from lsr1_solver.rotation import axis_angle_to_matrix
from tests.solver.bodies import random_body

BODY = random_body()
CHAIN = keypoint_chain(BODY, [name for name in BODY.landmarks if name.startswith("skin")])
ARRAYS = ("centre", "offset", "spread", "basis", "target", "confidence", "unit", "target_3d", "confidence_3d")


def objective(batch: int = 3, seed: int = 0) -> Objective:
    """Random problems in front of the camera with every term at work: limits broken, points missing."""
    rng = np.random.default_rng(seed)
    count = len(CHAIN.landmarks)
    offset = 0.1 * rng.normal(size=(batch, CHAIN.size))
    offset[:, PELVIS] += [0.0, 0.0, -3.0]
    spread = np.ones_like(offset)
    spread[:, PELVIS.stop - 1] = 3.0
    centre = axis_angle_to_matrix(rng.normal(scale=0.3, size=(batch, 24, 3)))
    centre[:, [4, 5]] = axis_angle_to_matrix(np.array([-0.6, 0, 0]))  # knees bent backwards
    return Objective(
        chain=CHAIN,
        centre=centre,
        offset=offset,
        spread=spread,
        basis=np.tril(rng.normal(scale=0.05, size=(CHAIN.size, CHAIN.size))) + 0.1 * np.eye(CHAIN.size),
        target=rng.normal(scale=0.2, size=(batch, count, 2)),
        confidence=rng.uniform(size=(batch, count)) * (rng.uniform(size=(batch, count)) > 0.2),
        unit=np.full(batch, 0.01),
        target_3d=rng.normal(size=(batch, count, 3)),
        confidence_3d=100 * rng.uniform(size=(batch, count)),
    )


def in_torch(problem: Objective) -> Objective:
    """The same problem with torch tensors."""
    leaf = cast(Array, torch.zeros(1, dtype=torch.float64))
    given = {name: getattr(problem, name) for name in ARRAYS}
    arrays = {name: cast(Array, torch.tensor(a)) for name, a in given.items() if a is not None}
    return replace(problem, chain=problem.chain.to(leaf), **arrays)


def test_limits_are_at_work_in_these_tests() -> None:
    problem = objective()
    z = problem.start()
    free = replace(problem, limit_weight=0.0)
    assert np.all(problem.energy_and_gradient(z)[0] > free.energy_and_gradient(z)[0] + 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_agrees_with_finite_differences(seed: int) -> None:
    problem = objective(seed=seed)
    z = np.random.default_rng(5).normal(size=problem.start().shape)
    gradient = problem.energy_and_gradient(z)[1]
    step = 1e-5
    for i in range(problem.dimension):
        dz = np.zeros_like(z)
        dz[:, i] = step
        above, below = (problem.energy_and_gradient(z + s * dz)[0] for s in (1, -1))
        difference = (above - below) / (2 * step)
        assert np.abs(difference - gradient[:, i]).max() < 1e-6 * np.abs(gradient).max()


def test_gradient_agrees_with_autograd_of_the_energy() -> None:
    problem = objective()
    z = np.random.default_rng(5).normal(size=problem.start().shape)
    leaf = torch.tensor(z, requires_grad=True)
    energy, _ = in_torch(problem).energy_and_gradient(cast(Array, leaf))
    cast(torch.Tensor, energy).sum().backward()
    gradient = problem.energy_and_gradient(z)[1]
    assert leaf.grad is not None
    assert np.abs(leaf.grad.numpy() - gradient).max() < 1e-6 * np.abs(gradient).max()


def test_linearization_shares_energy_and_gradient_and_has_the_gauss_newton_form() -> None:
    problem = replace(objective(), prior_weight=0.7)
    z = np.random.default_rng(5).normal(size=problem.start().shape)
    energy, gradient = problem.energy_and_gradient(z)
    linear = problem.linearize(z)
    assert np.array_equal(energy, linear.energy) and np.array_equal(gradient, linear.gradient)
    # Around a point where every residual is zero the matrix is the Hessian: here, the energy of exact data.
    exact = replace(
        problem, target=problem.reprojection(problem.pose(z).points)[1], target_3d=problem.pose(z).points
    )
    exact = replace(exact, limit_weight=0.0)
    J = exact.linearize(z).jacobian
    step = 1e-5
    for i in range(0, problem.dimension, 7):
        dz = np.zeros_like(z)
        dz[:, i] = step
        above, below = (exact.energy_and_gradient(z + s * dz)[1] for s in (1, -1))
        column = (above - below) / (2 * step)
        expected = np.einsum("bmi,bm->bi", J, J[:, :, i]) + 0.7 * np.eye(problem.dimension)[i]
        assert np.abs(column - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("rows", [20, 300])
def test_both_systems_give_the_damped_newton_step(rows: int) -> None:
    rng = np.random.default_rng(0)
    gradient, J = rng.normal(size=(3, 85)), rng.normal(size=(3, rows, 85))
    linear = Linearization(np.ones(3), 1.0, lambda: gradient, lambda: J)
    damping = np.array([1e-3, 1.0, 100.0])
    step = linear.solve(damping)
    for b in range(3):
        matrix = linear.jacobian[b].T @ linear.jacobian[b] + (1 + damping[b]) * np.eye(85)
        assert np.allclose(matrix @ step[b], -linear.gradient[b], atol=1e-9)


@pytest.mark.parametrize("rows", [20, 53, 300])
def test_the_inverse_factor_is_one(rows: int) -> None:
    J = np.random.default_rng(0).normal(size=(3, rows, 85))
    J[1, 1::2] = J[1, : rows // 2]  # every row twice, as far as they go
    J[2] *= np.geomspace(1e-3, 1e3, rows)[:, None]

    def factor(batch: slice) -> np.ndarray:
        J_own = J[batch]
        count = len(J_own)
        model = Linearization(np.ones(count), 0.3, lambda: np.zeros((count, 85)), lambda: J_own)
        made = model.inverse_factor()
        columns = np.eye(85)[:, None] * np.ones((count, 1))
        S = np.stack([made.times(e) for e in columns], axis=-1)
        assert np.allclose(np.stack([made.transposed_times(e) for e in columns], axis=1), S)
        return S

    S = factor(slice(None))
    H = 0.3 * np.eye(85) + np.swapaxes(J, 1, 2) @ J
    assert np.allclose(S @ np.swapaxes(S, 1, 2) @ H, np.eye(85), atol=1e-6)
    for b in range(3):
        assert np.allclose(factor(slice(b, b + 1))[0], S[b], atol=1e-7)


def test_a_missing_point_has_no_say() -> None:
    problem = objective()
    z = problem.start()
    target, target_3d = problem.target.copy(), cast(np.ndarray, problem.target_3d).copy()
    missing = problem.confidence == 0
    target[missing] += 100.0
    moved = replace(problem, target=target, target_3d=target_3d)
    assert missing.any()
    for a, b in zip(problem.energy_and_gradient(z), moved.energy_and_gradient(z), strict=True):
        assert np.array_equal(a, b)


def test_numpy_and_torch_agree() -> None:
    problem = objective()
    z = np.random.default_rng(5).normal(size=problem.start().shape)
    ours, theirs = problem.linearize(z), in_torch(problem).linearize(cast(Array, torch.tensor(z)))
    for name in ("energy", "gradient", "jacobian"):
        assert np.allclose(
            cast(torch.Tensor, getattr(theirs, name)).numpy(), getattr(ours, name), atol=1e-9
        ), name


def test_each_problem_of_a_batch_is_alone() -> None:
    problem = objective(batch=5)
    z = np.random.default_rng(5).normal(size=problem.start().shape)
    energy, gradient = problem.energy_and_gradient(z)
    for b in range(5):
        alone = problem.select(slice(b, b + 1)).energy_and_gradient(z[b : b + 1])
        assert np.allclose(alone[0], energy[b], rtol=1e-12)
        assert np.allclose(alone[1], gradient[b], rtol=1e-10, atol=1e-10)
