"""Keypoint files of all kinds, told apart by what is in them. ``read_keypoints`` is the door."""

from __future__ import annotations

from pathlib import Path

from ..errors import FitError
from ..keypoint_formats import KeypointFormat, keypoint_format
from ..keypoints import Keypoints2D
from .assembly import people_as_tracks
from .files import read_file, read_folder
from .writing import write_keypoints

__all__ = ["read_keypoints", "write_keypoints"]


def read_keypoints(
    path: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    format: str | KeypointFormat | None = None,
    person: int | None = None,
) -> list[Keypoints2D]:
    """The people of a keypoint file, of a folder of per-frame files, or of a clip-long file.

    One Keypoints2D a person, the most prominent first (frames seen times size in the picture); all have the
    same frames and ``frame_numbers``, and a frame in which a person isn't seen is a row of confidence 0.
    People are followed by the file's own track ids where it has them, else by the position and shape of their
    pose. Photos that are no clip (data sets) are not followed: each person in each photo is one of the list.

    ``image_size`` width and height in pixels, for files that give fractions of the picture (it goes before
    what the file says). ``format`` goes before what the file seems to be: 75 values of OpenPose are BODY_25
    or BODY_25B and only the shape of the people tells. ``person`` picks one of the list.

    Raises FitError, naming the file and the place, for what cannot be read.
    """
    # "." has no name to call the clip by.
    source = Path(path).absolute()
    chosen = None if format is None else keypoint_format(format)
    if image_size is not None and (len(image_size) != 2 or min(image_size) <= 0):
        raise FitError(f"The image size is {image_size}; width and height in pixels are right.")
    if not source.exists():
        raise FitError(f"There is no file or folder {source}.")
    clip = read_folder(source) if source.is_dir() else read_file(source)
    return people_as_tracks(clip, source.name, image_size, chosen, person)
