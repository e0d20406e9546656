"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .errors import FitError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside the target and move into place, so that nobody finds half a file.

    Raises ``FitError`` where the file cannot be written; an older one is then left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                write(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FitError(f"{path} cannot be written: {error.strerror or error}.") from error
