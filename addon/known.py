"""Things of the file that are found again at a later tick, when they may have been renamed or deleted.

By then a thing's name may be another's: a new body gets the name of one that was deleted. The number that
Blender gives a thing for its session is never another's, and outlasts an undo.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import bpy

from ..lsr1_solver import FitError

_Thing = TypeVar("_Thing", bound=bpy.types.ID)


@dataclass(frozen=True)
class Known(Generic[_Thing]):
    """A thing by its ``number``; ``name`` is what it was called, for messages."""

    name: str
    number: int

    def among(self, things: Iterable[_Thing]) -> _Thing | None:
        """The thing, None where it is not among these: all of the file's, or those of a scene."""
        return next((thing for thing in things if thing.session_uid == self.number), None)

    def still_in(self: Known[bpy.types.Object], scene: bpy.types.Scene) -> bpy.types.Object:
        """The object. FitError where it is no longer in the scene."""
        thing = self.among(scene.objects)
        if thing is None:
            raise FitError(f"{self.name} is no longer in the scene")
        return thing


def known(thing: _Thing) -> Known[_Thing]:
    """What finds a thing again."""
    return Known(thing.name, thing.session_uid)
