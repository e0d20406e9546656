"""The Gauss-Newton model of a clip: a banded matrix of frames with the shape at its border.

Two neighbouring frames make one block, so that accelerations, which reach over three frames, tie a block to
the next alone; the Cholesky factor is a recursion over blocks in numpy, which Blender has, and no band
solver of another library, which it hasn't.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class ClipModel:
    """``energy`` [1], ``gradient`` [1, n T + S] and the residuals' Jacobian ``J`` [T, m, n + S].

    ``prior_weight`` [T], ``velocity`` and ``acceleration`` [n] precisions, ``shape_weight``.
    """

    energy: np.ndarray
    gradient: np.ndarray
    J: np.ndarray
    prior_weight: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    shape_weight: float

    @cached_property
    def frame_hessians(self) -> np.ndarray:
        """``J^T J`` of each frame, [T, n + S, n + S]."""
        return np.swapaxes(self.J, 1, 2) @ self.J

    def solve(self, damping: np.ndarray) -> np.ndarray:
        """The step ``-(H + damping I)^-1 gradient``, [1, n T + S]; ``damping`` [1].

        The shape by its Schur complement: with the frames' matrix A and border C,
        ``(H_ss - C^T A^-1 C) b = -(g_s - C^T A^-1 g)``.
        """
        count = len(self.velocity)
        frames = len(self.J)
        H = self.frame_hessians
        g = self.gradient[0, : count * frames].reshape(count, frames).T
        g_shape = self.gradient[0, count * frames :]
        right = np.concatenate([g[..., None], H[:, :count, count:]], axis=2)
        solved = self._solve_frames(right, float(damping[0]))
        border = np.swapaxes(H[:, :count, count:], 1, 2)
        own = H[:, count:, count:].sum(axis=0)
        own = own + (self.shape_weight + float(damping[0])) * np.eye(len(own), dtype=own.dtype)
        reduced = np.einsum("tsn,tnr->sr", border, solved)
        b = -np.linalg.solve(own - reduced[:, 1:], g_shape - reduced[:, 0])
        y = -solved[..., 0] - solved[..., 1:] @ b
        return np.concatenate([y.T.ravel(), b])[None]

    def _solve_frames(self, right: np.ndarray, damping: float) -> np.ndarray:
        """``A^-1 right`` of [T, n, R], A the frames' own matrices tied in time."""
        frames, count, columns = right.shape
        pairs = (frames + 1) // 2
        diagonal, coupling = self._blocks(damping)
        right = np.concatenate([right, np.zeros((2 * pairs - frames, count, columns), dtype=right.dtype)])
        right = right.reshape(pairs, 2 * count, columns)
        inverses = np.empty_like(diagonal)
        for block in range(pairs):
            own = diagonal[block]
            if block:
                scaled = inverses[block - 1] @ coupling[block - 1].T
                own = own - coupling[block - 1] @ scaled
                right[block] -= scaled.T @ right[block - 1]
            inverses[block] = np.linalg.inv(own)
        out = np.empty_like(right)
        for block in range(pairs - 1, -1, -1):
            rest = right[block]
            if block + 1 < pairs:
                rest = rest - coupling[block].T @ out[block + 1]
            out[block] = inverses[block] @ rest
        return out.reshape(2 * pairs, count, columns)[:frames]

    def _blocks(self, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """Diagonal blocks [T/2, 2n, 2n] and those below them [T/2 - 1, 2n, 2n]; an odd clip is padded."""
        frames, count = len(self.J), len(self.velocity)
        band = self._time_band(frames)
        pairs = (frames + 1) // 2
        diagonal = np.zeros((2 * pairs, count, count), dtype=self.J.dtype)
        diagonal[:frames] = self.frame_hessians[:, :count, :count]
        i = np.arange(count)
        diagonal[:frames, i, i] += band[0].T + self.prior_weight[:, None] + damping
        diagonal[frames:, i, i] = 1
        blocks = np.zeros((pairs, 2, count, 2, count), dtype=self.J.dtype)
        blocks[:, 0, :, 0], blocks[:, 1, :, 1] = diagonal[0::2], diagonal[1::2]
        one = np.zeros((count, 2 * pairs), dtype=self.J.dtype)
        two = np.zeros_like(one)
        one[:, : frames - 1], two[:, : max(frames - 2, 0)] = band[1], band[2]
        blocks[:, 0, i, 1, i] = blocks[:, 1, i, 0, i] = one[:, 0::2].T
        below = np.zeros((pairs - 1, 2, count, 2, count), dtype=self.J.dtype)
        below[:, 0, i, 0, i], below[:, 1, i, 1, i] = two[:, 0:-2:2].T, two[:, 1:-2:2].T
        below[:, 0, i, 1, i] = one[:, 1:-1:2].T
        return blocks.reshape(pairs, 2 * count, 2 * count), below.reshape(pairs - 1, 2 * count, 2 * count)

    def _time_band(self, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The temporal terms' diagonal [n, T] and its neighbours [n, T - 1] and [n, T - 2]."""
        step = self.velocity[:, None] * np.ones(frames - 1)
        bend = self.acceleration[:, None] * np.ones(max(frames - 2, 0))
        main = np.zeros((len(self.velocity), frames))
        main[:, :-1] += step
        main[:, 1:] += step
        first = -step
        if frames > 2:
            main[:, :-2] += bend
            main[:, 1:-1] += 4 * bend
            main[:, 2:] += bend
            first[:, :-1] -= 2 * bend
            first[:, 1:] -= 2 * bend
        return main, first, bend

    def inverse_factor(self) -> None:
        """Too large to form."""

    def where(self, mask: np.ndarray, other: ClipModel) -> ClipModel:
        """This model if the one problem's ``mask`` [1] is set, else the other."""
        return self if mask[0] else other
