"""Work that takes longer than a moment, done in slices between Blender's own events."""

import time

import bpy

from ...lsr1_solver import FitError
from .common import in_scene, over_panel, redraw
from .own_scene import InOwnScene, called_off, or_called_off

TICK = 0.01  # seconds
# The view may be turned meanwhile; everything else waits.
PASSED_ON = {
    "MOUSEMOVE",
    "INBETWEEN_MOUSEMOVE",
    "MIDDLEMOUSE",
    "WHEELUPMOUSE",
    "WHEELDOWNMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
}


class InSlices(InOwnScene):
    """What an operator inherits beside Blender's own class: modal with Esc, or all at once in the background.

    The operator fills in ``begin``, ``step``, ``show``, ``finish`` and ``give_up``. FitError from any of them
    ends the work, brings everything back and is reported.
    """

    # Seconds of work between two of Blender's events.
    time_slice = 0.015
    # Seconds of work before Blender's events have their first turn. What is done by then never counts as
    # running: a button that goes grey while the mouse is over it stays so until the mouse has left it.
    patience = 0.0
    # Whether what it does is about the frame that is shown: it ends where that is left.
    of_one_frame = False
    # Kinds of editors to draw again beside the 3D views.
    shown_in: tuple[str, ...] = ()
    cancelled = "Cancelled: everything is as it was"

    _timer: bpy.types.Timer | None = None

    def begin(self, context: bpy.types.Context) -> None:
        """Get ready. FitError where the work cannot begin; nothing may have changed then."""
        raise NotImplementedError

    def step(self, context: bpy.types.Context) -> bool:
        """A piece of the work, as small as it can be; False when there was none left."""
        raise NotImplementedError

    def show(self, context: bpy.types.Context) -> None:
        """After a slice: what the user sees of the work, and how far it is."""

    def finish(self, context: bpy.types.Context) -> None:
        """Keep what came of it, and report."""
        raise NotImplementedError

    def give_up(self, context: bpy.types.Context, scene: bpy.types.Scene | None) -> None:
        """Bring everything back to how it was before ``begin``.

        The scene is the context's; None where it was deleted: the context's is then another.
        """

    def interrupt(self, context: bpy.types.Context) -> set[str]:
        """Esc, or the panel's Cancel."""
        self.cancel(context)
        self.report({"INFO"}, self.cancelled)
        return {"CANCELLED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """All at once: for scripts, and where there is no window."""
        if not self._began(context):
            return {"CANCELLED"}
        with called_off(self, context):
            while self.step(context):
                pass
            return self.end(context)
        return {"CANCELLED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin, and go on with every tick."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        return self.start(context)

    def start(self, context: bpy.types.Context, *, is_modal: bool = False) -> set[str]:
        """Begin, and go on with every tick. ``is_modal``: Blender's events come in already."""
        if not self._began(context):
            return {"CANCELLED"}
        with called_off(self, context):
            if self.patience and not self._work(context, self.patience):
                return self.end(context)
            self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
            if not is_modal:
                context.window_manager.modal_handler_add(self)
            context.scene.lsr1.result.is_running = True
            return {"RUNNING_MODAL"}
        return {"CANCELLED"}

    @or_called_off
    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """A slice of the work a tick; Esc or the panel's button stops it."""
        lost = self.frame_lost(context) if self.of_one_frame else self.scene_lost(context)
        if lost:
            return self._leave(context, lost)
        if event.type == "ESC" or not context.scene.lsr1.result.is_running:
            return self.interrupt(context)
        if event.type != "TIMER":
            passed = event.type in PASSED_ON or (event.type == "LEFTMOUSE" and over_panel(context, event))
            return {"PASS_THROUGH"} if passed else {"RUNNING_MODAL"}
        if not self._work(context, self.time_slice):
            return self.end(context)
        self.show(context)
        redraw(context, *self.shown_in)
        return {"RUNNING_MODAL"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring everything back, whatever scene the window shows. Blender does it, too, for another file."""
        self._stop(context)
        own = self.own_scene()
        with in_scene(context, own):
            self.give_up(context, own)
        redraw(context, *self.shown_in)

    def end(self, context: bpy.types.Context) -> set[str]:
        """Keep what there is."""
        self._stop(context)
        self.finish(context)
        redraw(context, *self.shown_in)
        return {"FINISHED"}

    def _work(self, context: bpy.types.Context, seconds: float) -> bool:
        """So many seconds of work; False when there is none left."""
        deadline = time.perf_counter() + seconds
        while self.step(context):
            if time.perf_counter() > deadline:
                return True
        return False

    def _began(self, context: bpy.types.Context) -> bool:
        self.begin_here(context)
        try:
            self.begin(context)
        except FitError as error:
            self.report({"ERROR"}, str(error))
            return False
        return True

    def _leave(self, context: bpy.types.Context, lost: str) -> set[str]:
        """The window shows another scene by now: what runs ends in its own."""
        self.cancel(context)
        self.report({"INFO"}, f"Cancelled, for {lost}")
        return {"CANCELLED"}

    def _stop(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        self.clear_status(context)
        own = self.own_scene()
        if own is not None:
            own.lsr1.result.is_running = False
