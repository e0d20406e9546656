"""How sure a fit is of its depths: from the curvature of the energy at its minimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .body_model import JOINT_COUNT, SMPL_JOINT_NAMES, BodyPose
from .kinematics import keypoint_chain, row_jacobian
from .problem import FitProblem
from .starts import start_at
from .view import person_view


def depth_uncertainty(problem: FitProblem, pose: BodyPose) -> np.ndarray:
    """One standard deviation of every joint's depth about the pelvis', metres. -> [B, 24], the pelvis' is 0.

    ``pose`` a fit's answer, B frames in camera axes. Laplace's approximation: the inverse of the energy's
    Gauss-Newton matrix is the parameters' covariance, and the joints' Jacobian carries it over to the joints.
    What is held has no uncertainty of its own; another minimum (see `solutions`) is none either. Every frame
    is looked at alone: what its neighbours in a clip know of it is not counted.
    """
    view = person_view(problem)
    if np.isfinite(problem.firmness).any():
        view = replace(view, kept=pose)
    objective, z = view.objective(start_at(view, pose))
    linear = objective.linearize(z)
    transposed = np.swapaxes(linear.jacobian, 1, 2)
    # At least one hundredth of a prior: without any, depth is not determined at all.
    H = transposed @ linear.jacobian + max(linear.prior_weight, 0.01) * np.eye(objective.dimension)
    chain = keypoint_chain(problem.body, SMPL_JOINT_NAMES, shape_count=view.chain.shape_count)
    posed = objective.pose(z)
    joints = replace(posed, points=posed.positions, attached=posed.positions)
    along = np.broadcast_to([0.0, 0.0, 1.0], (len(z), JOINT_COUNT, 1, 3))
    rows = row_jacobian(chain, joints, along)
    rows = ((rows - rows[:, :1]) * objective.spread[:, None]) @ objective.basis
    variance = np.sum(np.swapaxes(rows, 1, 2) * np.linalg.solve(H, np.swapaxes(rows, 1, 2)), axis=1)
    return np.sqrt(np.maximum(variance, 0.0))
