"""Rotations: axis-angle, matrix, 6D, with derivatives that are safe at zero.

Every function takes numpy arrays or torch tensors and returns the same kind; leading dimensions are free.
Angles are radians. Matrices act on column vectors, ``v' = R v``.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array, at_least, constant, device, namespace

# A squared angle below this is taken to be this, rad^2: it changes no digit, and nothing is divided by zero.
_SMALL = 1e-30
# Twice the cosine below which the sine of an angle no longer tells it, 155 degrees.
_NEARLY_HALF_A_TURN = -1.8
_EYE = np.eye(3)
# [3, 9]: from v to the flattened [v]x.
_CROSS = np.array(
    [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]], dtype=float
)


def cross_matrix(v: Array) -> Array:
    """The matrix [v]x of the cross product, ``[v]x u = v x u``.

    ``v`` [..., 3] -> [..., 3, 3].
    """
    return namespace(v).reshape(v @ constant(_CROSS, v), (*v.shape[:-1], 3, 3))


def cross(a: Array, b: Array) -> Array:
    """The cross product of 3-vectors, [..., 3] each, without the overhead of the libraries' general one."""
    xp = namespace(a)
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)


def _sine_terms(square: Array) -> tuple[Array, Array, Array]:
    """``sin t / t``, ``(1 - cos t) / t^2`` and ``(t - sin t) / t^3`` from ``t^2``.

    The last one loses digits near zero, as many as the square of t that it is multiplied by makes up for.
    """
    xp = namespace(square)
    safe = at_least(square, _SMALL)
    angle = xp.sqrt(safe)
    sine, half = xp.sin(angle) / angle, xp.sin(0.5 * angle) / angle
    return sine, 2 * half * half, (1 - sine) / safe


def axis_angle_to_matrix(omega: Array) -> Array:
    """Rodrigues' formula ``exp([omega]x)``.

    ``omega`` [..., 3] axis-angle, radians -> [..., 3, 3].
    """
    return exponential_and_left_jacobian(omega)[0]


def exponential_and_left_jacobian(omega: Array) -> tuple[Array, Array]:
    """``exp([omega]x)`` and its left Jacobian, which share their terms.

    The left Jacobian gives the rotation that a change of ``omega`` adds on the left:
    ``exp(omega + d) = exp(J d) exp(omega)`` to first order (Sola, Deray, Atchuthan, *A micro Lie theory
    for state estimation in robotics*, 2018, eq. 145).

    ``omega`` [..., 3] axis-angle, radians -> two arrays [..., 3, 3].
    """
    sine, versine, third = (term[..., None, None] for term in _sine_terms(_dot(omega, omega)))
    K, eye = cross_matrix(omega), constant(_EYE, omega)
    K2 = K @ K
    return eye + sine * K + versine * K2, eye + versine * K + third * K2


def matrix_to_quaternion(R: Array) -> Array:
    """Unit quaternion (w, x, y, z) with w >= 0; Shepperd's method, accurate for every angle.

    ``R`` [..., 3, 3] -> [..., 4].
    """
    xp = namespace(R)
    d0, d1, d2 = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    # The four rows are the same quaternion scaled by 4w, 4x, 4y, 4z: the largest scale is the safe one.
    w = xp.stack(
        [
            1 + d0 + d1 + d2,
            R[..., 2, 1] - R[..., 1, 2],
            R[..., 0, 2] - R[..., 2, 0],
            R[..., 1, 0] - R[..., 0, 1],
        ],
        axis=-1,
    )
    x = xp.stack(
        [w[..., 1], 1 + d0 - d1 - d2, R[..., 0, 1] + R[..., 1, 0], R[..., 0, 2] + R[..., 2, 0]], axis=-1
    )
    y = xp.stack([w[..., 2], x[..., 2], 1 - d0 + d1 - d2, R[..., 1, 2] + R[..., 2, 1]], axis=-1)
    z = xp.stack([w[..., 3], x[..., 3], y[..., 3], 1 - d0 - d1 + d2], axis=-1)
    rows = xp.stack([w, x, y, z], axis=-2)
    scales = xp.stack([w[..., 0], x[..., 1], y[..., 2], z[..., 3]], axis=-1)
    best = xp.argmax(scales, axis=-1)
    chosen = xp.sum(
        rows * xp.astype(xp.arange(4, device=device(R)) == best[..., None], R.dtype)[..., None], axis=-2
    )
    chosen = chosen / xp.sqrt(xp.sum(chosen * chosen, axis=-1))[..., None]
    return xp.where(chosen[..., :1] < 0, -chosen, chosen)


def quaternion_to_axis_angle(q: Array) -> Array:
    """Axis-angle with an angle in [0, pi] of a unit quaternion (w, x, y, z).

    ``q`` [..., 4] -> [..., 3], radians.
    """
    xp = namespace(q)
    q = xp.where(q[..., :1] < 0, -q, q)
    w, v = q[..., 0], q[..., 1:]
    square = xp.sum(v * v, axis=-1)
    small = square < 1e-12
    norm = xp.sqrt(xp.where(small, xp.ones_like(square), square))
    scale = xp.where(small, 2 + square / 3, 2 * xp.atan2(norm, w) / norm)
    return v * scale[..., None]


