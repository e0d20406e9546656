"""A button's work in slices, without a window: the ticks come from the test."""

from types import CellType, FunctionType, SimpleNamespace

import bpy
from lsr1_body_fit.addon.operators.modal import InSlices

_OF_A_CLASS = ("__dict__", "__weakref__", "__annotations__", "bl_rna")


class Ticking:
    """A run of one of our operators; ``said`` is what it reports."""

    def __init__(self, operator: type[InSlices], **options: object) -> None:
        """Begin, as a click on the button does."""
        self.said: list[str] = []

        def report(_: InSlices, __: set[str], words: str) -> None:
            self.said.append(words)

        # Blender alone makes operators: here is all of one but for Blender's part.
        ours = [kind for kind in operator.__mro__ if issubclass(kind, InSlices) and kind is not InSlices]
        parts = {
            name: part
            for kind in reversed(ours)
            for name, part in vars(kind).items()
            if name not in _OF_A_CLASS
        }
        slices = {"report": report, "patience": 0.0, "time_slice": 0.0}
        kind = type(operator.__name__, (InSlices,), {**parts, **slices, **options})
        for name, part in parts.items():
            if isinstance(part, FunctionType) and "__class__" in part.__code__.co_freevars:
                setattr(kind, name, _of_class(part, kind))
        self._run = kind()
        assert self._run.start(bpy.context, is_modal=True) == {"RUNNING_MODAL"}, self.said

    def tick(self, count: int = 1) -> str:
        """Some of Blender's ticks. Returns what the operator answers to the last."""
        answer = ""
        for _ in range(count):
            (answer,) = self._run.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))
        return answer

    def to_its_end(self) -> str:
        """As many ticks as it needs."""
        answer = "RUNNING_MODAL"
        while answer == "RUNNING_MODAL":
            answer = self.tick()
        return answer

    def esc(self) -> str:
        """The key is pressed. Returns what the operator answers."""
        (answer,) = self._run.modal(bpy.context, SimpleNamespace(type="ESC", value="PRESS"))
        return answer

    def called_off(self) -> None:
        """What Blender does where the window closes, or a file is loaded."""
        self._run.cancel(bpy.context)


def _of_class(method: FunctionType, kind: type) -> FunctionType:
    """The same method, whose ``super()`` is the class's."""
    names = method.__code__.co_freevars
    cells = [
        CellType(kind) if name == "__class__" else cell
        for name, cell in zip(names, method.__closure__, strict=True)
    ]
    return FunctionType(
        method.__code__, method.__globals__, method.__name__, method.__defaults__, tuple(cells)
    )
