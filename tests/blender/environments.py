"""Blenders to run tests in: each as a process of its own, with settings of its own."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.shared import REPOSITORY, SHARED
from tools.environments import BLENDERS, Blender, UnavailableError, blender_python

INSIDE = REPOSITORY / "tests" / "blender" / "inside"
SECONDS = 600

each_blender = pytest.mark.parametrize("blender", BLENDERS, ids=lambda blender: blender.version)


def run_inside(
    blender: Blender, arguments: list[str], resources: Path, more: Mapping[str, str] | None = None
) -> str:
    """Run Python with this Blender in it and return its console, which must be free of complaints.

    `more` are environment variables.
    The test is skipped, with the reason, where this Blender cannot be had.
    """
    try:
        python = blender_python(blender)
    except UnavailableError as error:
        pytest.skip(str(error))
    resources.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"BLENDER_USER_RESOURCES": str(resources), "LSR1_SHARED": str(SHARED), **(more or {})}
    wrapper = [str(INSIDE / "end_at_once.py")] if blender.version == "4.2" else []
    command = [str(python), *wrapper, *arguments]
    answer = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    console = answer.stdout + answer.stderr
    assert answer.returncode == 0, console
    assert_quiet(console)
    return console


def assert_quiet(console: str) -> None:
    """Fail on what a user would take for something broken."""
    complaints = re.findall(r"^.*(?:Traceback|[Ww]arning|[Ee]rror\b).*$", console, re.MULTILINE)
    assert not complaints, console
