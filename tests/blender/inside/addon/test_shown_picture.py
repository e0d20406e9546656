"""The detector gets the pixels that are shown, the same way up, at the scene frame where they are shown."""

import struct
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import movie_turn, pictures, shown_picture
from lsr1_body_fit.addon.footage import picture_behind, scene_frame_of, shown_numbers
from lsr1_body_fit.lsr1_solver import FitError
from lsr1_body_fit.lsr1_solver.picture_files import open_footage, read_picture

from tests.blender.inside.addon.test_footage import corner_picture, exif_jpeg
from tests.shared import REPOSITORY

WALK = REPOSITORY / "assets" / "samples" / "walk" / "walk.mp4"


def save(path: Path, pixels: np.ndarray) -> None:
    """Write pixels [H, W, 3], 0 to 1, rows from the top, with Blender."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("out", width, height)
    rgba = np.ones((height, width, 4), dtype=np.float32)
    rgba[..., :3] = pixels
    image.pixels.foreach_set(rgba[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def numbered(folder: Path, first: int, count: int, name: str = "shot_{:04d}.png") -> Path:
    """A sequence whose images are as bright, in steps of 8 bits, as their place in it."""
    for index in range(count):
        save(folder / name.format(first + index), np.full((20, 30, 3), (50 + index) / 255))
    return folder / name.format(first)


def read(scene: bpy.types.Scene, first: int, last: int) -> dict[int, np.ndarray]:
    """Scene frames and the pictures that the detector gets."""
    shown = shown_picture.shown_picture(scene)
    return dict(found for found in shown.frames(first, last) if found is not None)


@pytest.mark.parametrize(("start", "offset"), [(1, 0), (101, 0), (-5, 3)])
def test_a_movies_frames_are_those_that_are_shown(start: int, offset: int) -> None:
    """Against the movie read from its beginning: number n of it is shown at start - offset + n - 1."""
    scene = bpy.context.scene
    pictures.open_picture(bpy.context, str(WALK))
    background = picture_behind(scene)
    background.clip.frame_start, background.clip.frame_offset = start, offset
    wanted = dict(open_footage(WALK).frames(0, 6))
    found = read(scene, start - offset + 2, start - offset + 4)
    assert list(found) == [start - offset + n for n in (2, 3, 4)]
    for frame, image in found.items():
        assert np.array_equal(image, wanted[frame - start + offset])
    picture = shown_picture.shown_picture(scene)
    assert (picture.first, picture.last) == (start - offset, start - offset + 99)
    assert picture.number_at(start - offset) == 1 and picture.size == (1080, 1920)


@pytest.mark.parametrize("first", [1, 1001])
@pytest.mark.parametrize("kind", ["clip", "image"])
def test_a_sequences_frames_are_those_that_are_shown(tmp_path: Path, first: int, kind: str) -> None:
    scene = bpy.context.scene
    file = numbered(tmp_path, first, 5)
    pictures.open_picture(bpy.context, str(file), sequence=True)
    background = picture_behind(scene)
    if kind == "image":
        image = bpy.data.images.load(str(file))
        image.source = "SEQUENCE"
        background.source, background.image = "IMAGE", image
        user = background.image_user
        user.frame_start, user.frame_offset, user.frame_duration = 7, first - 1, 5
        scene.lsr1.picture = image.name
    numbers = shown_numbers(background)
    assert list(numbers) == list(range(first, first + 5))
    begin = scene_frame_of(background, first)
    assert begin == (7 if kind == "image" else first)
    found = read(scene, begin + 1, begin + 3)
    assert {frame: int(image[3, 3, 1]) for frame, image in found.items()} == {
        begin + k: 50 + k for k in (1, 2, 3)
    }
    assert shown_picture.shown_picture(scene).number_at(begin + 3) == first + 3


def test_missing_images_of_a_sequence_are_gaps(tmp_path: Path) -> None:
    scene = bpy.context.scene
    file = numbered(tmp_path, 1, 5)
    pictures.open_picture(bpy.context, str(file), sequence=True)
    picture = shown_picture.shown_picture(scene)
    (tmp_path / "shot_0003.png").unlink()
    assert [found and found[0] for found in picture.frames(1, 5)] == [1, 2, None, 4, 5]


@pytest.mark.parametrize("linear", [False, True])
def test_a_still_is_what_blender_shows(tmp_path: Path, linear: bool) -> None:
    """8 bits come as they are; linear light becomes sRGB (0.2140 is 0.5: IEC 61966-2-1)."""
    pixels = np.zeros((12, 16, 3))
    pixels[:4, :8] = 0.5
    save(tmp_path / "still.png", pixels)
    pictures.open_picture(bpy.context, str(tmp_path / "still.png"))
    scene = bpy.context.scene
    if linear:
        image = bpy.data.images.new("light", 16, 12, float_buffer=True)
        image.pixels.foreach_set(np.repeat(0.2140411 * (pixels[::-1, :, :1] > 0), 4).astype(np.float32))
        picture_behind(scene).image, scene.lsr1.picture = image, image.name
    scene.frame_set(42)
    ((frame, image),) = read(scene, 42, 42).items()
    assert frame == 42 and image.shape == (12, 16, 3) and image.dtype == np.uint8
    assert abs(int(image[1, 1, 0]) - 128) <= 1 and not image[6, 1].any() and not image[1, 12].any()


def test_a_turned_photo_is_upright_and_a_sequence_is_as_blender_shows_it(tmp_path: Path) -> None:
    """Open Picture turns a photo as its EXIF says; of a sequence Blender itself shows the stored pixels."""
    scene, upright = bpy.context.scene, corner_picture()
    for number in (1, 2):
        exif_jpeg(tmp_path / f"photo_{number}.jpg", np.rot90(upright), {0x0112: ("H", 6)})
    for sequence, wanted in ((False, upright), (True, np.rot90(upright))):
        pictures.open_picture(bpy.context, str(tmp_path / "photo_1.jpg"), sequence=sequence)
        (image,) = read(scene, 1, 1).values()
        assert image.shape == wanted.shape and np.abs(image / 255 - wanted).mean() < 0.05


def test_no_picture_and_a_lost_file_say_what_to_do(tmp_path: Path) -> None:
    scene = bpy.context.scene
    with pytest.raises(FitError, match="press Open Picture"):
        shown_picture.shown_picture(scene)
    file = numbered(tmp_path, 1, 2)
    pictures.open_picture(bpy.context, str(file), sequence=True)
    file.unlink()
    with pytest.raises(FitError, match="choose it again"):
        shown_picture.shown_picture(scene)


def test_a_turned_movie_is_upright(tmp_path: Path) -> None:
    """By the file's note or by Blender itself; one that is shown lying is not detected in."""
    data = bytearray(WALK.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    # A quarter turn clockwise (ISO/IEC 14496-12, 8.3.2).
    matrix = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], dtype=">i4")
    data[at : at + 36] = matrix.tobytes()
    path = tmp_path / "phone.mp4"
    path.write_bytes(data)
    assert movie_turn.quarter_turns(path) == 1 and movie_turn.quarter_turns(WALK) == 0
    pictures.open_picture(bpy.context, str(path))
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1920, 1080)
    (image,) = read(scene, 1, 1).values()
    (lying,) = (found[1] for found in open_footage(WALK).frames(0, 1))
    assert np.array_equal(image, np.rot90(lying, -1))
    picture_behind(scene).rotation += np.pi / 2
    with pytest.raises(FitError, match="shown lying"):
        shown_picture.shown_picture(scene)


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """The kinds and contents of an MP4's boxes."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def with_durations(data: bytes, runs: list[tuple[int, int]]) -> bytes:
    """A movie of OpenCV's with other durations: runs of frames, and times as long as they were."""
    out, longer = b"", sum(count * factor for count, factor in runs) / sum(count for count, _ in runs)
    for kind, content in boxes(data):
        if kind in (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"):
            content = with_durations(content, runs)
        elif kind == b"stts":
            (_, _, each) = struct.unpack_from(">III", content, 4)
            table = [struct.pack(">II", count, factor * each) for count, factor in runs]
            content = content[:4] + struct.pack(">I", len(runs)) + b"".join(table)
        elif kind in _DURATION_AT:
            at = _DURATION_AT[kind]
            (duration,) = struct.unpack_from(">I", content, at)
            content = content[:at] + struct.pack(">I", round(duration * longer)) + content[at + 4 :]
        out += struct.pack(">I4s", len(content) + 8, kind) + content
    return out


# Where a box of version 0 has its duration (ISO/IEC 14496-12).
_DURATION_AT = {b"mvhd": 16, b"mdhd": 16, b"tkhd": 20, b"elst": 8}


def rolling_movie(path: Path) -> Path:
    """40 frames, each of its own grey, that get longer in the middle: 50 as Blender shows them."""
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 64))
    for grey in range(20, 220, 5):
        writer.write(np.full((64, 64, 3), grey, dtype=np.uint8))
    writer.release()
    path.write_bytes(with_durations(path.read_bytes(), [(15, 1), (10, 2), (15, 1)]))
    return path


