"""A folder of clips: each is fitted once, what was killed is done again, and failures are told."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsr1_solver.__main__ import main, parser
from lsr1_solver.batch import find_clips, part
from lsr1_solver.errors import FitError
from tests.shared import REPOSITORY

WALK = sorted((REPOSITORY / "assets" / "samples" / "walk" / "keypoints").glob("*.json"))
OPTIONS = ["--image-size", "1080x1920", "--focal", "1674", "--format", "BODY_25B"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of two frames, and a file that is no clip's."""
    for n, name in enumerate(("walk1", "walk2", "walk10")):
        clip = tmp_path / "clips" / name
        clip.mkdir(parents=True)
        for source in WALK[2 * n : 2 * n + 2]:
            shutil.copy(source, clip)
    (tmp_path / "clips" / "notes.txt").write_text("about the clips")
    return tmp_path / "clips"


def test_every_clip_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(folder), *OPTIONS, "--jobs", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:3]] == [
        "fitted    walk1", "fitted    walk2", "fitted    walk10"
    ]  # fmt: skip
    assert said[3] == "3 clips, 6 frames: 3 fitted, 0 failed"
    results = folder / "fits"
    report = json.loads((results / "report.json").read_text())["clips"]
    assert [clip["frames"] for clip in report] == [2, 2, 2]
    assert all(0 < clip["reprojection_percent"] < 3 for clip in report)
    made = {path.name: path.stat().st_mtime_ns for path in results.glob("*.npz")}
    assert sorted(made) == ["walk1.npz", "walk10.npz", "walk2.npz"]
    # Again: nothing is done twice, and what changed is done again.
    shutil.copy(WALK[9], folder / "walk2")
    assert main(["batch", str(folder), *OPTIONS]) == 0
    said = capsys.readouterr().out
    assert "finished  walk1:" in said and "fitted    walk2: 3 frames" in said
    assert (results / "walk1.npz").stat().st_mtime_ns == made["walk1.npz"]
    assert sorted(path.suffix for path in results.glob("walk1.*")) == [".done", ".json", ".npz"]


def test_failures_are_told_and_the_rest_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "walk2" / WALK[2].name).write_text("{")
    assert main(["batch", str(folder), *OPTIONS]) == 2
    said = capsys.readouterr()
    assert "failed    walk2: " in said.out and WALK[2].name in said.out
    assert said.err.strip() == "error: 1 of 3 clips failed: walk2"
    assert sorted(path.name for path in (folder / "fits").glob("*.npz")) == ["walk1.npz", "walk10.npz"]
    failures = [c["failure"] for c in json.loads((folder / "fits" / "report.json").read_text())["clips"]]
    assert failures[0] is None and WALK[2].name in failures[1]


def test_a_killed_batch_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "lsr1_solver", "batch", str(folder), *OPTIONS]
    batch = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (folder / "fits" / "walk1.done").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(batch.pid, signal.SIGKILL)
    batch.wait()
    assert main(["batch", str(folder), *OPTIONS]) == 0
    said = capsys.readouterr().out
    assert "finished  walk1:" in said and "fitted    walk10:" in said
    assert len(list((folder / "fits").glob("*.npz"))) == 3


def test_parts_are_all_and_none_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        assert main(["batch", str(folder), *OPTIONS, "--part", f"{number}/2"]) == 0
    said = capsys.readouterr().out
    assert said.count("fitted    ") == 3 and "finished" not in said
    assert not (folder / "fits" / "report.json").exists()
    for wrong in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(argparse.ArgumentTypeError):
            part(wrong)


def test_what_is_no_folder_of_clips(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong, words in ((tmp_path / "empty", "holds no clip"), (tmp_path / "absent", "is no folder")):
        with pytest.raises(FitError, match=words):
            find_clips(wrong, wrong / "fits")
    (folder / "a_000000000001_keypoints.json").write_text("{}")
    with pytest.raises(FitError, match="holds frames of a clip"):
        find_clips(folder, folder / "fits")


FLAMENCO = """
const fs = require("fs"), vm = require("vm");
const made = [];
const author = {
    Task(name, type) {
        return { name, type, commands: [], dependencies: [],
                 addCommand(command) { this.commands.push(command); },
                 addDependency(task) { this.dependencies.push(task.name); } };
    },
    Command(name, parameters) { return { name, parameters }; },
};
const settings = JSON.parse(process.argv[2]);
const job = { settings, addTask(task) { made.push(task); } };
const script = fs.readFileSync(process.argv[1], "utf8");
const context = { author, job, print() {} };
const type = vm.runInNewContext(script + "; for (const s of JOB_TYPE.settings) " +
    "if (!(s.key in job.settings)) job.settings[s.key] = s.default; compileJob(job); JOB_TYPE", context);
console.log(JSON.stringify({ type, tasks: made }));
"""


def compile_job(**settings: object) -> subprocess.CompletedProcess[str]:
    """The job type's script under Node, with the objects that Flamenco documents."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node to run the script: no node is on the path")
    script = REPOSITORY / "assets" / "flamenco" / "lsr1_fit.js"
    command = [node, "-e", FLAMENCO, str(script), json.dumps(settings)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_flamenco_job_is_made_of_this_command() -> None:
    done = compile_job(folder="/clips", parts=3, lens=35.0, image_size="1920x1080")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    kinds = {setting["type"] for setting in made["type"]["settings"]}
    assert kinds <= {"string", "int32", "float", "bool"} and made["type"]["label"]
    *fits, report = made["tasks"]
    assert [task["name"] for task in fits] == ["fit-1-of-3", "fit-2-of-3", "fit-3-of-3"]
    assert report["dependencies"] == [task["name"] for task in fits]
    for number, task in enumerate([*fits, report], start=1):
        (command,) = task["commands"]
        assert command["name"] == "exec" and command["parameters"]["exe"] == "{python}"
        # The command line itself understands what the script writes.
        module, *arguments = command["parameters"]["args"][1:]
        options = parser().parse_args(arguments)
        assert module == "lsr1_solver" and options.folder == Path("/clips") and options.lens == 35
        assert options.image_size == (1920, 1080) and options.frame_rate is None and options.output is None
        assert options.part == ((number, 3) if task is not report else None)


def test_a_flamenco_job_without_parts_is_refused() -> None:
    done = compile_job(folder="/clips", parts=0)
    assert done.returncode and "at least 1 is needed" in done.stderr
