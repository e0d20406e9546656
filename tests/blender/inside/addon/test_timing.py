"""Frames of the video and of the scene: keys, overlay and picture agree on them, at any two rates."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import keypoint_store, pictures, timing
from lsr1_body_fit.addon.timing_files import read_times
from lsr1_body_fit.lsr1_solver import FORMATS, FitError, keypoints_2d

from tests.blender.inside.addon.test_clip import key_frames, off_the_keypoints, scene_of_walk
from tests.blender.inside.addon.test_operators import says
from tests.shared import REPOSITORY, SHARED, needs_shared

CASES = SHARED / "cases"


def scene_with_rows(count: int) -> bpy.types.Scene:
    """Keypoints of so many frames, each marked by its own number."""
    scene = bpy.context.scene
    xy = np.ones((count, 24, 2)) * (10.0 + np.arange(count))[:, None, None]
    keypoint_store.store(scene, keypoints_2d(xy, None, FORMATS["SMPL_24"]), (1920, 1080))
    return scene


def shown(scene: bpy.types.Scene, frame: int) -> int | None:
    """Which row the overlay draws at a scene frame."""
    found = keypoint_store.points_at(scene, frame)
    return None if found is None else round(found[0][0, 0] - 10)


@needs_shared("cases")
@pytest.mark.parametrize("name", ["ntsc", "film", "slow", "hundred"])
def test_case_17_real_time_lands_between_frames(name: str) -> None:
    folder = CASES / "17_frame_rates"
    timings = json.loads((folder / "timings.json").read_text())
    case = next(case for case in timings["cases"] if case["name"] == name)
    scene = bpy.context.scene
    scene.render.fps = timings["scene_fps"]
    assert bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op")) == {"FINISHED"}
    scene.lsr1.keypoints.frame_rate = case["num"] / case["den"]
    scene.lsr1.keypoints.keys_at = "TIME"
    count = keypoint_store.frame_count(scene)
    frames = timing.row_frames(scene, count)
    expected = json.loads((folder / "expected.json").read_text())["last_key_frame_if_realtime"][name]
    assert count == 30 and abs(frames[-1] - expected) < 1e-4 and frames[0] == 1
    # The other mode, with the scene at the clip's true rate.
    scene.lsr1.keypoints.keys_at = "FRAMES"
    timing.set_scene_rate(scene, timing.clip_rate(scene))
    assert abs(scene.render.fps / scene.render.fps_base - case["num"] / case["den"]) < 1e-5
    assert scene.render.fps == round(case["num"] / case["den"])
    assert np.array_equal(timing.row_frames(scene, count), np.arange(1, 31))


@needs_shared("cases")
def test_case_17_variable_rate() -> None:
    folder = CASES / "17_frame_rates"
    seconds = json.loads((folder / "timings.json").read_text())["variable_seconds"]
    scene = bpy.context.scene
    scene.render.fps = 24
    bpy.ops.lsr1.import_keypoints(filepath=str(folder / "op"))
    assert bpy.ops.lsr1.import_timings(filepath=str(folder / "timings.json")) == {"FINISHED"}
    assert np.allclose(timing.row_frames(scene, 30), 1 + 24 * np.array(seconds))
    assert abs(timing.clip_rate(scene) - 29 / seconds[-1]) < 1e-9
    # The overlay shows what is nearest in time.
    for frame in range(1, 30):
        row = keypoint_store.row_at(scene, frame)
        assert row == int(np.abs(np.array(seconds) - (frame - 1) / 24).argmin())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(29.97, 30000 / 1001), (23.976, 24000 / 1001), (23.98, 24000 / 1001), (59.94, 60000 / 1001),
     (29.970029, 30000 / 1001), (30.0, 30), (24.0001, 24), (25.0, 25), (29.5, 29.5), (12.5, 12.5)],
)  # fmt: skip
def test_rates_mean_what_people_mean(typed: float, meant: float) -> None:
    assert abs(timing.exact_rate(typed) - meant) < 1e-9


@pytest.mark.parametrize("rate", [30000 / 1001, 24000 / 1001, 25, 59.94, 12.5, 119.88, 0.5])
def test_the_scene_plays_at_any_rate(rate: float) -> None:
    scene = bpy.context.scene
    timing.set_scene_rate(scene, timing.exact_rate(rate))
    assert abs(timing.scene_rate(scene) / timing.exact_rate(rate) - 1) < 1e-6


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("offset", [-3, 0, 7])
@pytest.mark.parametrize("start", [1, 1001, -20])
def test_the_overlay_shows_the_row_that_is_keyed(step: int, offset: int, start: int) -> None:
    scene = scene_with_rows(12)
    held = scene.lsr1.keypoints
    held.step, held.offset, held.start_frame = step, offset, start
    frames = timing.row_frames(scene, 12)
    assert frames[0] == start + step * offset
    assert [shown(scene, int(frame)) for frame in frames] == list(range(12))
    assert shown(scene, int(frames[0]) - step) is None and shown(scene, int(frames[-1]) + step) is None


@pytest.mark.parametrize("rates", [(24, 60), (24, 30000 / 1001), (60, 24), (25, 10)])
def test_in_real_time_the_overlay_is_never_half_a_frame_off(rates: tuple[float, float]) -> None:
    scene = scene_with_rows(50)
    timing.set_scene_rate(scene, rates[0])
    scene.lsr1.keypoints.frame_rate, scene.lsr1.keypoints.keys_at = rates[1], "TIME"
    frames = timing.row_frames(scene, 50)
    assert np.allclose(np.diff(frames), rates[0] / rates[1], rtol=1e-6)
    for frame in range(int(np.ceil(frames[0])), int(frames[-1]) + 1):
        row = shown(scene, frame)
        assert row is not None
        assert abs(frames[row] - frame) <= rates[0] / rates[1] / 2 + 1e-6


def images(folder: Path, first: int, count: int) -> None:
    for number in range(first, first + count):
        image = bpy.data.images.new("frame", 64, 36)
        image.filepath_raw, image.file_format = str(folder / f"sh010_v2_{number:04d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)


@needs_shared("cases")
def test_case_18_a_sequence_from_1001_and_its_keypoints(tmp_path: Path) -> None:
    images(tmp_path, 1001, 5)
    scene = bpy.context.scene
    chosen = str(tmp_path / "sh010_v2_1003.png")
    assert bpy.ops.lsr1.open_picture(filepath=chosen, sequence=True) == {"FINISHED"}
    clip = scene.camera.data.background_images[0].clip
    assert clip.source == "SEQUENCE" and clip.frame_start == 1001 and clip.filepath.endswith("1001.png")
    held = scene.lsr1.keypoints
    for name, first in (("vfx_1001", 1001), ("zero_based", 1001)):
        bpy.ops.lsr1.import_keypoints(filepath=str(CASES / "18_frame_numbering" / name))
        assert held.start_frame == first, name
    # Moved by the user, the keypoints move with the picture when they are imported again.
    clip.frame_start, clip.frame_offset = 1, 2
    bpy.ops.lsr1.import_keypoints(filepath=str(CASES / "18_frame_numbering" / "vfx_1001"))
    assert held.start_frame == -1  # file 1003 is at frame 1


@needs_shared("cases")
@pytest.mark.parametrize("place", [(1, 0), (1, 1000), (1001, 1000), (10, 995)])
def test_an_image_sequence_shows_the_file_that_the_keypoints_are_of(
    tmp_path: Path, place: tuple[int, int]
) -> None:
    images(tmp_path, 1001, 5)
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    image = bpy.data.images.load(str(tmp_path / "sh010_v2_1001.png"))
    image.source = "SEQUENCE"
    background = camera.data.background_images.new()
    background.image = image
    user = background.image_user
    user.frame_start, user.frame_offset, user.frame_duration = *place, 2000
    bpy.ops.lsr1.import_keypoints(filepath=str(CASES / "18_frame_numbering" / "vfx_1001"))
    start = scene.lsr1.keypoints.start_frame
    assert start == 1000 + place[0] - place[1]
    for row in range(5):
        # What Blender's manual says of an image user, and what its own code then opens.
        user.frame_current = start + row - user.frame_start + 1 + user.frame_offset
        assert image.filepath_from_user(image_user=user).endswith(f"{1001 + row}.png")


@needs_shared("cases")
@pytest.mark.parametrize("first", [1_048_574, 20240501, 20240501123456, 10**20])
def test_names_that_are_times_of_day_are_no_scene_frames(tmp_path: Path, first: int) -> None:
    """The timeline doesn't reach there, and longer ones are no numbers of Blender's."""
    case, scene = CASES / "18_frame_numbering" / "vfx_1001", bpy.context.scene
    for count, file in enumerate(sorted(case.iterdir())):
        (tmp_path / f"{first + count}_keypoints.json").write_bytes(file.read_bytes())
    assert bpy.ops.lsr1.import_keypoints(filepath=str(tmp_path)) == {"FINISHED"}
    assert timing.row_frames(scene, 5).tolist() == [1, 2, 3, 4, 5]
    # One of them, a photo's.
    (file,) = tmp_path.glob(f"{first}_*")
    assert bpy.ops.lsr1.import_keypoints(filepath=str(file)) == {"FINISHED"}
    assert keypoint_store.frame_count(scene) == 1
    assert scene.lsr1.keypoints.start_frame == (first if first == timing.LAST_FRAME else 1)


@needs_shared("cases")
def test_images_whose_numbers_are_times_of_day_begin_at_frame_1(tmp_path: Path) -> None:
    images(tmp_path, 20240501, 5)
    scene, first = bpy.context.scene, tmp_path / "sh010_v2_20240501.png"
    assert bpy.ops.lsr1.open_picture(filepath=str(first), sequence=True) == {"FINISHED"}
    assert scene.camera.data.background_images[0].clip.frame_start == 1
    for file in sorted((CASES / "18_frame_numbering" / "vfx_1001").iterdir()):
        number = 20240501 - 1001 + int(file.stem.split("_")[2])
        (tmp_path / f"sh010_v2_{number}_keypoints.json").write_bytes(file.read_bytes())
    first = tmp_path / "sh010_v2_20240501_keypoints.json"
    assert bpy.ops.lsr1.import_keypoints(filepath=str(first), whole_folder=True) == {"FINISHED"}
    assert scene.lsr1.keypoints.start_frame == 1
    first.unlink()
    bpy.ops.lsr1.import_keypoints(filepath=str(tmp_path))
    assert scene.lsr1.keypoints.start_frame == 2


def test_numbers_that_blender_cannot_count_to_are_refused(tmp_path: Path) -> None:
    images(tmp_path, 20240501123456, 2)
    first = tmp_path / "sh010_v2_20240501123456.png"
    says(bpy.ops.lsr1.open_picture, "shorter numbers", filepath=str(first), sequence=True)


def test_a_movies_frames_and_rate() -> None:
    walk = REPOSITORY / "assets" / "samples" / "walk"
    scene = bpy.context.scene
    bpy.ops.lsr1.open_picture(filepath=str(walk / "walk.mp4"))
    clip = scene.camera.data.background_images[0].clip
    bpy.ops.lsr1.import_keypoints(filepath=str(walk / "keypoints"))
    held = scene.lsr1.keypoints
    assert held.start_frame == 1 and abs(held.frame_rate - clip.fps) < 1e-3
    clip.frame_start, clip.frame_offset = 101, 10
    bpy.ops.lsr1.import_keypoints(filepath=str(walk / "keypoints"))
    assert held.start_frame == 91


def probed(name: str, kind: str) -> str:
    """What ffprobe says of a video with sound and a picture of its own for its cover."""
    sound = [{kind: "audio", "stream_index": 0, "pts_time": f"{0.0213 * k:.4f}"} for k in range(5)]
    video = [{kind: "video", "stream_index": 1, "pts_time": f"{0.04 * k:.4f}"} for k in range(3)]
    cover = {kind: "video", "stream_index": 2, "pts_time": "0.0000"}
    lost = {kind: "video", "stream_index": 1, "pts_time": "N/A"}
    return json.dumps({name: [sound[0], *video, *sound[1:], lost, cover]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", "[0, 0.04, 0.08]"),
        ("probe.json", '{"frames": [{"pts_time": "0.00"}, {"pts_time": "0.04"}, {"pts_time": "0.08"}]}'),
        ("packets.json", '{"packets": [{"pts_time": "0.08"}, {"pts_time": "0.00"}, {"pts_time": "0.04"}]}'),
        (
            "old.json",
            '{"frames": [{"pkt_pts_time": "0"}, {"pkt_pts_time": "0.04"}, {"pkt_pts_time": "0.08"}]}',
        ),
        ("sound.json", probed("frames", "media_type")),
        ("sound packets.json", probed("packets", "codec_type")),
        ("v2.txt", "# timestamp format v2\n0\n40\n80\n"),
        ("lines.txt", "0.0\n0.04\n0.08\n"),
    ],
)
def test_times_are_read_from_what_tools_write(tmp_path: Path, name: str, text: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / name).write_text(text, encoding=encoding)
        assert np.allclose(read_times(str(tmp_path / name), 3), [0, 0.04, 0.08])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[0, 1]", "2 times"),
        ("[0, 33.3, 66.7]", "every 33.35 seconds"),
        ("[0, 1e300, 2e300]", "every 1e"),
        ("[0, 2, 1]", "ascend"),
        ('{"a": 1}', "no list"),
        ("{", "JSON"),
    ],
)
def test_times_that_cannot_be_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "times.json").write_text(text)
    with pytest.raises(FitError, match=reason):
        read_times(str(tmp_path / "times.json"), 3)


@needs_shared("cases")
@pytest.mark.parametrize(
    ("first", "told", "wanted"), [(1, 8, 0), (3, 8, 2), (0, 5, 0), (3, 5, 0), (1001, 8, 0)]
)
def test_times_of_the_whole_video_are_those_of_the_keypoints_frames(
    tmp_path: Path, first: int, told: int, wanted: int
) -> None:
    """Keypoints that begin at the video's frame 3 begin at its third time."""
    for count, file in enumerate(sorted((CASES / "18_frame_numbering" / "vfx_1001").iterdir())):
        (tmp_path / f"{first + count:04d}_keypoints.json").write_bytes(file.read_bytes())
    bpy.ops.lsr1.import_keypoints(filepath=str(tmp_path))
    times = np.cumsum(np.arange(told) + 1.0)
    (tmp_path / "times.txt").write_text("\n".join(map(str, times)))
    assert bpy.ops.lsr1.import_timings(filepath=str(tmp_path / "times.txt")) == {"FINISHED"}
    assert np.array_equal(timing.clip_times(bpy.context.scene), times[wanted : wanted + 5])