def movie_by_blender(path: Path, codec: str, count: int) -> Path:
    """Blender's own movie of frames that are each of its own grey. Every third is coded for itself, those in
    between (B-frames) after their next.
    """
    scene = bpy.data.scenes.new("movie")
    for n in range(count):
        save(path.with_name(f"grey_{n:03d}.png"), np.full((64, 64, 3), (20 + 8 * n) / 255))
    strip = strips_of(scene).new_image("greys", str(path.with_name("grey_000.png")), 1, 1)
    for n in range(1, count):
        strip.elements.append(f"grey_{n:03d}.png")
    strip.frame_final_duration = scene.frame_end = count
    into_file(scene, path)
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "VIDEO"
    scene.render.image_settings.file_format = "FFMPEG"
    scene.render.fps, film = 25, scene.render.ffmpeg
    film.format, film.codec, film.constant_rate_factor = "AVI", codec, "HIGH"
    film.use_max_b_frames, film.max_b_frames, film.gopsize = True, 2, 12
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return path


def strips_of(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection:
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def into_file(scene: bpy.types.Scene, path: Path) -> None:
    """What a scene renders goes into this file, 64 x 64."""
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.filepath, scene.render.use_file_extension = str(path), False


def as_blender_renders(path: Path, count: int) -> list[float]:
    """The grey that Blender shows of a movie in each of so many frames."""
    scene = bpy.data.scenes.new("shown")
    strips_of(scene).new_movie("movie", str(path), 1, 1)
    scene.render.fps, scene.frame_end = 25, count
    into_file(scene, path.with_name("shown_###.png"))
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return [read_picture(path.with_name(f"shown_{n:03d}.png")).mean() for n in range(1, count + 1)]


@pytest.mark.parametrize("codec", ["H264", "MPEG4"])
def test_a_movie_that_says_no_time_of_its_last_frames_is_read_as_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    """AVI has no times for frames that are coded after their next: Blender shows them all that much later."""
    count = 24
    path = movie_by_blender(tmp_path / "film.avi", codec, count)
    wanted = as_blender_renders(path, count)
    assert wanted[0] == wanted[1] < wanted[-1], "its frames are not late"
    pictures.open_picture(bpy.context, str(path))
    scene = bpy.context.scene
    for begin, end in ((1, count), (1, 1), (2, 5), (count - 1, count)):
        found = read(scene, begin, end)
        assert list(found) == list(range(begin, end + 1))
        assert np.allclose([image.mean() for image in found.values()], wanted[begin - 1 : end], atol=3)
    picture = shown_picture.shown_picture(scene)
    on = [found for found in picture.frames(1, count) if found is not None]
    monkeypatch.setattr(shown_picture, "_HELD", 7 * 3 * 64 * 64)
    back = [found for found in picture.frames_back(1, on[-1]) if found is not None]
    assert [number for number, _ in back] == list(range(count, 0, -1))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(on, reversed(back), strict=True))


