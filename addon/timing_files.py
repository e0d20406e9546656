"""When each frame of a video is shown, from the files that tell it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from ..lsr1_solver import FitError

_MILLISECONDS = "# time"  # "# timestamp format v2", of mkvextract; earlier "# timecode format v2"
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
# Where ffprobe's JSON tells the time of a frame or packet, and in which lists.
_FFPROBE_LISTS, _FFPROBE_TIMES = ("frames", "packets"), ("pts_time", "best_effort_timestamp_time", "dts_time")


def read_times(path: str, count: int) -> np.ndarray:
    """The seconds at which frames are shown, one for each of ``count`` rows of keypoints. -> [B], ascending.

    Read are a JSON list of seconds, or one list of numbers in a JSON object; ``ffprobe -show_frames -of
    json``; ``mkvextract timestamps_v2`` (milliseconds); text with the seconds of a frame first in each line.
    FitError where the file is none of them, or tells fewer times than there are frames.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FitError(f"{file.name} can't be read as a list of times: {error}") from error
    times = _from_json(file, text) if text.lstrip()[:1] in ("[", "{") else _from_lines(text)
    if len(times) < count:
        raise FitError(f"{file.name} tells {len(times)} times; the keypoints have {count} frames")
    times = np.array(times[:count])
    if count < 2 or not np.all(np.isfinite(times)) or not np.all(np.diff(times) > 0):
        raise FitError(f"{file.name} has times that don't ascend; right is one a frame, in seconds")
    return times


def _from_json(file: Path, text: str) -> list[float]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise FitError(f"{file.name} is no whole JSON file: {error}") from error
    if isinstance(content, dict):
        probed = next((content[name] for name in _FFPROBE_LISTS if name in content), None)
        lists = [v for v in content.values() if isinstance(v, list) and v and _all_numbers(v)]
        if probed is not None:
            content = [next((one[k] for k in _FFPROBE_TIMES if k in one), None) for one in probed]
            content = sorted(float(time) for time in content if time not in (None, "N/A"))
        elif len(lists) == 1:
            content = lists[0]
    if not isinstance(content, list) or not _all_numbers(content):
        raise FitError(f"{file.name} holds no list of times: right is a JSON list of seconds, one a frame")
    return [float(time) for time in content]


def _all_numbers(values: list[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _from_lines(text: str) -> list[float]:
    unit = 0.001 if text.lstrip().startswith(_MILLISECONDS) else 1.0
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [_NUMBER.search(line) for line in lines]
    return [unit * float(number[0]) for number in found if number]
