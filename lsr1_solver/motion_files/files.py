"""Which reader a motion file is for, and ROMP's folders of one file a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from ..errors import FitError
from ..keypoint_files.joblib_file import MAGIC as PICKLE_MAGIC
from ..keypoint_files.joblib_file import load_joblib
from ..keypoint_files.numbering import natural_key
from ..npz_file import load_npz
from . import amass, gvhmr, phalp, romp, torch_file, wham
from .records import Recording

_Document = Mapping[object, object]
_READERS: tuple[tuple[Callable[[_Document], bool], Callable[[_Document, str], Recording]], ...] = (
    (gvhmr.claims, gvhmr.read),
    (amass.claims_aist, amass.read_aist),
    (amass.claims, amass.read),
    (phalp.claims, phalp.read),
    (wham.claims, wham.read),
)
_KNOWN = "an .npz of AMASS or ROMP, a .pkl of AIST++, WHAM or 4D-Humans (PHALP), or a .pt of GVHMR is right"


def read_recording(path: Path) -> Recording:
    """The people of a motion file, or of a folder with ROMP's file a frame.

    Raises FitError where the file cannot be read, is damaged, or is none of the known kinds.
    """
    if path.is_dir():
        files = sorted(path.glob("*.npz"), key=lambda p: natural_key(p.name))
        if not files:
            raise FitError(f"The folder {path.name} holds no .npz of ROMP; choose a file: {_KNOWN}.")
        return romp.read([(p.stem, _romp_results(p)) for p in files], path.name)
    data = _bytes(path)
    if path.suffix.lower() == ".npz":
        values = load_npz(BytesIO(data), path.name, load_joblib, amass.KEYS | romp.KEYS)
        if "results" in values:
            return romp.read([(path.stem, values["results"])], path.name)
        return amass.read({**values}, path.name)
    if data.startswith(torch_file.MAGIC):
        document = torch_file.load_torch(data, path.name)
    elif data.startswith(PICKLE_MAGIC):
        document = load_joblib(data, path.name)
    else:
        raise FitError(f"{path.name} is no motion file: {_KNOWN}.")
    if isinstance(document, Mapping):
        for claims, read in _READERS:
            if claims(document):
                return read(document, path.name)
    raise FitError(f"{path.name} holds {_what(document)}: {_KNOWN}.")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FitError(f"{path} cannot be read: {error.strerror or error}.") from error


def _romp_results(path: Path) -> object:
    values = load_npz(BytesIO(_bytes(path)), path.name, load_joblib, romp.KEYS)
    if "results" not in values:
        raise FitError(f"{path.name} is no file of ROMP: it has no results. Choose a single file instead.")
    return values["results"]


def _what(document: object) -> str:
    if not isinstance(document, Mapping):
        return f"a {type(document).__name__}"
    some = ", ".join(str(key)[:40] for key in list(document)[:6])
    return f"a dictionary with {some}" if some else "an empty dictionary"
