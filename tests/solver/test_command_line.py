"""The command line, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.__main__ import main
from tests.shared import REPOSITORY

WALK = REPOSITORY / "assets" / "samples" / "walk" / "keypoints"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of the sample walk; nobody in frame 3, frame 7 absent."""
    folder = tmp_path_factory.mktemp("clip")
    for i, source in enumerate(sorted(WALK.glob("*.json"))[:12]):
        if i != 7:
            text = '{"people": []}' if i == 3 else source.read_text()
            (folder / f"clip_{i:012d}_keypoints.json").write_text(text)
    return folder


def run(clip: Path, out: Path, *more: str) -> int:
    arguments = ["fit", str(clip), "--image-size", "1080x1920", "--focal", "1674", "--format", "BODY_25B"]
    return main([*arguments, "-o", str(out / "pose.npz"), *more])


def test_a_clip_becomes_a_motion_a_report_and_a_picture(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    report, picture = tmp_path / "fit.json", tmp_path / "overlay.png"
    assert run(clip, tmp_path, "--report", str(report), "--picture", str(picture), "--frame-rate", "60") == 0
    with np.load(tmp_path / "pose.npz", allow_pickle=False) as motion:
        assert motion["poses"].shape == (12, 156)
        assert float(motion["mocap_framerate"]) == 60
        assert all(np.all(np.isfinite(motion[k])) for k in ("poses", "trans", "betas"))
    figures = json.loads(report.read_text())
    assert figures["frames_bridged"] == [3, 7] and figures["frames_fitted"] == 10
    assert figures["reprojection_percent"] < 2
    assert [f["frame"] for f in figures["frames"]] == list(range(12))
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "10 frames fitted, 2 without keypoints bridged" in said
    assert "% of the person's height" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.json", "overlay.png", "pose.npz"]


@pytest.mark.parametrize("minimizer", ["lbfgs", "sr1", "adam"])
def test_every_minimizer_can_be_chosen(clip: Path, tmp_path: Path, minimizer: str) -> None:
    assert run(clip, tmp_path, "--minimizer", minimizer) == 0


def test_what_camera_was_assumed_is_said(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fit", str(clip), "--image-size", "1080x1920", "-o", str(tmp_path / "pose.npz")])
    assert "assumed: 50 degree field of view" in capsys.readouterr().out
    main(["fit", str(clip), "--image-size", "1080x1920", "--lens", "28", "-o", str(tmp_path / "pose.npz")])
    assert "28 mm lens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--person", "9"], "person"),
        (["--lens", "-3"], "Lens"),
        (["--body", "missing.npz"], "missing.npz"),
        (["--report", "no/such/folder/fit.json"], "no/such/folder"),
        (["--picture", "{out}/overlay.docx"], ".docx"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    clip: Path, tmp_path: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [m.format(out=tmp_path) for m in more]
    arguments = ["fit", str(clip), "--image-size", "1080x1920", "--format", "BODY_25B"]
    assert main([*arguments, "-o", str(tmp_path / "pose.npz"), *given]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and "\n" not in said and words in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--image-size", "1080"], "1280x720"),
        (["--minimizer", "newton"], "choose from"),
        (["--lens", "35", "--focal", "1000"], "--lens"),
        (["--lens", "wide"], "wide"),
        (["--frame-rate", "0"], "frames a second"),
        (["--frame-rate", "nan"], "frames a second"),
        (["--speed", "9"], "--speed"),
    ],
)
def test_a_wrong_option_is_one_line_too(
    clip: Path, tmp_path: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(clip), "-o", str(tmp_path / "pose.npz"), *more])
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert said.startswith("error: ") and "\n" not in said and words in said
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_refused_by_the_name_that_was_given(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    picture = tmp_path / "overlay.docx"
    assert run(clip, tmp_path, "--picture", str(picture)) == 2
    assert str(picture) in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pose.npz").mkdir()
    assert run(clip, tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'pose.npz'}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["pose.npz"]


def test_a_failed_run_leaves_an_older_result_alone(clip: Path, tmp_path: Path) -> None:
    old = tmp_path / "pose.npz"
    old.write_bytes(b"precious")
    assert run(clip, tmp_path, "--picture", str(tmp_path / "overlay.docx")) == 2
    assert old.read_bytes() == b"precious"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_nothing_heavy_is_imported_before_its_first_use() -> None:
    heavy = "('torch', 'bpy', 'cv2', 'scipy', 'smplx')"
    done = python("-c", f"import sys, lsr1_solver.__main__; print([m for m in {heavy} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_the_module_runs() -> None:
    wrong = python("-m", "lsr1_solver", "fit", "x.json", "--image-size", "big", "-o", "pose.npz")
    assert wrong.returncode == 2 and "1280x720" in wrong.stderr
