"""Frames of many people, gathered into a track for each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import FitError
from .records import Track

_Frame = tuple[int, np.ndarray, np.ndarray, np.ndarray]


@dataclass
class People:
    """People by their numbers in the file, a list of frames for each."""

    frames: dict[int, list[_Frame]] = field(default_factory=dict)

    def add(
        self, identity: int, number: int, rotations: np.ndarray, trans: np.ndarray, betas: np.ndarray
    ) -> None:
        """A person in a frame: ``rotations`` [24, 3], ``trans`` [3], ``betas`` [S].

        Of two under the same number in one frame the first counts.
        """
        own = self.frames.setdefault(identity, [])
        if not own or own[-1][0] != number:
            own.append((number, rotations, trans, betas))

    def tracks(self, place: str) -> tuple[Track, ...]:
        """Everybody, in the order of their numbers. FitError where there is nobody, or a shape differs."""
        if not self.frames:
            raise FitError(f"{place} holds nobody: no person was seen in any frame.")
        tracks = []
        for identity, frames in sorted(self.frames.items()):
            numbers, rotations, trans, betas = zip(*frames, strict=True)
            if len({len(row) for row in betas}) > 1:
                raise FitError(f"{place}: person {identity} has betas of different lengths.")
            name = f"person {identity}"
            arrays = np.stack(rotations), np.stack(trans), np.stack(betas)
            tracks.append(Track(name, *arrays, np.array(numbers)))
        return tuple(tracks)
