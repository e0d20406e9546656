"""The commands of build.py and of the README, run as a stranger runs them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsr1_solver import read_keypoints
from lsr1_solver.keypoint_files import write_keypoints
from tests.blender.environments import INSIDE, each_blender, run_inside
from tests.shared import REPOSITORY
from tools import extension
from tools.demo import some_blender
from tools.environments import BLENDERS, Blender, UnavailableError

SECONDS = 300
# What Python itself says; `WARNING: ` is our own word to the user.
COMPLAINT = re.compile(r"Traceback|[a-z]Warning\b")


def command(*arguments: str, tree: Path = REPOSITORY, home: Path | None = None) -> str:
    """Run build.py and return what it says; it must succeed."""
    environment = dict(os.environ) | ({"HOME": str(home)} if home else {})
    environment.pop("XDG_CONFIG_HOME", None)
    answer = subprocess.run(
        [sys.executable, "build.py", *arguments],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert not COMPLAINT.search(answer.stdout + answer.stderr), answer.stdout + answer.stderr
    return answer.stdout


def readme_commands() -> list[str]:
    """The lines of the README's shell blocks, without their comments."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    whole = [block.replace("\\\n", " ") for block in blocks]
    lines = [line.partition("#")[0].strip() for block in whole for line in block.splitlines()]
    return [line for line in lines if line]


BUILD = re.compile(r"python build\.py (demo|test|package|dev)\b")
NOT_OURS = re.compile(r"(git clone|cd) ")


def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    """Those of build.py have tests of their own; the solver's are run where they may write."""
    (tmp_path / "assets").symlink_to(REPOSITORY / "assets", target_is_directory=True)
    (tmp_path / "FOLDER").mkdir()
    walk = REPOSITORY / "assets" / "samples" / "walk" / "keypoints"
    person = read_keypoints(walk, format="BODY_25B", image_size=(1080, 1920))[:1]
    write_keypoints(tmp_path / "FOLDER" / "walk.json", person)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for line in readme_commands():
        if BUILD.match(line) or NOT_OURS.match(line):
            continue
        assert line.startswith("python -m lsr1_solver "), f"no test runs {line!r}"
        words = [sys.executable, *shlex.split(line)[1:]]
        answer = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert answer.returncode == 0, f"{line}\n{answer.stderr}"
        assert not COMPLAINT.search(answer.stderr), f"{line}\n{answer.stderr}"


def test_every_piece_of_python_in_the_readme_runs() -> None:
    """One after the other, as somebody who reads on would type them."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    pieces = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert pieces
    answer = subprocess.run(
        [sys.executable, "-c", "\n".join(pieces)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert answer.returncode == 0, answer.stderr


def test_help_names_every_command() -> None:
    assert {"demo", "test", "package", "dev"} <= set(re.findall(r"\w+", command("--help")))


def test_package_writes_the_zip_and_validates_it() -> None:
    said = command("package")
    version = extension.manifest()["version"]
    platform = extension.this_platform()
    name = f"lsr1_body_fit-{version}" + (f"-{platform}.zip" if platform else ".zip")
    assert name in said
    assert (REPOSITORY / "dist" / name).is_file()
    assert "Valid by" in said or "Not validated" in said


def test_demo_writes_what_it_promises(tmp_path: Path) -> None:
    try:
        python = some_blender()
    except UnavailableError as error:
        pytest.skip(str(error))
    said = command("demo", "--out", str(tmp_path / "demo"))
    assert "100 frames, " in said
    picture = np.asarray(Image.open(tmp_path / "demo" / "demo.png").convert("L"))
    assert picture.shape == (1920, 1080)
    assert np.std(picture) > 20
    motion = np.load(tmp_path / "demo" / "pose.npz")
    assert motion["poses"].shape[0] == motion["trans"].shape[0] == 100
    blender = next(b for b in BLENDERS if f"bpy-{b.version}" in str(python))
    look = [str(INSIDE / "look.py"), str(tmp_path / "demo" / "demo.blend")]
    assert "as described" in run_inside(blender, look, tmp_path / "resources")


@pytest.mark.skipif(sys.platform != "linux", reason="Blender's user folder is elsewhere on each system")
@each_blender
def test_dev_shows_an_edit_in_blender(blender: Blender, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copied = [
        *extension.packaged_files(),
        *extension.wheels(extension.this_platform()),
        REPOSITORY / "build.py",
    ]
    copied += [REPOSITORY / "wheels.txt", *(REPOSITORY / "tools").glob("*.py")]
    for path in copied:
        target = tree / path.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    user_folder = tmp_path / ".config" / "blender" / blender.version
    user_folder.mkdir(parents=True)
    assert str(user_folder) in command("dev", tree=tree, home=tmp_path)
    assert "the edit was seen" in run_inside(blender, [str(INSIDE / "linked.py"), str(tree)], user_folder)
