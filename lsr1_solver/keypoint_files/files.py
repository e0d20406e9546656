"""Which reader a file is for, and folders of one file a frame."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import FitError
from ..text_files import decoded
from . import coco, deeplabcut, freemocap, mediapipe, mediapipe_csv, mmpose, openpose, own, phalp, poseflow
from .joblib_file import MAGIC
from .numbering import natural_key
from .records import Clip, Frame, Json, kind_of
from .tables import parse

_log = logging.getLogger(__name__)

_JSON_READERS: tuple[tuple[Callable[[Json], bool], Callable[[Json, str], Clip]], ...] = (
    (own.claims, own.read),
    (openpose.claims, openpose.read),
    (coco.claims_annotations, coco.read_annotations),
    (mmpose.claims, mmpose.read),
    (coco.claims_results, coco.read_results),
    (poseflow.claims, poseflow.read),
    (mediapipe.claims, mediapipe.read),
)
_KNOWN = (
    "JSON of OpenPose, COCO, AlphaPose, MMPose or MediaPipe, a CSV of MediaPipe, DeepLabCut or FreeMoCap, "
    "or a .pkl of PHALP"
)
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
_OPENPOSE_ENDING = "_keypoints"
_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib")


class UnknownKindError(FitError):
    """A file that may be whole but holds no keypoints."""


def read_file(path: Path, place: str | None = None) -> Clip:
    """What a file holds. A frame without a label of its own is labelled with the file's name.

    Raises FitError where the file is none of the known kinds, or not whole.
    """
    place = place or path.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FitError(f"{place} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() in _PICKLE_ENDINGS and data.startswith(MAGIC):
        return phalp.read(data, place)
    text = _text(data, place)
    clip = _read_json(text, place) if text[:1] in ("{", "[") else _read_table(text, place)
    if len(clip.frames) == 1 and clip.frames[0].label is None:
        clip = replace(clip, frames=(replace(clip.frames[0], label=_stem(path)),))
    return clip


def read_folder(folder: Path) -> Clip:
    """A folder of one JSON file a frame, or with a single file of any kind.

    Where some names end in ``_keypoints.json``, OpenPose's ending, other files are left alone, and so is JSON
    of no known kind whose name has no number (notes beside the frames). Raises FitError for an empty folder,
    for files of different kinds and for several clip-long files.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FitError(f"The folder {folder.name} cannot be read: {error.strerror}.") from error
    files = [p for p in entries if p.is_file() and not p.name.startswith(".")]
    found = [p for p in files if p.suffix.lower() == ".json"]
    found = [p for p in found if p.stem.endswith(_OPENPOSE_ENDING)] or found
    found = found or [p for p in files if p.suffix.lower() in (".csv", ".tsv")]
    if not found:
        inner = [p.name for p in entries if p.is_dir()]
        hint = f" It holds the folders {', '.join(inner[:5])}: choose one of them." if inner else ""
        raise FitError(f"The folder {folder.name} holds no keypoint file (.json or .csv).{hint}")
    found.sort(key=lambda p: natural_key(p.name))
    clips: dict[Path, Clip] = {}
    for path in found:
        try:
            clips[path] = read_file(path, f"{folder.name}/{path.name}")
        except UnknownKindError:
            if len(found) == 1 or re.search(r"\d", path.stem):
                raise
            _log.warning("%s/%s holds no keypoints and is left out.", folder.name, path.name)
    if len(clips) == 1:
        return next(iter(clips.values()))
    return _one_clip(list(clips), list(clips.values()), folder.name)


def _one_clip(files: list[Path], clips: list[Clip], folder: str) -> Clip:
    """The clip of files that hold a frame each."""
    if not clips:
        raise FitError(f"The folder {folder} holds no keypoints; right is {_KNOWN}.")
    telling = [i for i, clip in enumerate(clips) if any(clip.people())] or [0]
    first = clips[telling[0]]
    frames = []
    for path, clip in zip(files, clips, strict=True):
        if clip.family not in (first.family, ""):
            raise FitError(
                f"The folder {folder} mixes kinds: {files[telling[0]].name} is {first.family} and "
                f"{path.name} is {clip.family}; right are files of one kind."
            )
        if len(clip.frames) > 1:
            raise FitError(
                f"The folder {folder} holds {len(files)} files and {path.name} alone has {len(clip.frames)} "
                "frames; right is the path of that file."
            )
        people = clip.frames[0].people if clip.frames else ()
        frames.append(Frame(_stem(path), people))
    return replace(first, frames=tuple(frames))


def _stem(path: Path) -> str:
    """The name whose digits number the frame."""
    return path.stem.removesuffix(_OPENPOSE_ENDING)


def _text(data: bytes, place: str) -> str:
    """The text of a file without a byte order mark and leading blanks. FitError where it is no text."""
    packed = next((kind for begin, kind in _PACKED.items() if data.startswith(begin)), None)
    if packed is not None:
        raise FitError(f"{place} is packed ({packed}); unpack it, and take the file that is in it.")
    try:
        text = decoded(data).lstrip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FitError(f"{place} is no text file; right is {_KNOWN}.")
    if not text:
        raise FitError(f"{place} is empty; right is {_KNOWN}.")
    return text


def _read_json(text: str, place: str) -> Clip:
    try:
        document: Json = json.loads(text)
    except json.JSONDecodeError as error:
        document = dict(poseflow.whole_pictures(text, place))
        if not document:
            raise FitError(
                f"{place}, line {error.lineno} column {error.colno}: no valid JSON ({error.msg}); "
                "right is the whole file as the detector wrote it."
            ) from error
    except RecursionError:
        raise FitError(f"{place} nests too deep for a keypoint file; right is {_KNOWN}.") from None
    for claims, read in _JSON_READERS:
        if claims(document):
            return read(document, place)
    if document in ([], {}):
        return Clip("", ())
    found = f"the names {', '.join(list(document)[:6])}" if isinstance(document, dict) else kind_of(document)
    raise UnknownKindError(f"{place} is JSON of no known kind (it holds {found}); right is {_KNOWN}.")


def _read_table(text: str, place: str) -> Clip:
    table = parse(text, place)
    if len(table.rows) > 1:
        if deeplabcut.claims(table):
            return deeplabcut.read(table)
        if freemocap.claims(table):
            return freemocap.read(table)
    clip = mediapipe_csv.read(table)
    if clip is None:
        raise FitError(
            f"{table.where(0)}: {text[:40].splitlines()[0]!r} begins no known table; right is {_KNOWN}."
        )
    return clip
