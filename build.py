"""Commands for this repository. Needs Python 3.11 or newer and nothing else.

python build.py test    lint, types and tests: everything that CI runs
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.sha256"
EXTRAS = "dev,train,smplx,detect"


def venv_python() -> Path:
    """The interpreter of the repository's own environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure_environment() -> Path:
    """Make `.venv` with the development dependencies, or reuse it when `pyproject.toml` has not changed."""
    python = venv_python()
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return python
    print("Setting up .venv: a few minutes the first time.", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--editable", f".[{EXTRAS}]"], cwd=ROOT, check=True)
    STAMP.write_text(wanted)
    return python


def test(pytest_arguments: list[str]) -> int:
    """Run ruff, pyright and pytest; the first failure's exit code, or 0."""
    python = str(ensure_environment())
    checks = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pyright"],
        ["pytest", *pytest_arguments],
    ]
    for check in checks:
        print("+", *check, flush=True)
        code = subprocess.run([python, "-m", *check], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def main() -> int:
    """Parse the command line and run one command."""
    if sys.version_info < (3, 11):
        sys.exit("build.py needs Python 3.11 or newer; this is " + sys.version.split()[0])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    tests = commands.add_parser("test", help="lint, types and tests: everything that CI runs")
    tests.add_argument("pytest_arguments", nargs="*", help="passed on to pytest, after --")
    arguments = parser.parse_args()
    return test(arguments.pytest_arguments)


if __name__ == "__main__":
    sys.exit(main())
