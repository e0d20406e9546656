"""The picture behind the camera, frame by frame, as the detector takes it.

What is detected is what is shown: the same pixels, the same way up, at the same scene frame.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import bpy
import numpy as np

from ..lsr1_solver import FitError
from ..lsr1_solver.picture_files import PICTURE_ENDINGS, MovieFrame, movie_frames, open_footage, read_picture
from .exif import read_exif
from .footage import content, moves, picture_behind, scene_frame_of, shown_numbers
from .movie_seek import SoughtFrame, frames_from
from .movie_turn import is_shown_upright
from .timing import exact_rate

# A scene frame and its picture, or None where one had to be passed over on the way.
Frame = tuple[int, np.ndarray] | None
# Bytes of pictures that wait for their turn where a clip is looked at from its end.
_HELD = 2**29
# A movie's frame comes late where it is so much of a frame later than its time.
_LATE = 0.01
_LONGEST = 2.0  # seconds that a frame may last
_ASSUMED = 30.0  # frames a second of a movie that doesn't say
# Steps of 8 bits below which sRGB is a straight line (IEC 61966-2-1).
_DARK = 0.0031308


@dataclass(frozen=True, eq=False)
class ShownPicture:
    """What is behind the camera. It holds nothing of Blender's: files and numbers outlast an undo.

    ``size`` in pixels; ``first`` and ``last`` the scene frames at which the clip shows its own frames, for a
    still both the current one; ``first_number`` the number of the frame at ``first``, as
    ``scene_frame_of`` takes it; ``frame_rate`` of a movie in hertz.
    """

    path: str
    size: tuple[int, int]
    first: int
    last: int
    first_number: int
    moves: bool
    frame_rate: float | None
    _read: Callable[[int, int], Iterator[Frame]]
    # As ``_read``, by a seek, which may fail: of movies alone.
    _seek: Callable[[int, int], Iterator[Frame]] | None = None

    def number_at(self, frame: int) -> int:
        """The number of the frame that is shown at a scene frame."""
        return self.first_number + frame - self.first

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Scene frames and their pictures [H, W, 3], uint8 RGB, rows from the top.

        None now and then: nothing to give yet. FitError where a picture can't be read.
        """
        yield from self._in_scene_frames(self._read, first, last)

    def frames_back(self, first: int, known: tuple[int, np.ndarray]) -> Iterator[Frame]:
        """As ``frames``, from the ``known`` frame, whose picture was read before, to the first.

        Movies are read forwards alone: so some frames at a time, each time by a seek that reads on to the
        earliest frame that is known. If its picture is not the same again, seeks are given up, and the movie
        is read from its beginning each time.
        """
        width, height = self.size
        count = max(1, _HELD // (3 * width * height))
        seek = self._seek
        yield known
        for end in range(known[0] - 1, first - 1, -count):
            begin, held = max(first, end - count + 1), []
            if seek is not None:
                held = yield from _gathered(self._in_scene_frames(seek, begin, known[0]))
                if not (held and _are_same(held.pop(), known)):
                    seek = None
            if seek is None:
                held = yield from _gathered(self.frames(begin, end))
            yield from reversed(held)
            known = held[0] if held else known

    def _in_scene_frames(
        self, read: Callable[[int, int], Iterator[Frame]], first: int, last: int
    ) -> Iterator[Frame]:
        for found in read(self.number_at(first), self.number_at(last)):
            yield None if found is None else (found[0] - self.first_number + self.first, found[1])


def _gathered(frames: Iterator[Frame]) -> Generator[None, None, list[tuple[int, np.ndarray]]]:
    """All of them at once, with a pause after each."""
    held = []
    for found in frames:
        held += [] if found is None else [found]
        yield None
    return held


def _are_same(a: tuple[int, np.ndarray], b: tuple[int, np.ndarray]) -> bool:
    return a[0] == b[0] and np.array_equal(a[1], b[1])


def shown_picture(scene: bpy.types.Scene) -> ShownPicture:
    """The picture behind the scene's camera. FitError where there is none, or its file can't be read."""
    background = picture_behind(scene)
    if background is None:
        raise FitError("There is no picture behind the camera: press Open Picture")
    shown = content(background)
    path = Path(bpy.path.abspath(shown.filepath, library=shown.library))
    if not moves(background):
        frame, pixels = scene.frame_current, image_pixels(shown)
        name = str(path) if shown.filepath else shown.name
        return ShownPicture(name, _size(pixels), frame, frame, 1, False, None, lambda *_: iter([(1, pixels)]))
    if not path.is_file():
        raise FitError(f"The file {path} of the picture is gone: press Open Picture and choose it again")
    numbers = shown_numbers(background)
    first, last = (scene_frame_of(background, number) for number in (numbers[0], numbers[-1]))
    if shown.source == "SEQUENCE":
        size = _size(_file_pixels(path))
        return ShownPicture(str(path), size, first, last, numbers[0], True, None, _sequence(path, size))
    footage = open_footage(path)
    if not is_shown_upright(background, path):
        raise FitError(
            f"{path.name} was filmed upright and is shown lying: press Open Picture and choose it again"
        )
    rate = exact_rate((shown.fps if background.source == "MOVIE_CLIP" else footage.frame_rate) or _ASSUMED)

    def read(begin: int, end: int) -> Iterator[Frame]:
        return _movie(movie_frames(path), rate, begin, end)

    def seek(begin: int, end: int) -> Iterator[Frame]:
        return _movie(frames_from(path, (begin - 1) / rate), rate, begin, end)

    return ShownPicture(str(path), footage.image_size, first, last, numbers[0], True, rate, read, seek)


def _movie(
    frames: Iterable[MovieFrame] | Iterable[SoughtFrame], rate: float, first: int, last: int
) -> Iterator[Frame]:
    """A movie's frames by their numbers, as Blender shows them: at a steady rate, whatever the movie's own.

    Of ``frames`` the first is the movie's, or one that is shown at ``first`` or before. Number n is the frame
    that is there at (n - 1) / rate seconds: one that lasts long is shown again, one that comes too soon after
    another is left out. The movie's first frame is shown before its time, too.
    """
    image, begins, lasts = None, 1, 1
    for place, frame in enumerate(frames):
        number = 1 + ceil(frame.seconds * rate - _LATE)
        if place == 0:
            number = min(number, first)
        if image is None:
            yield None
        for shown in range(max(begins, first), min(number, last + 1)):
            if image is not None:
                yield shown, image
        if number > last:
            return
        begins, lasts = number, max(number - begins, 1)
        image = frame.image() if number > first - _LONGEST * rate else None
    for shown in range(max(begins, first), min(begins + lasts, last + 1)):
        if image is not None:
            yield shown, image


def _sequence(path: Path, size: tuple[int, int]) -> Callable[[int, int], Iterator[Frame]]:
    """Reads images of a sequence by their numbers; those that are missing are left out."""
    digits = len(path.stem) - len(path.stem.rstrip("0123456789"))
    beginning = path.stem[: len(path.stem) - digits]

    def read(first: int, last: int) -> Iterator[Frame]:
        for number in range(first, last + 1):
            file = path.with_name(f"{beginning}{number:0{digits}d}{path.suffix}")
            if not file.is_file():
                yield None
                continue
            pixels = _file_pixels(file)
            if _size(pixels) != size:
                found, wanted = ("{} x {}".format(*s) for s in (_size(pixels), size))
                raise FitError(f"{file.name} is {found} pixels, the sequence {wanted}: make them one size")
            yield number, pixels

    return read


def _file_pixels(file: Path) -> np.ndarray:
    """An image of a sequence as Blender shows it: which knows more formats, but no EXIF."""
    if file.suffix.lower() in PICTURE_ENDINGS and read_exif(file).orientation == 1:
        return read_picture(file)
    image = bpy.data.images.load(str(file))
    try:
        return image_pixels(image)
    finally:
        bpy.data.images.remove(image)


def image_pixels(image: bpy.types.Image) -> np.ndarray:
    """What an image shows, [H, W, 3], uint8 RGB, rows from the top. FitError where there is nothing."""
    width, height = image.size
    if min(width, height) <= 0:
        raise FitError(f"Blender finds no picture in {image.name}: press Open Picture and choose it again")
    pixels = np.empty(width * height * image.channels, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    rgb = pixels.reshape(height, width, -1)[::-1, :, :3]
    rgb = np.clip(np.broadcast_to(rgb, (height, width, 3)) if rgb.shape[2] == 1 else rgb, 0, 1)
    if image.is_float:
        # Blender holds such images in linear light.
        rgb = np.where(rgb <= _DARK, 12.92 * rgb, 1.055 * np.maximum(rgb, _DARK) ** (1 / 2.4) - 0.055)
    return np.round(255 * rgb).astype(np.uint8)


def _size(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]
