"""The extension in a Blender with its window: a real one, with real clicks."""

import shutil
from pathlib import Path

import pytest

from tests.blender.environments import INSIDE, SECONDS, assert_quiet
from tests.shared import REPOSITORY, SHARED, needs_shared
from tools.environments import UnavailableError
from tools.window import run_in_window

PICTURES = REPOSITORY / "out" / "window"


def in_window(driver: str, extension_zip: str, work: Path) -> None:
    """Run a driver and keep its pictures; it must end well and leave a quiet console."""
    shutil.copy(extension_zip, work / "extension.zip")
    try:
        answer = run_in_window(INSIDE / "window" / driver, work, seconds=SECONDS)
    except UnavailableError as error:
        pytest.skip(str(error))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for picture in work.glob("*.png"):
        shutil.copy(picture, PICTURES)
    console = answer.stdout + answer.stderr
    assert answer.returncode == 0, console
    assert_quiet(console)


def test_install_and_press_the_buttons(extension_zip: str, tmp_path: Path) -> None:
    in_window("smoke.py", extension_zip, tmp_path)


def test_place_drag_save_and_disable(extension_zip: str, tmp_path: Path) -> None:
    in_window("placing.py", extension_zip, tmp_path)


def test_fit_a_clip_stop_it_and_undo_it(extension_zip: str, tmp_path: Path) -> None:
    in_window("clip.py", extension_zip, tmp_path)


def test_detect_from_the_picture_in_three_clicks(extension_zip: str, tmp_path: Path) -> None:
    in_window("detecting.py", extension_zip, tmp_path)


def test_a_motion_comes_in_and_goes_out(extension_zip: str, tmp_path: Path) -> None:
    in_window("exchange.py", extension_zip, tmp_path)


@needs_shared("keypoints")
def test_real_files_from_an_empty_scene(extension_zip: str, tmp_path: Path) -> None:
    folder = tmp_path / "keypoints"
    folder.mkdir()
    for name in (
        "openpose_v1_coco18/hmr_random_keypoints.json",
        "openpose_body25/spin_im1010_openpose.json",
        "alphapose/first_30_frames.json",
    ):
        shutil.copy(SHARED / "keypoints" / name, folder)
    in_window("real_files.py", extension_zip, tmp_path)


def test_copy_to_another_rig(extension_zip: str, tmp_path: Path) -> None:
    in_window("copying.py", extension_zip, tmp_path)


def test_refine_by_hand(extension_zip: str, tmp_path: Path) -> None:
    in_window("refining.py", extension_zip, tmp_path)


def test_drag_joints_and_see_unsure_depths(extension_zip: str, tmp_path: Path) -> None:
    in_window("reaching.py", extension_zip, tmp_path)


def test_flip_a_limb_and_walk_through_solutions(extension_zip: str, tmp_path: Path) -> None:
    in_window("choosing.py", extension_zip, tmp_path)
