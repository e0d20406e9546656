"""The terms of a clip's energy; see `clip_objective`. Frames lie along the last axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .objective import NEAREST


@dataclass(frozen=True, eq=False)
class Temporal:
    """``[n]`` precisions of one frame's step and of its second difference, and the ``path`` [n, T] to which
    the coordinates are relative: what moves is ``y + path``.
    """

    velocity: np.ndarray
    acceleration: np.ndarray
    path: np.ndarray

    def energy_and_gradient(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        """Of the whole clip, and [n, T]."""
        whole = y + self.path
        step = whole[:, 1:] - whole[:, :-1]
        bend = step[:, 1:] - step[:, :-1]
        squares = self.acceleration * np.einsum("nt,nt->n", bend, bend)
        squares += self.velocity * np.einsum("nt,nt->n", step, step)
        bend *= self.acceleration[:, None]
        step *= self.velocity[:, None]
        step[:, 1:] += bend
        step[:, :-1] -= bend
        gradient = np.zeros_like(y)
        gradient[:, 1:] = step
        gradient[:, :-1] -= step
        return 0.5 * total(squares), gradient


@dataclass(frozen=True, eq=False)
class Lens:
    """Where the camera is in each frame, and what it saw.

    ``turn`` [3, 3, T] from the clip's axes to the camera's, ``eye`` [3, T] metres its place; None for both
    where the clip's axes are the camera's. ``target`` [K, 2, T] on the image plane, ``weight`` [K, T] the
    keypoints' share in the energy, ``unit`` [T] 1 % of the person's height on the image plane.
    """

    turn: np.ndarray | None
    eye: np.ndarray | None
    target: np.ndarray
    weight: np.ndarray
    unit: np.ndarray
    delta: float

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Points in the camera's axes. [K, 3, T] -> [K, 3, T]."""
        if self.turn is None or self.eye is None:
            return points
        return np.einsum("rct,kct->krt", self.turn, points - self.eye)

    def residual(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residuals [K, 2, T] in units, image-plane points [K, 2, T] and depths [K, T] of ``seen`` points."""
        depth = np.maximum(-points[:, 2], NEAREST)
        plane = points[:, :2] / depth[:, None]
        return (plane - self.target) / self.unit, plane, depth

    def energy_and_force(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[T], and the gradient at the points [K, 3, T]."""
        seen = self.seen(points)
        residual, plane, depth = self.residual(seen)
        root = np.sqrt(1 + np.einsum("kct,kct->kt", residual, residual) / self.delta**2)
        energy = self.delta**2 * np.einsum("kt,kt->t", self.weight, root - 1)
        pull = (self.weight / (root * depth * self.unit))[:, None] * residual
        force = np.empty_like(points)
        force[:, :2] = pull
        force[:, 2] = np.einsum("kct,kct->kt", pull, plane) * (seen[:, 2] < -NEAREST)
        if self.turn is not None:
            force = np.einsum("rct,krt->kct", self.turn, force)
        return energy, force

    def rows(self, points: np.ndarray) -> np.ndarray:
        """The directions [T, K, 2, 3] whose products with the points' motion are the weighted residuals'."""
        seen = self.seen(points)
        residual, plane, depth = self.residual(seen)
        root = np.sqrt(1 + np.einsum("kct,kct->kt", residual, residual) / self.delta**2)
        scale = np.sqrt(self.weight / root) / (depth * self.unit)
        rows = np.zeros((*plane.shape, 3), dtype=points.dtype)
        rows[:, 0, :, 0] = rows[:, 1, :, 1] = scale
        rows[..., 2] = scale[:, None] * plane * (seen[:, None, 2] < -NEAREST)
        rows = np.moveaxis(rows, 2, 0)
        return rows if self.turn is None else rows @ np.moveaxis(self.turn, -1, 0)[:, None]

    def frames(self, index: np.ndarray) -> Lens:
        """Some frames alone."""
        turn = None if self.turn is None else self.turn[..., index]
        eye = None if self.eye is None else self.eye[..., index]
        return Lens(turn, eye, self.target[..., index], self.weight[..., index], self.unit[index], self.delta)


@dataclass(frozen=True, eq=False)
class Spatial:
    """3D keypoints, of which the shape counts, not the place.

    ``target`` [K, 3, T] metres in the clip's axes, ``weight`` [K, T] in 1/metres^2, 0 where there is none.
    """

    target: np.ndarray
    weight: np.ndarray

    def energy_and_force(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[T], and the gradient at the points [K, 3, T]: forces about their centre, which sum to nothing."""
        apart = points - self.target
        force = self.weight[:, None] * (apart - self._centre(apart))
        return 0.5 * np.einsum("kct,kct->t", force, apart), force

    def rows(self, jacobian: np.ndarray) -> np.ndarray:
        """The weighted residuals' Jacobian [T, 3 K, n] from that of the points [T, 3 K, n]."""
        by_point = np.moveaxis(jacobian.reshape(len(jacobian), *self.target.shape[:2], -1), 0, -1)
        flat = by_point.reshape(len(by_point), -1, by_point.shape[-1])
        centred = np.sqrt(self.weight)[:, None] * (flat - self._centre(flat))
        return np.moveaxis(centred.reshape(by_point.shape), -1, 0).reshape(jacobian.shape)

    def _centre(self, values: np.ndarray) -> np.ndarray:
        """The weighted mean over the keypoints. [K, R, T] -> [R, T]."""
        whole = np.maximum(self.weight.sum(axis=0), 1e-12)
        return np.einsum("kt,krt->rt", self.weight, values) / whole

    def frames(self, index: np.ndarray) -> Spatial:
        """Some frames alone."""
        return Spatial(self.target[..., index], self.weight[:, index])


@dataclass(frozen=True, eq=False)
class Anchors:
    """Where P points of the chain, its last ones, shall be.

    ``place`` [P, 3, T] metres and ``weight`` [P, T] in 1/metres^2, 0 where a point is free.
    """

    place: np.ndarray
    weight: np.ndarray

    def energy_and_force(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[T], and the gradient at the points [P, 3, T]."""
        apart = points - self.place
        force = self.weight[:, None] * apart
        return 0.5 * np.einsum("pct,pct->t", force, apart), force


@dataclass(frozen=True, eq=False)
class Kept:
    """What the user has set: ``x`` [75, T] stays exactly where ``held`` [75, T] is set, and elsewhere costs
    ``weight`` [75, T] times half the square of its distance.

    ``free`` [n] are the unknown rows of x and ``inward`` [n, n] the inverse of the basis there.
    """

    x: np.ndarray
    held: np.ndarray
    weight: np.ndarray
    free: np.ndarray
    inward: np.ndarray


def total(values: np.ndarray) -> float:
    """The sum in double precision."""
    return float(np.sum(values, dtype=np.float64))
