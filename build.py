"""Commands for this repository. Needs Python 3.11 or newer and nothing else.

python build.py demo       fit the sample walk in a Blender of its own and look at the result
python build.py test       lint, types and tests: everything that CI runs
python build.py package    the extension's zip, in dist/
python build.py dev        the working tree as an extension of your Blender, for live editing
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("build.py needs Python 3.11 or newer; this is " + sys.version.split()[0])

from tools import extension
from tools.demo import demo as run_demo
from tools.environments import BLENDERS, ROOT, UnavailableError, blender_python, development_python

EVERY_PLATFORM = "any"
# What pytest is run on at the same time, the longest first.
WINDOW = "tests/blender/test_window.py"
SUITES = (["tests/blender", f"--ignore={WINDOW}"], [WINDOW], ["--ignore=tests/blender"])


def demo(arguments: argparse.Namespace) -> int:
    """Fit the sample in a Blender without a window."""
    return run_demo(arguments.out)


def test(arguments: argparse.Namespace) -> int:
    """Run ruff, pyright and pytest; the first failure's exit code, or 0."""
    python = str(development_python())
    checks = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pyright"],
    ]
    if arguments.pytest_arguments:
        checks.append(["pytest", *arguments.pytest_arguments])
    for check in checks:
        print("+", *check, flush=True)
        code = subprocess.run([python, "-m", *check], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0 if arguments.pytest_arguments else all_tests(python)


def all_tests(python: str) -> int:
    """Run pytest on `SUITES`, one a core; the first failure's exit code, or 0."""
    # What more than one of them needs is made before: they would do it at the same time. Where it can't be
    # had, the tests that need it say so.
    for blender in BLENDERS:
        with suppress(UnavailableError):
            blender_python(blender)
    with suppress(UnavailableError):
        extension.wheels(extension.this_platform())

    def run(suite: Sequence[str]) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "pytest", *suite]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    print("+ pytest, in parts: minutes without a word", flush=True)
    codes = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for suite, answer in zip(SUITES, pool.map(run, SUITES), strict=True):
            print("+", "pytest", *suite, flush=True)
            print(answer.stdout + answer.stderr, flush=True)
            codes.append(answer.returncode)
    return next(filter(None, codes), 0)


def package(arguments: argparse.Namespace) -> int:
    """Write the zip and have Blender's own validator look at it."""
    platform = None if arguments.platform == EVERY_PLATFORM else arguments.platform
    archive = extension.package(platform, ROOT / "dist")
    print(f"{archive.relative_to(ROOT)}  {archive.stat().st_size / 1e6:.1f} MB")
    try:
        complaint = extension.validate(archive)
    except UnavailableError as error:
        print(f"Not validated: {error}.")
        return 0
    print(complaint or "Valid by Blender's own validator.")
    return 1 if complaint else 0


def dev(arguments: argparse.Namespace) -> int:
    """Link the working tree into a Blender's extensions."""
    folders = extension.blender_folders()
    version = arguments.blender or next(reversed(folders), None)
    if version not in folders:
        sys.exit("No such Blender has been started by this user. Found: " + (", ".join(folders) or "none"))
    print(f"Linked as {extension.link(folders[version])}")
    print("Start Blender and enable LSR1 Body Fit in Preferences > Add-ons; after an edit: off and on again.")
    return 0


def main() -> int:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("demo", help="fit the sample walk in a Blender of its own")
    command.add_argument(
        "--out", metavar="DIR", type=Path, default=ROOT / "out" / "demo", help="default: out/demo"
    )
    command.set_defaults(run=demo)
    command = commands.add_parser("test", help="lint, types and tests: everything that CI runs")
    command.add_argument("pytest_arguments", nargs="*", help="passed on to pytest, after --")
    command.set_defaults(run=test)
    command = commands.add_parser("package", help="the extension's zip, in dist/")
    command.add_argument(
        "--platform",
        choices=[*extension.PLATFORMS, EVERY_PLATFORM],
        default=extension.this_platform() or EVERY_PLATFORM,
        help="default: this computer's; any: a small zip for all, which cannot detect people in pictures",
    )
    command.set_defaults(run=package)
    command = commands.add_parser("dev", help="the working tree as an extension of your Blender")
    command.add_argument("--blender", metavar="X.Y", help="which Blender; default: the newest")
    command.set_defaults(run=dev)
    arguments = parser.parse_args()
    try:
        return arguments.run(arguments)
    except (UnavailableError, FileExistsError) as error:
        sys.exit(f"build.py {arguments.command}: {error}")


if __name__ == "__main__":
    sys.exit(main())
