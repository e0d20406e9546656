"""The add-on's own tests, run by pytest inside each Blender."""

import os
from pathlib import Path

from tests.blender.environments import INSIDE, each_blender, run_inside
from tools import extension
from tools.environments import Blender

TESTS = INSIDE / "addon"


@each_blender
def test_the_addon(blender: Blender, tmp_path: Path) -> None:
    # A pure wheel can be imported as it is: the solver runs on the very one that the zip bundles.
    wheels = os.pathsep.join(str(path) for path in extension.wheels(None))
    # Without pytest's summary of warnings, which shows the ones that Python hides from a user.
    plugins = ["-p", "no:cacheprovider", "-p", "no:warnings"]
    pytest_arguments = ["-m", "pytest", f"--confcutdir={TESTS}", *plugins, str(TESTS)]
    console = run_inside(blender, pytest_arguments, tmp_path / "resources", {"PYTHONPATH": wheels})
    print(console)
