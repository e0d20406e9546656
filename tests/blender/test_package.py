"""The zip: valid, small, the same from the same sources, and without what does not belong."""

import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.shared import REPOSITORY
from tools import extension
from tools.environments import UnavailableError

MEGABYTE = 1_000_000
# OpenCV's wheel for macos-x64, in bytes.
LARGEST_OPENCV = 56_723_330
# The other extensions of a user, and Blender itself, would get these instead of Blender's own.
BLENDERS_OWN = ("numpy", "requests", "torch")


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first = extension.package(None, tmp_path / "first")
    again = extension.package(None, tmp_path / "again")
    assert again.read_bytes() == first.read_bytes()


def test_no_date_and_no_mode_of_this_checkout_is_in_the_zip(extension_zip: str) -> None:
    entries = zipfile.ZipFile(extension_zip).infolist()
    assert {entry.date_time for entry in entries} == {extension.ZIP_DATE}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_the_zip_is_small_without_detection_and_no_giant_with_it(extension_zip: str, tmp_path: Path) -> None:
    assert extension.package(None, tmp_path).stat().st_size < 20 * MEGABYTE
    assert Path(extension_zip).stat().st_size < 75 * MEGABYTE


def test_the_largest_zip_is_no_giant_either(tmp_path: Path) -> None:
    """The pinned wheels do not grow; what they are added to does."""
    assert extension.package(None, tmp_path).stat().st_size + LARGEST_OPENCV < 75 * MEGABYTE


def test_a_platform_s_zip_brings_opencv_and_the_detector(tmp_path: Path) -> None:
    names = zipfile.ZipFile(extension.package("linux-x64", tmp_path)).namelist()
    assert [name for name in names if name.startswith("wheels/opencv_python_headless-")]
    assert {f"assets/detector/{name}" for name in ("person.onnx.gz", "landmarks.onnx.gz", "LICENSE")} <= set(
        names
    )


def test_the_manifest_names_every_wheel_that_wheels_txt_pins() -> None:
    pinned = (REPOSITORY / "wheels.txt").read_text().count("sha256:")
    listed = extension.manifest()["wheels"]
    assert isinstance(listed, list) and len(listed) == pinned


def test_the_zip_holds_what_runs_and_nothing_else(extension_zip: str) -> None:
    names = zipfile.ZipFile(extension_zip).namelist()
    assert names == sorted(names)
    assert {"__init__.py", "addon/__init__.py", "lsr1_solver/__init__.py", "LICENSE"} <= set(names)
    assert {"assets/open_body.npz", "assets/open_body.LICENSE.md"} <= set(names)
    assert not [name for name in names if "training" in name or "__pycache__" in name or "/make_" in name]
    assert not [name for name in names if name.startswith("assets/") and name.endswith(".py")]


def test_every_wheel_is_in_the_manifest_and_none_is_blenders_own(extension_zip: str) -> None:
    archive = zipfile.ZipFile(extension_zip)
    manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    bundled = [name for name in archive.namelist() if name.endswith(".whl")]
    assert sorted(manifest["wheels"]) == [f"./{name}" for name in bundled]
    assert not [name for name in bundled if Path(name).name.split("-")[0] in BLENDERS_OWN]


def test_a_zip_for_one_platform_says_so(tmp_path: Path) -> None:
    archive = extension.package("linux-x64", tmp_path)
    manifest = tomllib.loads(zipfile.ZipFile(archive).read("blender_manifest.toml").decode())
    assert archive.name.endswith("-linux-x64.zip")
    assert manifest["platforms"] == ["linux-x64"]


def test_the_manifest_has_the_version_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert extension.manifest()["version"] == project["version"]


def test_the_extension_asks_for_files_and_not_for_the_network() -> None:
    permissions = extension.manifest()["permissions"]
    assert isinstance(permissions, dict)
    assert set(permissions) == {"files"}
    assert len(permissions["files"]) <= 64
    assert not permissions["files"].endswith(".")


@pytest.mark.parametrize("platform", [None, "linux-x64"])
def test_blenders_own_validator_is_content(platform: str | None, tmp_path: Path) -> None:
    archive = extension.package(platform, tmp_path)
    try:
        assert extension.validate(archive) is None
    except UnavailableError as error:
        pytest.skip(str(error))
