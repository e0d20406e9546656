"""A Gaussian given some of its numbers: what a prior says of the free joints once others are held.

Held exactly, a number leaves the Gaussian by a Schur complement; held nearly, it is one more measurement of
it. Either way it draws the others along: who bends a knee by hand raises the hip's mean.
"""

from __future__ import annotations

import numpy as np

from .body_model import JOINT_COUNT
from .kinematics import ROTATION_SIZE
from .rotation import exponential_and_left_jacobian

# How much of what a held joint says of the others is believed. How joints' errors go together differs from
# person to person: what training people's say of a person apart is best believed by a quarter (a validation
# subject; of 0.1, 0.2, 0.25, 0.3, 0.4, 0.5 and 1). Believed whole, it does more harm than good.
TRUST = 0.25


def conditioned(
    covariance: np.ndarray, value: np.ndarray, sigma: np.ndarray, root: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N Gaussians about zero with one ``covariance`` [P, P], given numbers near ``value`` [N, P].

    ``root`` is the covariance's Cholesky factor, where that is known.

    ``sigma`` [N, P] says how near: 0 exactly, inf not at all; of rotation vectors it is the angle between
    the rotations. Returns the mean [N, P], ``A`` with ``A A^T`` the covariance that remains, and which
    numbers are free [N, P]. Where the same ones are exact in all N and none is nearly known, A is [P, n] for
    all; else [N, P, P], the columns of what is exact zero.
    """
    exact, near = sigma == 0, np.isfinite(sigma) & (sigma > 0)
    if not exact.any() and not near.any():  # most fits hold nothing
        return np.zeros_like(value), np.linalg.cholesky(covariance) if root is None else root, ~exact
    if not near.any() and np.all(exact == exact[0]):
        mean, conditional = _given_exactly(_believed(covariance, exact[0]), value, exact[0])
        return mean, _root(conditional, ~exact[0])[:, ~exact[0]], ~exact
    mean, basis = np.empty_like(value), np.empty((*value.shape, value.shape[1]))
    patterns, member = np.unique(np.stack([exact, near], axis=1), axis=0, return_inverse=True)
    for i, (held, hinted) in enumerate(patterns):
        rows = np.flatnonzero(member.reshape(-1) == i)
        own = _believed(covariance, held | hinted)
        mean[rows], conditional = _given_exactly(own, value[rows], held)
        if not hinted.any():
            basis[rows] = _root(conditional, ~held)
            continue
        for row in rows:
            mean[row], narrowed = _given_nearly(conditional, mean[row], value[row], sigma[row])
            basis[row] = _root(narrowed, ~held)
    return mean, basis, ~exact


def whitened(basis: np.ndarray, free: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """``z`` with ``A z = deviation`` [N, P] at the free numbers [N, P]; zero at all others."""
    if not deviation.any():
        return np.zeros((len(deviation), basis.shape[-1]))
    if basis.ndim == 2:
        return np.linalg.solve(basis[free[0]], deviation[:, free[0], None])[..., 0]
    # A one on the diagonal for what is exact makes every matrix regular.
    eye = np.eye(basis.shape[-1]) * ~free[:, None]
    return np.linalg.solve(basis + eye, np.where(free, deviation, 0.0)[..., None])[..., 0]


def _believed(covariance: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The covariance with less of what ties the joints that are held [P] to all others; it stays one."""
    number = np.arange(len(held))
    share = np.where(held & (number < ROTATION_SIZE), TRUST, 1.0)
    joint = number // 3
    return np.where(joint == joint[:, None], covariance, share * share[:, None] * covariance)


def _root(covariance: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The Cholesky factor [P, P] of the free rows and columns; zero elsewhere."""
    root = np.zeros_like(covariance)
    root[np.ix_(free, free)] = np.linalg.cholesky(covariance[np.ix_(free, free)])
    return root


def _given_exactly(
    covariance: np.ndarray, value: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The means [N, P] and the covariance [P, P] given the numbers ``held`` [P]; zero rows for these."""
    mean, conditional = np.where(held, value, 0.0), np.where(held | held[:, None], 0.0, covariance)
    if held.any():
        across = covariance[np.ix_(~held, held)]
        gain = np.linalg.solve(covariance[np.ix_(held, held)], across.T).T
        mean[:, ~held] = value[:, held] @ gain.T
        conditional[np.ix_(~held, ~held)] -= gain @ across.T
    return mean, conditional


def _given_nearly(
    covariance: np.ndarray, mean: np.ndarray, value: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One Gaussian's mean [P] and covariance after measurements with errors ``sigma`` (Kalman's update)."""
    near = np.isfinite(sigma) & (sigma > 0)
    across = covariance[:, near]
    noise = _measured_at(value, np.where(near, sigma, 0.0))[np.ix_(near, near)]
    gain = np.linalg.solve(across[near] + noise, across.T).T
    conditional = covariance - gain @ across.T
    return mean + gain @ (value - mean)[near], 0.5 * (conditional + conditional.T)


def _measured_at(value: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """The errors' covariance [P, P]: a rotation vector far from zero changes faster than its rotation."""
    noise = np.diag(sigma**2)
    omega = value[:ROTATION_SIZE].reshape(JOINT_COUNT, 3)
    inverse = np.linalg.inv(exponential_and_left_jacobian(omega)[1])
    for joint in np.flatnonzero(sigma[:ROTATION_SIZE].reshape(JOINT_COUNT, 3).any(axis=1)):
        own = slice(3 * joint, 3 * joint + 3)
        noise[own, own] = inverse[joint] @ noise[own, own] @ inverse[joint].T
    return noise
