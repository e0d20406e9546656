"""``python -m lsr1_solver detect``: people's keypoints from pictures and movies, with a line of progress."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .detector import Box, Detector, people_of_clip
from .errors import FitError
from .keypoint_files import write_keypoints
from .keypoints import Keypoints2D
from .picture_files import Footage, open_footage

_BAR = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``detect``."""
    add = parser.add_argument
    add("footage", type=Path, help="a picture, a movie or a folder of pictures")
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="the keypoints: one .json for the clip, or a folder with OpenPose's file a frame",
    )
    add("--box", type=box, metavar="L,T,R,B", help="follow the person in this box of the first frame, pixels")
    add("--landmark-model", type=Path, metavar="FILE", help="another landmark model, an .onnx file")


def box(text: str) -> Box:
    """``100,50,400,900`` as (left, top, right, bottom)."""
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no box: write LEFT,TOP,RIGHT,BOTTOM in pixels"
        ) from None
    return left, top, right, bottom


def run_detect(options: argparse.Namespace) -> None:
    """Find everybody, write them, and say who was found."""
    folder = options.output.absolute().parent
    if not folder.is_dir():
        raise FitError(f"{options.output}: the folder {folder} does not exist")
    footage = open_footage(options.footage)
    began = time.perf_counter()
    people = detect_people(footage, Detector(options.landmark_model), options.box)
    seconds = time.perf_counter() - began
    write_keypoints(options.output, people, frame_rate=footage.frame_rate)
    for number, person in enumerate(people):
        frames = f"{int(person.present.sum())} of {len(person)} frames"
        print(f"person {number}   {frames}, mean visibility {person.confidence[person.present].mean():.2f}")
    print(f"time       {seconds:.2f} s")
    print(f"wrote {options.output}")


def detect_people(footage: Footage, detector: Detector, around: Box | None = None) -> list[Keypoints2D]:
    """Everybody in the footage, the most prominent first, or the person ``around`` whom a box is.

    Raises FitError where nobody is found.
    """
    frame_rate = footage.frame_rate or 30.0
    numbers: list[int] = []
    found: list[list[Keypoints2D]] = []

    def images() -> Iterator[np.ndarray]:
        for number, image in footage.frames():
            numbers.append(number)
            yield image

    began = time.perf_counter()
    for people in detector.track(images(), frame_rate=frame_rate, box=around):
        found.append(people)
        _show_progress(len(found), footage.length, len(people), time.perf_counter() - began)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return people_of_clip(found, np.array(numbers))


def _show_progress(done: int, length: int, people: int, seconds: float) -> None:
    """A bar, where somebody is looking."""
    if not sys.stderr.isatty():
        return
    filled = min(_BAR, _BAR * done // max(length, 1))
    bar = "#" * filled + "." * (_BAR - filled)
    line = f"\r[{bar}] frame {done} of {length}   {people} people   {done / max(seconds, 1e-6):.1f} frames/s "
    print(line, end="", file=sys.stderr)
