"""Pins draw joints to places; their derivatives agree with finite differences."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from lsr1_solver import FitError, LevenbergMarquardt, fit_pose, posed_joints
from lsr1_solver.arrays import Array
from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.objective import Objective
from lsr1_solver.pins import Pinned, Pins
from tests.solver.test_fitting import BODY as OPEN_BODY
from tests.solver.test_fitting import problem, random_poses
from tests.solver.test_objective import BODY, CHAIN, in_torch, objective

WRIST, FOOT = SMPL_JOINT_NAMES.index("right_wrist"), SMPL_JOINT_NAMES.index("left_foot")


def no_pins(frames: int) -> Pins:
    return Pins(np.full((frames, 24, 3), np.nan), np.full((frames, 24), 0.01))


def pinned_objective(batch: int = 3) -> Objective:
    rng = np.random.default_rng(3)
    pins = no_pins(batch)
    pins.target[:, FOOT] = rng.normal(size=(batch, 3))
    pins.target[1:, WRIST] = rng.normal(size=(batch - 1, 3))
    pins.sigma[:] = 0.5
    turn = np.broadcast_to(np.eye(3), (batch, 3, 3))
    return replace(objective(batch), pinned=pins.turned(turn, BODY, CHAIN.shape_count))


def test_gradient_agrees_with_finite_differences() -> None:
    asked, bare = pinned_objective(), objective()
    z = np.random.default_rng(5).normal(size=asked.start().shape)
    energy, gradient = asked.energy_and_gradient(z)
    assert np.all(energy > bare.energy_and_gradient(z)[0])
    step = 1e-5
    for i in range(asked.dimension):
        dz = np.zeros_like(z)
        dz[:, i] = step
        above, below = (asked.energy_and_gradient(z + s * dz)[0] for s in (1, -1))
        assert np.abs((above - below) / (2 * step) - gradient[:, i]).max() < 1e-6 * np.abs(gradient).max()


def test_rows_are_the_residuals_jacobian() -> None:
    asked = pinned_objective()
    assert asked.pinned is not None
    z = np.random.default_rng(5).normal(size=asked.start().shape)
    J = asked.linearize(z).jacobian[:, -6:]

    def residual(z: np.ndarray) -> np.ndarray:
        joints = asked.pose(z).positions[:, cast(Pinned, asked.pinned).joints]
        away = joints - cast(Pinned, asked.pinned).target
        return (np.sqrt(cast(Pinned, asked.pinned).weight)[..., None] * away).reshape(len(z), -1)

    step = 1e-5
    for i in range(0, asked.dimension, 5):
        dz = np.zeros_like(z)
        dz[:, i] = step
        difference = (residual(z + dz) - residual(z - dz)) / (2 * step)
        assert np.abs(difference - J[..., i]).max() < 1e-6 * max(1.0, np.abs(J).max())
    half_square = 0.5 * np.sum(residual(z) ** 2, axis=1)
    without = replace(asked, pinned=None).energy_and_gradient(z)[0]
    assert np.allclose(asked.energy_and_gradient(z)[0] - without, half_square)


def test_numpy_and_torch_agree() -> None:
    asked = pinned_objective()
    pinned = asked.pinned
    assert pinned is not None
    leaf = cast(Array, torch.zeros(1, dtype=torch.float64))
    theirs = replace(
        pinned,
        chain=pinned.chain.to(leaf),
        target=cast(Array, torch.tensor(pinned.target)),
        weight=cast(Array, torch.tensor(pinned.weight)),
    )
    twin = replace(in_torch(asked), pinned=theirs)
    z = np.random.default_rng(5).normal(size=asked.start().shape)
    ours, other = asked.linearize(z), twin.linearize(cast(Array, torch.tensor(z)))
    for name in ("energy", "gradient", "jacobian"):
        assert np.allclose(cast(torch.Tensor, getattr(other, name)).numpy(), getattr(ours, name), atol=1e-9)


def test_a_pinned_joint_goes_where_it_shall_and_the_place_counts() -> None:
    pose, points = random_poses(3)
    asked = problem(points)
    free = fit_pose(asked, initial=pose)
    pins = no_pins(3)
    joints = posed_joints(OPEN_BODY, pose)
    pins.target[:, FOOT] = joints[:, FOOT]
    pins.target[:2, WRIST] = joints[:2, WRIST]
    exactly = LevenbergMarquardt(tolerance=1e-10)
    held = fit_pose(replace(asked, pins=pins), exactly, initial=pose, max_iterations=200)
    before, after = (np.linalg.norm(posed_joints(OPEN_BODY, s.pose) - joints, axis=-1) for s in (free, held))
    assert after[:, FOOT].max() < 0.02 and after[:2, WRIST].max() < 0.02
    assert before[:, FOOT].mean() > 3 * after[:, FOOT].mean()
    # A frame's pins are its own.
    first = replace(asked, pins=pins).frames(slice(0, 1))
    alone = fit_pose(first, exactly, initial=pose.frames(0), max_iterations=200)
    assert np.allclose(alone.pose.body_pose[0], held.pose.body_pose[0], atol=1e-3)


def test_every_joint_of_the_open_body_can_be_pinned_exactly() -> None:
    """A pin takes a joint for a point fixed to itself: so must the body's landmarks of the joints be."""
    for j, name in enumerate(SMPL_JOINT_NAMES):
        landmark = OPEN_BODY.landmarks[name]
        assert landmark.joints == (j,) and landmark.joint_weights == (1.0,) and not landmark.vertices


@pytest.mark.parametrize(
    ("target", "sigma", "words"),
    [
        (np.zeros((2, 3)), np.ones((2, 24)), r"right is \(2, 24, 3\)"),
        (np.zeros((2, 24, 3)), np.zeros((2, 24)), "'pelvis' in row 0 needs a positive sigma"),
        (np.zeros((2, 24, 3)), np.full((2, 24), np.nan), "needs a positive sigma"),
    ],
)
def test_wrong_pins_are_refused(target: np.ndarray, sigma: np.ndarray, words: str) -> None:
    with pytest.raises(FitError, match=words):
        Pins(target, sigma)


def test_pins_are_given_for_every_frame() -> None:
    _, points = random_poses(2)
    with pytest.raises(FitError, match="Pins are given for 3 frames; the keypoints have 2"):
        replace(problem(points), pins=no_pins(3))