def test_a_part_of_a_movie_has_its_own_times(tmp_path: Path) -> None:
    scene = bpy.context.scene
    walk = REPOSITORY / "assets" / "samples" / "walk"
    bpy.ops.lsr1.open_picture(filepath=str(walk / "walk.mp4"))
    clip = scene.camera.data.background_images[0].clip
    clip.frame_start, clip.frame_offset = 50, 3
    for number in (10, 11, 12):
        (file,) = (walk / "keypoints").glob(f"*{number:04d}*")
        (tmp_path / file.name).write_bytes(file.read_bytes())
    bpy.ops.lsr1.import_keypoints(filepath=str(tmp_path))
    held = scene.lsr1.keypoints
    times = 0.01 * np.arange(clip.frame_duration) ** 1.1
    (tmp_path / "times.txt").write_text("\n".join(map(str, times)))
    bpy.ops.lsr1.import_timings(filepath=str(tmp_path / "times.txt"))
    assert held.start_frame == 50 - 3 + held.first_number - 1
    assert np.array_equal(timing.clip_times(scene), times[held.first_number - 1 :][:3])


def test_between_two_frames_what_is_shown_there_is_fitted_and_corrected() -> None:
    scene, armature = scene_of_walk(), bodies.add_body(bpy.context)
    held = scene.lsr1.keypoints
    held.frame_rate, held.keys_at, scene.render.fps = 60.0, "TIME", 24
    # The rows at 7.0 and 7.4.
    before = [keypoint_store.points_at(scene, frame)[0] for frame in (7.0, 7.4)]
    assert not np.array_equal(*before)
    timing.go_to_frame(scene, 7.4)
    scene.lsr1.settings.insert_key = True
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    assert np.allclose(key_frames(armature), 7.4) and abs(scene.frame_current_final - 7.4) < 1e-6
    assert off_the_keypoints(armature, 7.4) < 10
    timing.go_to_frame(scene, 7.4)
    assert bpy.ops.lsr1.swap_sides() == {"FINISHED"}
    after = [keypoint_store.points_at(scene, frame)[0] for frame in (7.0, 7.4)]
    assert np.array_equal(after[0], before[0]) and not np.array_equal(after[1], before[1])
