"""The command line: ``python -m lsr1_solver fit CLIP -o pose.npz``, ``detect`` and ``batch``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

from . import batch
from .camera import Camera, camera_from_focal, camera_from_lens, default_camera
from .detect_command import add_arguments, detect_people, run_detect
from .detector import Detector
from .errors import FitError
from .fit_state import FitState, FitStatus
from .fitting import MINIMIZERS, fit
from .keypoint_files import read_keypoints
from .keypoints import FORMATS, Keypoints2D
from .minimizer import Minimizer, MinimizerState
from .model_file import load_body_model
from .motion import write_amass
from .picture_files import is_footage, open_footage
from .problem import FitProblem
from .report import report, summary, write_report

USUAL_FRAME_RATE = 30.0


def image_size(text: str) -> tuple[int, int]:
    """``1280x720`` as (1280, 720)."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no picture size: write WIDTHxHEIGHT, such as 1280x720")
    return int(width), int(height)


def hertz(text: str) -> float:
    """``29.97`` as a number of hertz."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not (0 < rate < np.inf):
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate: write frames a second, such as 29.97")
    return rate


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it: ``--help`` shows that."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = _Parser(prog="python -m lsr1_solver", description="Fit an SMPL-format body.")
    commands = top.add_subparsers(dest="command", required=True)
    fit_command = commands.add_parser("fit", help="keypoints or pictures to a pose or a motion")
    fit_command.set_defaults(run=run_fit)
    add = fit_command.add_argument
    add(
        "keypoints",
        type=Path,
        help="a keypoint file, a folder with a file a frame, or a picture, a movie, a folder of pictures",
    )
    _add_fit_options(fit_command)
    add("-o", "--output", type=Path, required=True, help="the pose or motion, an AMASS-style .npz")
    add("--report", type=Path, help="figures of every frame, a .json")
    add("--picture", type=Path, help="the body over the keypoints in the first fitted frame, a .png")
    detect_command = commands.add_parser("detect", help="pictures to keypoints")
    add_arguments(detect_command)
    detect_command.set_defaults(run=run_detect)
    batch_command = commands.add_parser("batch", help="every clip of a folder to a motion")
    batch.add_arguments(batch_command)
    _add_fit_options(batch_command)
    batch_command.set_defaults(run=batch.run_batch)
    return top


def _add_fit_options(command: argparse.ArgumentParser) -> None:
    """What ``fit`` and ``batch`` ask alike: the keypoints, the camera, the body and the optimizer."""
    add = command.add_argument
    add(
        "--image-size", type=image_size, metavar="WxH", help="size of the picture in pixels, such as 1280x720"
    )
    add("--format", choices=sorted(FORMATS), help="the keypoint format, where the file does not tell")
    add("--person", type=int, default=0, help="which person, counted from 0, the most prominent (default: 0)")
    lens = command.add_mutually_exclusive_group()
    lens.add_argument("--lens", type=float, metavar="MM", help="focal length in mm on a 36 mm wide sensor")
    lens.add_argument("--focal", type=float, metavar="PIXELS", help="focal length in pixels")
    add("--body", type=Path, help="an SMPL file, .pkl or .npz (default: the open body)")
    add("--minimizer", choices=list(MINIMIZERS), default="lsr1", help="the optimizer (default: lsr1)")
    add("--frame-rate", type=hertz, metavar="FPS", help="of the clip (default: the movie's, or 30)")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0, or 2 after one line on stderr that says what is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except FitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run_fit(options: argparse.Namespace) -> None:
    """Read, fit, and only then write: a failure leaves no file behind."""
    for path in (options.output, options.report, options.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise FitError(f"{path}: the folder {path.absolute().parent} does not exist")
    if options.picture is not None:
        from .picture import check_ending

        check_ending(options.picture)
    began = time.perf_counter()
    keypoints, frame_rate = choose_person(options)
    camera = choose_camera(options, keypoints)
    body = load_body_model(options.body)
    clip_rate = frame_rate if len(keypoints) > 1 else None
    problem = FitProblem(body, camera, keypoints, frame_rate=clip_rate)
    state = fit_with_progress(problem, MINIMIZERS[options.minimizer])
    figures = report(state, options.minimizer, time.perf_counter() - began)
    outputs: list[tuple[Path, Callable[[Path], None]]] = [
        (
            options.output,
            lambda path: write_amass(path, state.pose, frame_rate=frame_rate, body=body),
        )
    ]
    if options.report:
        outputs.append((options.report, lambda path: write_report(path, figures)))
    if options.picture is not None:
        from .picture import draw_fit

        frame = int(np.flatnonzero(state.fitted)[0])
        outputs.append((options.picture, lambda path: draw_fit(path, state, frame)))
    write_all(outputs)
    print(summary(figures))
    print(f"wrote {', '.join(str(path) for path, _ in outputs)}")


def choose_person(options: argparse.Namespace) -> tuple[Keypoints2D, float]:
    """The track of one person, read from a file or found in pictures, and its frames a second."""
    if not is_footage(options.keypoints):
        people = read_keypoints(
            options.keypoints, image_size=options.image_size, format=options.format, person=options.person
        )
        return people[0], options.frame_rate or USUAL_FRAME_RATE
    footage = open_footage(options.keypoints)
    people = detect_people(footage, Detector())
    if not 0 <= options.person < len(people):
        raise FitError(f"{options.keypoints} shows {len(people)} people; --person is 0 to {len(people) - 1}")
    return people[options.person], options.frame_rate or footage.frame_rate or USUAL_FRAME_RATE


def choose_camera(options: argparse.Namespace, keypoints: Keypoints2D) -> Camera:
    """The camera of the options, or the default one with a warning."""
    size = options.image_size or keypoints.image_size
    if size is None:
        raise FitError(f"{options.keypoints} does not say how large the picture is: give --image-size WxH")
    if options.lens is not None:
        return camera_from_lens(options.lens, size)
    if options.focal is not None:
        return camera_from_focal(options.focal, size)
    return default_camera(size)


def fit_with_progress(problem: FitProblem, minimizer: Minimizer[MinimizerState]) -> FitState:
    """Fit to the end, with a line of progress on stderr where that is a terminal."""
    state: FitState | None = None
    for state in fit(problem, minimizer):
        if sys.stderr.isatty():
            error = f"{state.reprojection_percent:.2f} % of the person's height"
            print(f"\riteration {state.iteration:3d}   reprojection {error} ", end="", file=sys.stderr)
    assert state is not None
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if state.status is FitStatus.DIVERGED:
        raise FitError("The fit diverged: is the focal length in the right unit?")
    return state


def write_all(outputs: list[tuple[Path, Callable[[Path], None]]]) -> None:
    """Write every file beside its place, then move all into place: never half a result."""
    moves: list[tuple[Path, Path]] = []
    path = None
    try:
        for path, write in outputs:
            # The ending stays last: writers choose the format by it.
            handle, name = tempfile.mkstemp(
                suffix=path.suffix, prefix=f".{path.stem}-", dir=path.absolute().parent
            )
            os.close(handle)
            moves.append((Path(name), path))
            write(Path(name))
        for temporary, path in moves:
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except OSError as error:
        raise FitError(f"{path}: {error.strerror}") from error
    finally:
        for temporary, _ in moves:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    sys.exit(main())
