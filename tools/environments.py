"""The Python environments of this repository: one to develop in, and one for each Blender."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("dev", "train", "smplx", "detect")


class UnavailableError(Exception):
    """Something from outside the repository cannot be had here; the message says what and why."""


@dataclass(frozen=True)
class Blender:
    """One Blender as a Python module.

    The environments are apart from each other and from the development one: each Blender has its own Python
    and its own numpy, and the tests run on the numpy that this Blender ships.
    """

    version: str
    python: str
    requirements: tuple[str, ...]


# The last 4.2: in the first one, reading a movie may end Blender, with or without extensions.
BLENDERS = (
    Blender("4.2", "3.11", ("bpy==4.2.23", "numpy==1.24.3")),
    Blender("5.0", "3.11", ("bpy==5.0.1", "numpy==1.26.4")),
    Blender("5.2", "3.13", ("bpy==5.2.3", "numpy>=2")),
)
# Beside Blender: what the tests inside it need.
INSIDE_BLENDER = ("pytest>=8.3",)


def development_python() -> Path:
    """The interpreter of `.venv`, made or refreshed when the dependencies in `pyproject.toml` change."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    install = ["--editable", f".[{','.join(EXTRAS)}]"]
    return _environment(ROOT / ".venv", Path(sys.executable), install, wanted)


@cache
def blender_python(blender: Blender) -> Path:
    """The interpreter of `.venv-bpy-X.Y`, in which `import bpy` is this Blender.

    Raises `UnavailableError` where its Python or its wheel cannot be had.
    """
    base = find_python(blender.python)
    if base is None:
        raise UnavailableError(f"Blender {blender.version} needs Python {blender.python}, which is not here")
    requirements = [*blender.requirements, *INSIDE_BLENDER]
    return _environment(ROOT / f".venv-bpy-{blender.version}", base, requirements, requirements)


def running_python() -> str:
    """The version of the Python that runs this ("3.11")."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_python(version: str) -> Path | None:
    """An interpreter of Python `version` ("3.11"), or None."""
    if version == running_python():
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    launcher = [["py", f"-{version}"]] if os.name == "nt" else []
    pyenv_pythons = [[str(path)] for path in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    for command in ([f"python{version}"], *launcher, *pyenv_pythons):
        if shutil.which(command[0]) is None:
            continue
        # A shim of a version manager exists even where the version itself is not installed.
        answer = _run([*command, "-c", "import sys; print(sys.executable)"])
        if answer.returncode == 0:
            return Path(answer.stdout.strip())
    return None


def _environment(folder: Path, base: Path, install: list[str], wanted: Sequence[object]) -> Path:
    """Make `folder`, or reuse it when its stamp says that it holds what is `wanted`."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed.sha256"
    digest = hashlib.sha256(repr(wanted).encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"Setting up {folder.name}: once, some minutes at most.", flush=True)
    commands = [
        [str(base), "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *install],
    ]
    for command in commands:
        answer = _run(command)
        if answer.returncode:
            lines = (answer.stdout + answer.stderr).strip().splitlines() or ["no message"]
            raise UnavailableError(f"{folder.name} cannot be made: {lines[-1]}")
    stamp.write_text(digest)
    return python


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