def matrix_to_axis_angle(R: Array) -> Array:
    """The logarithm of a rotation, with an angle in [0, pi].

    ``R`` [..., 3, 3] -> [..., 3], radians.
    """
    return quaternion_to_axis_angle(matrix_to_quaternion(R))


def rotation_vectors(R: np.ndarray) -> np.ndarray:
    """`matrix_to_axis_angle` on numpy alone: of a pose in a quarter of its time, of many in a tenth.

    ``R`` [..., 3, 3] -> [..., 3], radians. By the angle's sine and cosine; near half a turn they lose digits,
    and the quaternion has the word.
    """
    v = np.empty((3, *R.shape[:-2]), dtype=R.dtype)
    for c, (row, column) in enumerate(((2, 1), (0, 2), (1, 0))):
        np.subtract(R[..., row, column], R[..., column, row], out=v[c])
    cosine = np.einsum("...cc->...", R) - 1
    sine = np.sqrt(np.einsum("c...,c...->...", v, v) + R.dtype.type(_SMALL))
    v *= np.arctan2(sine, cosine) / sine
    omega = np.moveaxis(v, 0, -1)
    far = cosine < _NEARLY_HALF_A_TURN
    if far.any():
        omega[far] = matrix_to_axis_angle(R[far])
    return omega


def six_d_to_matrix(d6: Array) -> Array:
    """Gram-Schmidt on two 3-vectors, the first two *columns* of the rotation.

    Zhou et al., *On the Continuity of Rotation Representations in Neural Networks*, CVPR 2019, eq. 15.
    ``d6`` [..., 6] -> [..., 3, 3].
    """
    xp = namespace(d6)
    a, b = d6[..., :3], d6[..., 3:]
    x = a / xp.sqrt(_dot(a, a))[..., None]
    b = b - _dot(x, b)[..., None] * x
    y = b / xp.sqrt(_dot(b, b))[..., None]
    return xp.stack([x, y, cross(x, y)], axis=-1)


def _dot(a: Array, b: Array) -> Array:
    """Of 3-vectors: written out, a third of the time of a sum over so short an axis."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def geodesic_angle(A: Array, B: Array) -> Array:
    """The angle of ``A^T B``, in [0, pi] radians. ``A``, ``B`` [..., 3, 3] -> [...]."""
    xp = namespace(A)
    omega = matrix_to_axis_angle(xp.matrix_transpose(A) @ B)
    return xp.sqrt(xp.sum(omega * omega, axis=-1))


def continuous_axis_angle(omega: np.ndarray) -> np.ndarray:
    """Rotation vectors over time, each on the branch of the logarithm that is nearest to the one before.

    A path that turns past 180 degrees then makes no jump. ``omega`` [T, ..., 3], radians -> the same shape.
    """
    paths = np.array(omega).reshape(len(omega), -1, 3)
    # Only past half a turn between two vectors can another branch be nearer.
    far = np.linalg.norm(np.diff(paths, axis=0), axis=-1) > np.pi
    for j in np.flatnonzero(far.any(axis=0)):
        done = 0
        for jump in (np.flatnonzero(far[:, j]) + 1).tolist():
            if jump > done:
                done = _unwind(paths[:, j], jump)
    return paths.reshape(omega.shape)


def _unwind(path: np.ndarray, first: int) -> int:
    """Change the branch of a path's vectors [T, 3], in place, from ``first`` to where none is to be changed.

    Returns the last frame looked at: its vector stays, or is the path's last.
    """
    for frame in range(first, len(path)):
        angle = float(np.sqrt(path[frame] @ path[frame]))
        turns = 0
        if angle > 0:
            turns = round((float(path[frame - 1] @ path[frame]) / angle - angle) / (2 * np.pi))
        if turns == 0:
            return frame
        path[frame] *= 1 + 2 * np.pi * turns / angle
    return len(path) - 1


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes the direction of ``a`` to that of ``b``.

    [..., 3] each -> [..., 3, 3].
    """
    a = a / np.sqrt(np.sum(a * a, axis=-1, keepdims=True))
    b = b / np.sqrt(np.sum(b * b, axis=-1, keepdims=True))
    axis = cross(a, b)
    sine = np.sqrt(np.sum(axis * axis, axis=-1, keepdims=True))
    cosine = np.sum(a * b, axis=-1, keepdims=True)
    unit = axis / np.maximum(sine, 1e-9)
    if not (sine > 1e-9).all():
        # Opposite directions have no smallest rotation: any axis across a serves.
        across = cross(a, np.eye(3)[np.argmin(np.abs(a), axis=-1)])
        across /= np.linalg.norm(across, axis=-1, keepdims=True)
        unit = np.where(sine > 1e-9, unit, across)
    return axis_angle_to_matrix(unit * np.arctan2(sine, cosine))
