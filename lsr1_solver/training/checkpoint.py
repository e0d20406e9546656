"""Checkpoints: a training that is interrupted goes on where it was."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import FitError

_log = logging.getLogger(__name__)


class Checkpoint:
    """The state of one training in a file, written whole or not at all, at most every ``seconds``.

    ``key`` tells trainings apart (the config and what the data are): another one's checkpoint is not resumed.
    """

    def __init__(self, path: Path, key: Mapping[str, object], seconds: float) -> None:
        """For the file at ``path``, which need not exist yet."""
        self.path = path
        self._key = json.dumps(key, sort_keys=True)
        self._seconds = seconds
        self._written = time.monotonic()

    def load(self) -> dict[str, object] | None:
        """The last state, or None where this training has none yet. FitError where the file is damaged."""
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True)
        except Exception as error:  # torch.load raises whatever a damaged file makes it stumble over
            raise FitError(f"{self.path} is damaged: delete it to begin again ({error})") from error
        if state.pop("key", None) != self._key:
            _log.info("%s belongs to another training: beginning again", self.path.name)
            return None
        return state

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._written >= self._seconds

    def save(self, state: Mapping[str, object]) -> None:
        """Write the state in place of the last one."""
        part = self.path.with_suffix(".part")
        torch.save({**state, "key": self._key}, part)
        part.replace(self.path)
        self._written = time.monotonic()