@pytest.mark.parametrize("seeks", ["right", "wrong", "none"])
def test_backwards_a_movie_is_sought_in_and_the_frames_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeks: str
) -> None:
    """Some frames at a time; a file whose seeks can't be trusted is read from its beginning each time."""
    pictures.open_picture(bpy.context, str(rolling_movie(tmp_path / "varies.mp4")))
    picture = shown_picture.shown_picture(bpy.context.scene)
    on = [found for found in picture.frames(1, 50) if found is not None]
    readings: list[Path] = []
    forwards, sought = shown_picture.movie_frames, shown_picture.frames_from
    monkeypatch.setattr(shown_picture, "movie_frames", lambda path: readings.append(path) or forwards(path))
    monkeypatch.setattr(shown_picture, "_HELD", 7 * 3 * 64 * 64)
    ways = {
        "right": sought,
        "wrong": lambda path, seconds: (replace(f, seconds=f.seconds + 0.1) for f in sought(path, seconds)),
        "none": lambda path, seconds: iter(()),
    }
    monkeypatch.setattr(shown_picture, "frames_from", ways[seeks])
    back = [found for found in picture.frames_back(3, on[-1]) if found is not None]
    assert [number for number, _ in back] == list(range(50, 2, -1))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(on[2:], reversed(back), strict=True))
    assert len(readings) == (0 if seeks == "right" else 7)


def test_a_phones_rate_varies_and_blender_shows_it_at_a_steady_one(tmp_path: Path) -> None:
    """What Blender renders of it (4.2, 5.0 and 5.2 agree): frames that last twice as long are there twice."""
    path = rolling_movie(tmp_path / "varies.mp4")
    pictures.open_picture(bpy.context, str(path))
    scene = bpy.context.scene
    picture = shown_picture.shown_picture(scene)
    assert (picture.first, picture.last, picture.frame_rate) == (1, 50, 30.0)
    wanted = [*range(15), *np.repeat(np.arange(15, 25), 2).tolist(), *range(25, 40)]
    own = [image.mean() for _, image in open_footage(path).frames()]
    for begin, end in ((1, 50), (14, 20), (33, 50)):
        found = read(scene, begin, end)
        assert list(found) == list(range(begin, end + 1))
        assert [own.index(image.mean()) for image in found.values()] == wanted[begin - 1 : end]
