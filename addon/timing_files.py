"""When each frame of a video is shown, from the files that tell it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from ..lsr1_solver import FitError
from ..lsr1_solver.text_files import decoded

_MILLISECONDS = "# time"  # "# timestamp format v2", of mkvextract; earlier "# timecode format v2"
# Seconds from one frame to the next, on average: longer ones are milliseconds.
_SHORTEST, _LONGEST = 1e-5, 10.0
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
# Where ffprobe's JSON tells the time of a frame or packet, and in which lists; the first ones are newer.
_FFPROBE_LISTS = ("frames", "packets")
_FFPROBE_TIMES = ("pts_time", "pkt_pts_time", "best_effort_timestamp_time", "dts_time", "pkt_dts_time")
# What it calls the kind of what it tells of: sound has times, too.
_FFPROBE_KINDS = ("media_type", "codec_type")


def read_times(path: str, count: int, *, before: int = 0) -> np.ndarray:
    """The seconds at which frames are shown, one for each of ``count`` rows of keypoints. -> [B], ascending.

    Where the file tells of the whole video, the first of them is that of the frame with so many ``before``.

    Read are a JSON list of seconds, or one list of numbers in a JSON object; ``ffprobe -show_frames -of
    json``; ``mkvextract timestamps_v2`` (milliseconds); text with the seconds of a frame first in each line.
    FitError where the file is none of them, or tells fewer times than there are frames.
    """
    file = Path(path)
    try:
        text = decoded(file.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise FitError(f"{file.name} can't be read as a list of times: {error}") from error
    times = _from_json(file, text) if text.lstrip()[:1] in ("[", "{") else _from_lines(text)
    if len(times) < count:
        raise FitError(f"{file.name} tells {len(times)} times; the keypoints have {count} frames")
    first = before if before + count <= len(times) else 0
    times = np.array(times[first : first + count])
    if count < 2 or not np.all(np.isfinite(times)) or not np.all(np.diff(times) > 0):
        raise FitError(f"{file.name} has times that don't ascend; right is one a frame, in seconds")
    apart = (times[-1] - times[0]) / (count - 1)
    if not _SHORTEST <= apart <= _LONGEST:
        raise FitError(f"{file.name} tells a frame every {apart:.4g} seconds; right are seconds, one a frame")
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
            content = _probed_times(file, probed)
        elif len(lists) == 1:
            content = lists[0]
    if not isinstance(content, list) or not _all_numbers(content):
        raise FitError(f"{file.name} holds no list of times: right is a JSON list of seconds, one a frame")
    return [float(time) for time in content]


def _probed_times(file: Path, probed: object) -> list[float]:
    """The times of the pictures of the first video stream that ffprobe tells of, ascending."""
    ones = [one for one in probed if isinstance(one, dict)] if isinstance(probed, list) else []
    videos = [one for one in ones if all(one.get(kind, "video") == "video" for kind in _FFPROBE_KINDS)]
    videos = [one for one in videos if one.get("stream_index") == videos[0].get("stream_index")]
    told = [next((one[k] for k in _FFPROBE_TIMES if one.get(k, "N/A") != "N/A"), None) for one in videos]
    try:
        return sorted(float(time) for time in told if time is not None)
    except (TypeError, ValueError) as error:
        raise FitError(f"{file.name} has a time that is no number: {error}") from error


def _all_numbers(values: list[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _from_lines(text: str) -> list[float]:
    unit = 0.001 if text.lstrip().startswith(_MILLISECONDS) else 1.0
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [_NUMBER.search(line) for line in lines]
    return [unit * float(number[0]) for number in found if number]
