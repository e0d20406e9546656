"""OpenCV, which the solver needs for pictures alone and imports only when it is used."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import FitError


def has_opencv() -> bool:
    """Whether OpenCV is there, without importing it."""
    return find_spec("cv2") is not None


def require_opencv() -> None:
    """FitError where OpenCV is not installed."""
    try:
        import cv2  # noqa: F401  (the import is the question)
    except ImportError as error:
        raise FitError("Pictures and movies need OpenCV: pip install opencv-python-headless") from error
