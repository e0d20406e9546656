"""`build.py demo`: from a fresh clone to a fitted clip, in a Blender of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tools import extension
from tools.environments import BLENDERS, ROOT, UnavailableError, blender_python, running_python


def demo(folder: Path) -> int:
    """Install the extension into a Blender without window and fit the sample; Blender's exit code.

    `folder` gets `demo.blend`, `demo.png`, `pose.npz` and a copy of the clip.
    """
    python = some_blender()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        archive = extension.package(None, Path(temporary))
        environment = {**os.environ, "BLENDER_USER_RESOURCES": temporary}
        script = str(ROOT / "tools" / "demo_in_blender.py")
        command = [str(python), script, str(archive), str(folder.resolve())]
        return subprocess.run(command, env=environment, check=False).returncode


def some_blender() -> Path:
    """The interpreter of the newest Blender that can be had, of one for this very Python if possible.

    Raises `UnavailableError` with the reasons where there is none.
    """
    reasons = []
    for blender in sorted(reversed(BLENDERS), key=lambda blender: blender.python != running_python()):
        try:
            return blender_python(blender)
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))
