"""The add-on's own tests, run by pytest inside each Blender."""

import os
import zipfile
from pathlib import Path

from tests.blender.environments import INSIDE, each_blender, run_inside
from tools import extension
from tools.environments import Blender

TESTS = INSIDE / "addon"
HIDDEN = ("DeprecationWarning", "PendingDeprecationWarning", "ImportWarning", "ResourceWarning")


@each_blender
def test_the_addon(blender: Blender, tmp_path: Path) -> None:
    wheels = os.pathsep.join(str(path) for path in importable_wheels(tmp_path / "wheels"))
    # Without those that Python hides from a user, which pytest would show at the end.
    hidden = [f"-Wignore::{name}" for name in HIDDEN]
    plugins = ["-p", "no:cacheprovider"]
    pytest_arguments = ["-m", "pytest", f"--confcutdir={TESTS}", *plugins, *hidden, str(TESTS)]
    console = run_inside(blender, pytest_arguments, tmp_path / "resources", {"PYTHONPATH": wheels})
    print(console)


def importable_wheels(folder: Path) -> list[Path]:
    """The very wheels that this computer's zip bundles: pure ones can be imported as they are."""
    pure = extension.wheels(None)
    for wheel in set(extension.wheels(extension.this_platform())) - set(pure):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return [*pure, folder]
