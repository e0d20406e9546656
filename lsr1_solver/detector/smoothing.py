"""A filter for points in video: little lag where they move, little jitter where they rest."""

from __future__ import annotations

from math import pi

import numpy as np


class OneEuro:
    """The one-euro filter (Casiez, Roussel, Vogel, CHI 2012), each number of an array on its own.

    ``min_cutoff`` in Hz is that of a point at rest, and ``beta`` what each unit of speed a second adds to it.
    """

    _SPEED_CUTOFF = 1.0

    def __init__(self, min_cutoff: float, beta: float, frame_rate: float) -> None:
        """Begin without a past."""
        self._min_cutoff, self._beta, self._frame_rate = min_cutoff, beta, frame_rate
        self._raw: np.ndarray | None = None
        self._smooth: np.ndarray | None = None
        self._speed: np.ndarray | None = None

    def __call__(self, values: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """The next frame's values, smoothed. Speeds count times ``scale``: 1 / size makes them relative."""
        if self._raw is None or self._smooth is None or self._speed is None:
            self._smooth, self._speed = values, np.zeros_like(values)
        else:
            speed = (values - self._raw) * scale * self._frame_rate
            self._speed = _mixed(self._speed, speed, self._share(np.array(self._SPEED_CUTOFF)))
            cutoff = self._min_cutoff + self._beta * np.abs(self._speed)
            self._smooth = _mixed(self._smooth, values, self._share(cutoff))
        self._raw = values
        return self._smooth

    def _share(self, cutoff: np.ndarray) -> np.ndarray:
        """What part of the next value is new, for a cutoff in Hz."""
        return 1 / (1 + self._frame_rate / (2 * pi * cutoff))


def _mixed(old: np.ndarray, new: np.ndarray, share: np.ndarray) -> np.ndarray:
    return share * new + (1 - share) * old
