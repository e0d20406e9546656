"""A neural network that OpenCV runs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from ..errors import FitError
from ..opencv import require_opencv

# Beyond it nothing changes, and the exponential stays within single precision.
_LARGEST_LOGIT = 80.0


class Network:
    """An ONNX file (gzipped where its name says so); a call gives its named ``outputs`` in their order.

    FitError without OpenCV, and where the file cannot be read, is no ONNX file or has other outputs.
    """

    def __init__(self, path: Path, outputs: tuple[str, ...]) -> None:
        """Load the file."""
        require_opencv()
        import cv2

        try:
            # From memory: OpenCV itself opens no path with signs that the system's old code page lacks.
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            self._net = cv2.dnn.readNetFromONNX(np.frombuffer(data, dtype=np.uint8))
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FitError(f"{path} cannot be read: {reason}.") from error
        except cv2.error as error:
            raise FitError(f"{path} is no model that OpenCV {cv2.__version__} can read: {error}") from error
        found = set(self._net.getUnconnectedOutLayersNames())
        if not found.issuperset(outputs):
            raise FitError(
                f"{path} has the outputs {', '.join(sorted(found))}; right are {', '.join(outputs)}: "
                "assets/detector/make_detector.py converts BlazePose's models."
            )
        self._outputs = outputs

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Run the network on one picture [H, W, 3], float32 RGB in the network's own range."""
        self._net.setInput(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        return [np.array(output) for output in self._net.forward(self._outputs)]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probabilities that a network's ``logits`` stand for."""
    return 1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
