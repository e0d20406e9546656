"""Points of the open body as sparse sums of its vertices (weights sum to 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def non_negative_least_squares(A: np.ndarray, b: np.ndarray, limit: int = 400) -> np.ndarray:
    """Minimise ``|A x - b|`` over ``x >= 0``.

    Lawson, Hanson, *Solving Least Squares Problems*, 1974, chapter 23.
    ``A`` [M, C], ``b`` [M] -> [C]; the answer is sparse where few columns suffice.
    """
    gram, rhs = A.T @ A, A.T @ b
    x, active = np.zeros(A.shape[1]), np.zeros(A.shape[1], dtype=bool)
    tolerance = 1e-10 * max(1.0, float(np.abs(rhs).max()))
    for _ in range(limit):
        slope = np.where(active, -np.inf, rhs - gram @ x)
        best = int(np.argmax(slope))
        if slope[best] <= tolerance:
            break
        active[best] = True
        while True:
            trial = np.zeros_like(x)
            chosen = np.flatnonzero(active)
            trial[chosen] = np.linalg.lstsq(gram[np.ix_(chosen, chosen)], rhs[chosen], rcond=1e-13)[0]
            negative = chosen[trial[chosen] <= 0]
            if not len(negative):
                break
            # Walk towards the trial as far as no weight turns negative, and let go of the first that would.
            step = np.min(x[negative] / np.maximum(x[negative] - trial[negative], 1e-30))
            x += step * (trial - x)
            active &= x > 1e-14
            x[~active] = 0.0
            if not active.any():
                return x
        x = trial
    return x


@dataclass(frozen=True)
class SparsePoint:
    """A point as a weighted sum of vertices: ``vertices`` [M] indices, ``weights`` [M] summing to 1."""

    vertices: np.ndarray
    weights: np.ndarray

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """The point on a mesh. ``v`` [..., V, 3] -> [..., 3]."""
        return np.einsum("...mc,m->...c", v[..., self.vertices, :], self.weights)

    def mirrored(self, mirror: np.ndarray) -> SparsePoint:
        """The same point of the body's other side; ``mirror`` [V] maps each vertex to its twin."""
        return SparsePoint(mirror[self.vertices], self.weights)


def _system(targets: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The equations of a point of ``v`` [N, C, 3] that follows ``targets`` [N, 3], weights summing to 1."""
    centre = targets.mean(axis=0)
    columns = (v - centre).transpose(0, 2, 1).reshape(-1, v.shape[1])
    # One heavy row asks for the sum.
    heavy = 10.0 * np.sqrt(len(columns))
    A = np.concatenate([columns, np.full((1, v.shape[1]), heavy)])
    return A, np.concatenate([(targets - centre).reshape(-1), [heavy]])


def regress_point(targets: np.ndarray, v: np.ndarray, candidates: np.ndarray) -> SparsePoint:
    """The point on ``candidates`` that follows ``targets`` best with non-negative weights, hence few.

    ``targets`` [N, 3], ``v`` [N, V, 3], ``candidates`` [C] vertex indices.
    """
    x = non_negative_least_squares(*_system(targets, v[:, candidates]))
    kept = np.flatnonzero(x > 1e-5)
    return SparsePoint(candidates[kept], x[kept] / x[kept].sum())


def regress_joint(targets: np.ndarray, v: np.ndarray, candidates: np.ndarray, *, ridge: float) -> SparsePoint:
    """As :func:`regress_point` with small weights of either sign, which reach what no average does.

    MakeHuman's joints slide within the limb from phenotype to phenotype; ``ridge`` is the price, metres,
    of weights that differ from those of the non-negative fit.
    """
    start = regress_point(targets, v, candidates)
    A, b = _system(targets, v[:, candidates])
    x = np.zeros(len(candidates))
    x[np.searchsorted(candidates, start.vertices)] = start.weights
    scale = ridge * np.sqrt(len(A) / 3)
    x += np.linalg.solve(A.T @ A + scale**2 * np.eye(len(x)), A.T @ (b - A @ x))
    return SparsePoint(candidates, x / x.sum())


def spread(v: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of the points, each the farthest from those before it. ``v`` [C, 3] -> indices."""
    chosen = [0]
    distance = np.linalg.norm(v - v[0], axis=1)
    while len(chosen) < min(count, len(v)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(v - v[chosen[-1]], axis=1))
    return np.array(chosen)


def symmetric(point: SparsePoint, mirror: np.ndarray) -> SparsePoint:
    """A point of the body's middle made its own mirror image."""
    other = point.mirrored(mirror)
    vertices, inverse = np.unique(np.concatenate([point.vertices, other.vertices]), return_inverse=True)
    weights = np.bincount(inverse, np.concatenate([point.weights, other.weights]) / 2)
    return SparsePoint(vertices, weights)


def dense(points: list[SparsePoint], vertex_count: int) -> np.ndarray:
    """Sparse points as the rows of a matrix. -> [len(points), V]."""
    matrix = np.zeros((len(points), vertex_count))
    for row, point in enumerate(points):
        matrix[row, point.vertices] = point.weights
    return matrix


def padded(points: list[SparsePoint]) -> tuple[np.ndarray, np.ndarray]:
    """Points as equally long rows, padded with weight 0 at vertex 0. -> [L, M] int32, [L, M] float32."""
    width = max(len(point.vertices) for point in points)
    vertices = np.zeros((len(points), width), dtype=np.int32)
    weights = np.zeros((len(points), width), dtype=np.float32)
    for row, point in enumerate(points):
        vertices[row, : len(point.vertices)] = point.vertices
        weights[row, : len(point.vertices)] = point.weights
    return vertices, weights
