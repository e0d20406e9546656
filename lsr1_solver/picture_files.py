"""Pictures, folders of pictures and movies, frame by frame and upright. Needs OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import FitError
from .keypoint_files.numbering import number_frames
from .opencv import require_opencv

if TYPE_CHECKING:
    import cv2

PICTURE_ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2"))
MOVIE_ENDINGS = frozenset(
    (
        ".mp4",
        ".mov",
        ".m4v",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".ogv",
        ".mts",
        ".m2ts",
        ".3gp",
    )
)


@dataclass(frozen=True, eq=False)
class Footage:
    """Where the frames of a clip come from.

    ``image_size`` (width, height) pixels of the upright picture; ``length`` the number of frames (for a
    movie as its header says, which may be wrong); ``frame_rate`` in frames a second, None for pictures;
    ``pictures`` the files and their numbers, None for a movie.
    """

    path: Path
    image_size: tuple[int, int]
    length: int
    frame_rate: float | None = None
    pictures: tuple[tuple[int, Path], ...] | None = None

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """The frames from the one at index ``start`` to before ``stop``, each with its number.

        A movie's frames count from 0, those of a folder by the digits in their names. Pictures are
        [H, W, 3] uint8 RGB, rows from the top. FitError where a picture cannot be read or has another size
        than the first.
        """
        if self.pictures is None:
            yield from _movie_images(self.path, start, stop)
            return
        for number, path in self.pictures[start:stop]:
            image = read_picture(path)
            if image.shape[1::-1] != self.image_size:
                found, wanted = ("{}x{}".format(*size) for size in (image.shape[1::-1], self.image_size))
                raise FitError(
                    f"{path.name} is {found} pixels and the first picture {wanted}; right is one size."
                )
            yield number, image


def is_footage(path: Path) -> bool:
    """Whether the path names a picture, a movie or a folder with pictures, by the endings alone."""
    if path.is_dir():
        names = [entry.suffix.lower() for entry in path.iterdir()]
        return ".json" not in names and bool(PICTURE_ENDINGS.intersection(names))
    return path.suffix.lower() in PICTURE_ENDINGS | MOVIE_ENDINGS


def open_footage(path: Path) -> Footage:
    """A picture, a folder of pictures or a movie. FitError without OpenCV and where there is no picture."""
    require_opencv()
    if not path.exists():
        raise FitError(f"There is no file or folder {path.absolute()}.")
    if path.is_dir():
        files = [
            p for p in path.iterdir() if p.suffix.lower() in PICTURE_ENDINGS and not p.name.startswith(".")
        ]
        if not files:
            raise FitError(f"The folder {path} holds no picture ({', '.join(sorted(PICTURE_ENDINGS))}).")
        numbering = number_frames([file.name for file in files], path.name)
        numbered = zip(numbering.numbers.tolist(), numbering.order.tolist(), strict=True)
        pictures = tuple((number, files[index]) for number, index in numbered)
        return Footage(path, _size(read_picture(pictures[0][1])), len(pictures), None, pictures)
    if path.suffix.lower() in MOVIE_ENDINGS:
        return _open_movie(path)
    return Footage(path, _size(read_picture(path)), 1, None, ((0, path),))


def read_picture(path: Path) -> np.ndarray:
    """A picture file, turned upright as its EXIF says: [H, W, 3] uint8 RGB. FitError where it is none."""
    require_opencv()
    import cv2

    try:
        # OpenCV itself opens no path with signs that the system's old code page lacks.
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise FitError(f"{path} cannot be read: {error.strerror}.") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise FitError(f"{path} is no picture that can be read; save it as .png or .jpg.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _movie_images(path: Path, start: int, stop: int | None) -> Iterator[tuple[int, np.ndarray]]:
    for frame in movie_frames(path):
        if stop is not None and frame.number >= stop:
            return
        image = frame.image() if frame.number >= start else None
        if image is not None:
            yield frame.number, image


def _opened(path: Path) -> cv2.VideoCapture:
    import cv2

    capture = cv2.VideoCapture(str(path))
    # Some versions of OpenCV turn movies upright unasked, others don't.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _open_movie(path: Path) -> Footage:
    import cv2

    capture = _opened(path)
    try:
        found, image = capture.read()
        if not found:
            raise FitError(f"{path} is no movie that can be read; convert it to .mp4 (H.264).")
        length = max(1, round(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    return Footage(path, _size(image), length, rate if np.isfinite(rate) and rate > 0 else None)


@dataclass(frozen=True, eq=False)
class MovieFrame:
    """A frame of a movie that is being read: ``number`` from 0, shown at so many ``seconds``."""

    number: int
    seconds: float
    _capture: cv2.VideoCapture

    def image(self) -> np.ndarray | None:
        """[H, W, 3] uint8 RGB, before the next frame is asked for; None where it is damaged."""
        import cv2

        found, image = self._capture.retrieve()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if found else None


def movie_frames(path: Path) -> Iterator[MovieFrame]:
    """The frames of a movie, from its beginning: what OpenCV seeks is not always the frame asked for."""
    capture = _opened(path)
    try:
        for number, seconds in enumerate(grabbed(capture)):
            yield MovieFrame(number, seconds, capture)
    finally:
        capture.release()


def grabbed(capture: cv2.VideoCapture, *, before: float = -np.inf) -> Iterator[float]:
    """Grab frame after frame; when each is shown, seconds. ``before``: when the one that was grabbed last is.

    AVI and MPEG files say no time of frames that the decoder holds to the end, and OpenCV then says 0: they
    come after the others at the movie's rate.
    """
    import cv2

    rate = float(capture.get(cv2.CAP_PROP_FPS))
    while capture.grab():
        seconds = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if seconds == 0 <= before and rate > 0:
            seconds = before + 1 / rate
        yield seconds
        before = seconds


def _size(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
