"""A movie's frames from somewhere within it: a seek, and frames told by their times.

Numbers that OpenCV gives frames after a seek are reckoned from a steady rate; the times are the file's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..lsr1_solver.picture_files import grabbed

if TYPE_CHECKING:
    import cv2

# Seconds before the wanted time that are sought first; where rates vary, seeks may come out later than asked.
_EARLIER = 0.25


@dataclass(frozen=True, eq=False)
class SoughtFrame:
    """A frame of a movie that is being read, shown at so many ``seconds``."""

    seconds: float
    _capture: cv2.VideoCapture

    def image(self) -> np.ndarray | None:
        """[H, W, 3] uint8 RGB, before the next frame is asked for; None where it is damaged."""
        import cv2

        found, image = self._capture.retrieve()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if found else None


def frames_from(path: Path, seconds: float) -> Iterator[SoughtFrame]:
    """The frames of a movie on from one that is shown at this time or before.

    They are decoded on from the last key frame before. From files that can't be sought in, nothing comes.
    """
    import cv2

    capture = cv2.VideoCapture(str(path))
    # As where movies are read from their beginning.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    try:
        earlier = _EARLIER
        while capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * max(seconds - earlier, 0.0)) and capture.grab():
            at = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            if at <= seconds:
                break
            if earlier >= seconds:
                return
            earlier = 2 * (earlier + at - seconds)
        else:
            return
        yield SoughtFrame(at, capture)
        for later in grabbed(capture, before=at):
            yield SoughtFrame(later, capture)
    finally:
        capture.release()
