"""The zip, installed from its file in each Blender, used, and uninstalled."""

from pathlib import Path

from tests.blender.environments import INSIDE, each_blender, run_inside
from tools.environments import Blender


@each_blender
def test_install_use_and_uninstall(blender: Blender, extension_zip: str, tmp_path: Path) -> None:
    console = run_inside(blender, [str(INSIDE / "install.py"), extension_zip], tmp_path / "resources")
    assert "installed, used and uninstalled" in console
