"""What modal operators share that keep to the scene in which they began, whatever a window shows by then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TypeVar

import bpy

from ...lsr1_solver import FitError
from ..known import Known, known

_Own = TypeVar("_Own", bound=bpy.types.Operator)
_Modal = Callable[[_Own, bpy.types.Context, bpy.types.Event], set[str]]


@contextmanager
def called_off(operator: bpy.types.Operator, context: bpy.types.Context) -> Iterator[None]:
    """The operator is called off where what is done meanwhile fails. FitError ends here and is told to the
    user; of what nobody expects Blender tells the operator nothing, and drops it.
    """
    try:
        yield
    except FitError as error:
        operator.cancel(context)
        operator.report({"ERROR"}, str(error))
    except Exception:
        operator.cancel(context)
        raise


def or_called_off(modal: _Modal[_Own]) -> _Modal[_Own]:
    """An operator's ``modal`` that is `called_off` where it fails."""

    @wraps(modal)
    def guarded(self: _Own, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        with called_off(self, context):
            return modal(self, context, event)
        return {"CANCELLED"}

    return guarded


class InOwnScene:
    """What a modal operator inherits beside Blender's own class; it begins with ``begin_here``."""

    _scene: Known[bpy.types.Scene]
    _began_at: float
    # Every workspace has a status bar of its own: those that it has written to.
    _written: tuple[Known[bpy.types.WorkSpace], ...] = ()

    def begin_here(self, context: bpy.types.Context) -> None:
        """The context's scene is the operator's, at its frame."""
        self._scene, self._began_at = known(context.scene), context.scene.frame_current_final

    def own_scene(self) -> bpy.types.Scene | None:
        """The scene in which it began; None where that was deleted."""
        return self._scene.among(bpy.data.scenes)

    def scene_lost(self, context: bpy.types.Context) -> str:
        """Why the context's scene is not the operator's any more, as half a sentence; "" where it is."""
        own = self.own_scene()
        if own == context.scene:
            return ""
        return f"its scene was {'deleted' if own is None else 'left'}"

    def frame_lost(self, context: bpy.types.Context) -> str:
        """As ``scene_lost``, and whether the scene is at another frame."""
        left = context.scene.frame_current_final != self._began_at
        return self.scene_lost(context) or ("its frame was left" if left else "")

    def set_status(self, context: bpy.types.Context, words: str) -> None:
        """Write into the status bar that is shown now."""
        shown = known(context.workspace)
        if shown not in self._written:
            self._written = (*self._written, shown)
        context.workspace.status_text_set(words)

    def clear_status(self, context: bpy.types.Context) -> None:
        """Every status bar that it has written to is Blender's again."""
        for written in self._written:
            workspace = written.among(bpy.data.workspaces)
            if workspace is not None:
                # Blender takes the context's workspace, whichever is asked.
                with context.temp_override(workspace=workspace):
                    workspace.status_text_set(None)
        self._written = ()
