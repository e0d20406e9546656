"""People found in pictures and video, offline, by BlazePose on OpenCV. ``Detector`` is the door."""

from .detect import Box, Detector, people_of_clip

__all__ = ["Box", "Detector", "people_of_clip"]
