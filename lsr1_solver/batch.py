"""``python -m lsr1_solver batch FOLDER``: every clip of a folder, a process a clip, resumed after a kill.

A clip is finished when a note beside its result says of which files and with which options it was made; the
note is written last, whole or not at all. What is half done when the computer stops is done again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import FitError
from .keypoint_files.numbering import natural_key
from .picture_files import MOVIE_ENDINGS, PICTURE_ENDINGS
from .whole_file import write_whole

_KEYPOINT_ENDINGS = frozenset({".json", ".csv", ".tsv", ".pkl", ".pickle", ".joblib"})
_FRAME_ENDING = "_keypoints.json"
_RESULTS = "fits"
# Options of ``fit`` that go on to it, by their names in the parsed arguments.
_FORWARDED = {
    "image_size": "--image-size", "format": "--format", "person": "--person", "lens": "--lens",
    "focal": "--focal", "body": "--body", "minimizer": "--minimizer", "frame_rate": "--frame-rate",
}  # fmt: skip
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class ClipResult:
    """What became of a clip: fitted now, ``skipped`` because it was finished, or failed for a reason."""

    clip: str
    skipped: bool
    frames: int = 0
    reprojection_percent: float | None = None
    failure: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``batch`` that ``fit`` has not."""
    add = parser.add_argument
    add("folder", type=Path, help="keypoint files and folders, movies and folders of pictures: each a clip")
    add("-o", "--output", type=Path, help=f"the results' folder (default: {_RESULTS} in the folder)")
    add("--jobs", type=int, default=1, metavar="N", help="clips fitted at the same time (default: 1)")
    add("--part", type=part, metavar="I/N", help="only the I-th of N parts of the clips, for many computers")


def part(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8)."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: write I/N, such as 2/8, I from 1 to N")
    return int(first), int(count)


def run_batch(options: argparse.Namespace) -> None:
    """Fit every clip that is not finished, and say what became of each. FitError where any failed."""
    if options.jobs < 1:
        raise FitError(f"--jobs is {options.jobs}; at least 1 is needed")
    output = options.output or options.folder / _RESULTS
    clips = find_clips(options.folder, output)
    names = _result_names(clips)
    if options.part:
        first, count = options.part
        clips = clips[first - 1 :: count]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FitError(f"{output} cannot be made: {error.strerror}") from error
    forwarded = list(_forwarded(options))
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(fit_clip, clip, output / names[clip], forwarded) for clip in clips]
        results = []
        try:
            for future in waiting:
                results.append(future.result())
                print(_line(results[-1]), flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if options.part is None:
        _write_json(output / "report.json", {"clips": [asdict(result) for result in results]})
    failed = [result.clip for result in results if result.failure]
    frames = sum(result.frames for result in results)
    print(f"{len(results)} clips, {frames} frames: {len(results) - len(failed)} fitted, {len(failed)} failed")
    if failed:
        raise FitError(f"{len(failed)} of {len(results)} clips failed: {', '.join(failed)}")


def find_clips(folder: Path, output: Path) -> list[Path]:
    """The clips of a folder in their order: keypoint files, movies, and folders with either or pictures.

    The results' folder is none. FitError where there is no clip, or where the folder is one itself.
    """
    if not folder.is_dir():
        raise FitError(f"{folder} is no folder; a folder with clips in it is right")
    entries = [
        p for p in folder.iterdir() if not p.name.startswith(".") and p.absolute() != output.absolute()
    ]
    frames = [p for p in entries if p.name.endswith(_FRAME_ENDING) or p.suffix.lower() in PICTURE_ENDINGS]
    if frames:
        raise FitError(
            f"{folder} holds frames of a clip, such as {frames[0].name}: give the folder above it, or use fit"
        )
    files = [p for p in entries if p.is_file() and p.suffix.lower() in _KEYPOINT_ENDINGS | MOVIE_ENDINGS]
    folders = [p for p in entries if p.is_dir() and _has_frames(p)]
    if not files and not folders:
        raise FitError(
            f"{folder} holds no clip: no keypoint file, no movie, no folder with either or pictures"
        )
    return sorted(files + folders, key=lambda p: natural_key(p.name))


def _has_frames(folder: Path) -> bool:
    endings = {p.suffix.lower() for p in folder.iterdir()}
    return bool(endings & (_KEYPOINT_ENDINGS | PICTURE_ENDINGS))


def _result_names(clips: list[Path]) -> dict[Path, str]:
    """A name of its own for each clip's results: without the ending where that is enough."""
    stems = [clip.stem for clip in clips]
    return {c: c.stem if stems.count(c.stem) == 1 else c.name for c in clips}


def _forwarded(options: argparse.Namespace) -> Iterator[str]:
    for name, flag in _FORWARDED.items():
        value = getattr(options, name)
        if value is None:
            continue
        yield flag
        if name == "image_size":
            yield f"{value[0]}x{value[1]}"
        else:
            yield str(value.absolute()) if isinstance(value, Path) else str(value)


def fit_clip(clip: Path, result: Path, forwarded: list[str]) -> ClipResult:
    """Fit one clip in a process of its own, unless it is finished.

    ``result`` is the path of its files without an ending: the motion ``.npz``, the report ``.json`` and the
    note ``.done``. ``forwarded`` are ``fit``'s options.
    """
    motion, report, note = (result.with_name(result.name + end) for end in (".npz", ".json", ".done"))
    made_of = {"files": _fingerprint(clip), "options": forwarded}
    if motion.is_file() and _read_json(note) == made_of and (figures := _read_json(report)):
        return _result(clip, figures, skipped=True)
    # Until it is written again, nothing that lies here is finished.
    note.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lsr1_solver", "fit", str(clip.absolute()), *forwarded]
    command += ["-o", str(motion.absolute()), "--report", str(report.absolute())]
    package = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**dict.fromkeys(_ONE_THREAD, "1"), **os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"]
        return ClipResult(clip.name, False, failure=lines[-1].removeprefix("error: "))
    _write_json(note, made_of)
    return _result(clip, _read_json(report) or {}, skipped=False)


def _result(clip: Path, figures: dict[str, object], *, skipped: bool) -> ClipResult:
    frames, percent = figures.get("frames_fitted"), figures.get("reprojection_percent")
    return ClipResult(
        clip.name,
        skipped,
        frames if isinstance(frames, int) else 0,
        float(percent) if isinstance(percent, int | float) else None,
    )


def _fingerprint(clip: Path) -> list[str]:
    """What tells whether a clip's files are the ones that were fitted: names, sizes and times."""
    files = sorted(clip.iterdir()) if clip.is_dir() else [clip]
    return [f"{p.name} {(s := p.stat()).st_size} {s.st_mtime_ns}" for p in files if p.is_file()]


def _read_json(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    write_whole(path, lambda file: file.write((json.dumps(values, indent=1) + "\n").encode()))


def _line(result: ClipResult) -> str:
    if result.failure:
        return f"failed    {result.clip}: {result.failure}"
    kind = "finished " if result.skipped else "fitted   "
    error = (
        "" if result.reprojection_percent is None else f", {result.reprojection_percent:.2f} % of the height"
    )
    return f"{kind} {result.clip}: {result.frames} frames{error}"
