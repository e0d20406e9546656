"""The curvature pairs of one large problem, as rows of one array: a product with all of them is one pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Pairs that fit into one array, in units of those that are remembered.
_ROOM = 3


@dataclass(eq=False)
class _Rows:
    """Rows that successive states share: each is written once, and ``used`` of them are."""

    values: np.ndarray
    used: int = 0


def _no_rows() -> _Rows:
    return _Rows(np.zeros((0, 0)))


@dataclass(frozen=True, eq=False)
class Pairs:
    """m pairs of a step s and the gradient's change y over it, and their products.

    ``gram`` [2 m, 2 m] are the products of the `vectors`.
    """

    gram: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    _rows: _Rows = field(default_factory=_no_rows)
    _end: int = 0

    def __len__(self) -> int:
        return len(self.gram) // 2

    @property
    def vectors(self) -> np.ndarray:
        """s_1, y_1, s_2, y_2 and so on, the oldest first. -> [2 m, N]."""
        return self._rows.values[self._end - len(self.gram) : self._end]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """s and y, [N] each."""
        s, y = self.vectors.reshape(len(self), 2, -1)[index]
        return s, y

    def is_stiff(self, most: float) -> bool:
        """Whether the last step met more than ``most`` times the curvature of one: ``y.y > most s.y``."""
        return bool(len(self) and self.gram[-1, -1] > most * self.gram[-2, -1])

    def with_pair(self, s: np.ndarray, before: np.ndarray, after: np.ndarray, memory: int) -> Pairs:
        """These and one more, the oldest gone where there are more than ``memory``.

        ``s`` [N], and the gradients [N] ``before`` and ``after`` it.
        """
        kept = 2 * min(len(self), memory - 1)
        rows, end = self._rows, self._end
        # Where a state is gone on from twice, the rows after its own are another's.
        if rows.used != end or end + 2 > len(rows.values):
            rows = _Rows(np.empty((2 * _ROOM * memory, len(s)), dtype=s.dtype))
            if kept:
                rows.values[:kept] = self.vectors[-kept:]
            end = kept
        rows.values[end] = s
        np.subtract(after, before, out=rows.values[end + 1])
        rows.used = end = end + 2
        vectors = rows.values[end - kept - 2 : end]
        gram = np.empty((kept + 2, kept + 2))
        gram[:kept, :kept] = self.gram[len(self.gram) - kept :, len(self.gram) - kept :]
        for row in (kept, kept + 1):
            gram[row] = gram[:, row] = vectors @ vectors[row]
        return Pairs(gram, rows, end)
