"""Detect Keypoints in the picture behind the camera, and Detect in Box for one person of it."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy
import numpy as np
from bpy.props import BoolProperty, FloatVectorProperty

from ...lsr1_solver import FitError, Keypoints2D
from ...lsr1_solver.detector import Box, Detector, people_of_clip
from ...lsr1_solver.opencv import has_opencv
from ..box_overlay import DrawnBox
from ..detection import check_room, keep_detection, to_be_replaced
from ..footage import picture_behind
from ..keypoint_store import has_keypoints
from ..properties import preferred_landmark_model
from ..shown_picture import Frame, ShownPicture, shown_picture
from .common import is_idle, told
from .modal import InSlices
from .over_picture import PASSED_ON, OverPicture

_ASSUMED_RATE = 30.0
_SMALLEST = 8.0  # pixels of the screen: less is a click
_DRAG = (
    "Drag a box around a person",
    "A track that is there is detected again, points placed by hand stay   Esc: cancel",
)


def _can_detect(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are OpenCV and a picture; says what to do where there are not."""
    if not has_opencv():
        cls.poll_message_set(
            "This zip of LSR1 Body Fit has no OpenCV: install the one for Windows, macOS or Linux"
        )
    elif picture_behind(context.scene) is None:
        cls.poll_message_set("There is no picture behind the camera: press Open Picture")
    else:
        return is_idle(cls, context)
    return False


def wanted_frames(scene: bpy.types.Scene, picture: ShownPicture) -> tuple[int, int]:
    """The first and the last scene frame that the panel asks for. FitError where the clip shows none."""
    if not picture.moves:
        return picture.first, picture.last
    first, last = {
        "CLIP": (picture.first, picture.last),
        "SCENE": (scene.frame_preview_start, scene.frame_preview_end)
        if scene.use_preview_range
        else (scene.frame_start, scene.frame_end),
        "FRAME": (scene.frame_current, scene.frame_current),
    }[scene.lsr1.detection.frames]
    first, last = max(first, picture.first), min(last, picture.last)
    if first > last:
        raise FitError(f"The clip is at frames {picture.first} to {picture.last}: none of them is asked for")
    return first, last


class _Detecting(InSlices):
    """Frame after frame is read and looked at; the scene changes at the end alone."""

    cancelled = "Detection cancelled: everything is as it was"

    _picture: ShownPicture
    _first: int
    _last: int
    _around: Box | None = None
    _frames: Iterator[Frame]
    _image: np.ndarray
    _people: Iterator[list[Keypoints2D]]
    _found: list[list[Keypoints2D]]
    _numbers: list[int]
    _kept: str

    def begin(self, context: bpy.types.Context) -> None:
        """Open the picture and load the detector."""
        scene = context.scene
        self._picture = shown_picture(scene)
        self._first, self._last = self.chosen_frames(scene, self._picture)
        check_room(scene, self._picture, self._first, self._last, alone=self._around is not None)
        detector = _detector(context)
        self._frames = self._picture.frames(self._first, self._last)
        rate = self._picture.frame_rate or _ASSUMED_RATE
        self._people = detector.track(self._images(), frame_rate=rate, box=self._around)
        self._found, self._numbers = [], []
        scene.lsr1.detection.progress, scene.lsr1.detection.progress_text = 0.0, "Reading"
        scene.lsr1.clip.progress_text = ""

    def chosen_frames(self, scene: bpy.types.Scene, picture: ShownPicture) -> tuple[int, int]:
        """The scene frames to look at."""
        return wanted_frames(scene, picture)

    def _images(self) -> Iterator[np.ndarray]:
        while True:
            yield self._image

    def step(self, context: bpy.types.Context) -> bool:
        """One frame more; False after the last."""
        end = object()
        frame = next(self._frames, end)
        if frame is end:
            return False
        if isinstance(frame, tuple):
            number, self._image = frame
            self._numbers.append(number)
            self._found.append(next(self._people))
        return True

    def show(self, context: bpy.types.Context) -> None:
        """How far it is."""
        detection, wanted = context.scene.lsr1.detection, self._last - self._first + 1
        if self._numbers:
            done = self._numbers[-1] - self._first + 1
            detection.progress = done / wanted
            detection.progress_text = f"Frame {done} of {wanted}, {_people(len(self._found[-1]))}"
        context.workspace.status_text_set(
            f"{self.bl_label}: {detection.progress_text}    Esc: bring everything back"
        )

    def finish(self, context: bpy.types.Context) -> None:
        """Give the scene the people as tracks."""
        context.scene.lsr1.detection.progress_text = ""
        if not self._numbers:
            raise FitError("No frame could be read: the clip is shorter than Blender says")
        people = people_of_clip(self._found, np.array(self._numbers))
        by_hand = keep_detection(context.scene, self._picture, people, alone=self._around is not None)
        where = ""
        if self._picture.moves:
            seen = int(people[0].present.sum())
            where = f" at frames {self._numbers[0]} to {self._numbers[-1]}, the first in {seen} of them"
        kept = f"; {by_hand} points placed by hand stay" if by_hand else ""
        self.report({"INFO"}, f"{_people(len(people))}{where}{kept}")

    def give_up(self, context: bpy.types.Context) -> None:
        """Nothing has changed but the progress."""
        context.scene.lsr1.detection.progress_text = ""


class LSR1_OT_detect_keypoints(_Detecting, bpy.types.Operator):
    """Find everybody in the picture behind the camera, frame by frame, on this computer. Points placed by \
hand stay. Esc cancels"""

    bl_idname = "lsr1.detect_keypoints"
    bl_label = "Detect Keypoints"
    bl_options = {"REGISTER", "UNDO"}

    replace: BoolProperty(
        name="Replace",
        description="Keypoints that are there already and were not placed by hand may be replaced",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    # Set while Blender asks whether to replace.
    _asks = False

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With OpenCV and a picture."""
        return _can_detect(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first where keypoints would be replaced."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        with told(self):
            replaced = self._replaced(context.scene)
            if not replaced:
                return super().invoke(context, event)
            self._asks = True
            tracks = "A track has" if replaced == 1 else f"{replaced} tracks have"
            return context.window_manager.invoke_confirm(
                self,
                event,
                title="Detect Keypoints Again?",
                message=f"{tracks} keypoints at these frames. They are replaced; points placed by hand stay",
                confirm_text="Replace",
            )
        return {"CANCELLED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """After the question, in a window; or all at once."""
        if self._asks:
            self._asks = False
            return self.start(context)
        with told(self):
            if not self.replace and self._replaced(context.scene):
                raise FitError("There are keypoints at these frames: replace=True replaces them")
            return super().execute(context)
        return {"CANCELLED"}

    def _replaced(self, scene: bpy.types.Scene) -> int:
        if not has_keypoints(scene):
            return 0
        picture = shown_picture(scene)
        return to_be_replaced(scene, picture, *wanted_frames(scene, picture))


class LSR1_OT_detect_in_box(_Detecting, OverPicture, bpy.types.Operator):
    """Drag a box around one person in the camera view: that person is detected, and in a clip followed from \
this frame on. Other tracks stay. Esc cancels"""

    bl_idname = "lsr1.detect_in_box"
    bl_label = "Detect in Box"
    bl_options = {"REGISTER", "UNDO"}

    box: FloatVectorProperty(
        name="Box",
        description="Left, top, right and bottom, in pixels of the picture from its top left",
        size=4,
        options={"HIDDEN", "SKIP_SAVE"},
    )

    # While it is dragged.
    _drawn: DrawnBox | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With OpenCV and a picture."""
        return _can_detect(cls, context)

    def chosen_frames(self, scene: bpy.types.Scene, picture: ShownPicture) -> tuple[int, int]:
        """From the frame in which the box was drawn on."""
        if not picture.moves:
            return picture.first, picture.last
        if not picture.first <= scene.frame_current <= picture.last:
            raise FitError(
                f"The clip is at frames {picture.first} to {picture.last}: go to one of them for the box"
            )
        if scene.lsr1.detection.frames == "FRAME":
            return scene.frame_current, scene.frame_current
        return scene.frame_current, max(wanted_frames(scene, picture)[1], scene.frame_current)

    def begin(self, context: bpy.types.Context) -> None:
        """As always, around the box."""
        if not any(self.box):
            raise FitError("There is no box: give left, top, right and bottom in pixels of the picture")
        self._around = tuple(self.box)
        super().begin(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Look through the camera and wait for the box."""
        if any(self.box) or bpy.app.background or context.window is None:
            return super().invoke(context, event)
        if context.area is None or context.area.type != "VIEW_3D":
            self.report({"ERROR"}, "The box is drawn in a 3D view: press Detect in Box there")
            return {"CANCELLED"}
        self.look(context)
        self._drawn = DrawnBox(self._region)
        context.window.cursor_modal_set("CROSSHAIR")
        self.say(context, *_DRAG)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """The mouse draws; after that the work goes on in slices."""
        drawn = self._drawn
        if drawn is None:
            return super().modal(context, event)
        if event.value == "PRESS" and event.type in {"ESC", "RIGHTMOUSE"}:
            self.cancel(context)
            return {"CANCELLED"}
        if event.type in PASSED_ON or not (drawn.is_begun or self.is_inside(context, event)):
            return {"PASS_THROUGH"}
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            drawn.begin(self.mouse(event))
        elif drawn.is_begun and event.type in {"LEFTMOUSE", "MOUSEMOVE"}:
            drawn.drag(self.mouse(event))
            self._region.tag_redraw()
            if event.value == "RELEASE":
                return self._begin_within(context, drawn)
        return {"RUNNING_MODAL"}

    def _begin_within(self, context: bpy.types.Context, drawn: DrawnBox) -> set[str]:
        """The box is drawn: detect what is in it, or wait for another where it was but a click."""
        low, high = drawn.corners
        if min(high - low) < _SMALLEST:
            drawn.forget()
            return {"RUNNING_MODAL"}
        self._stop_drawing(context)
        with told(self):
            frame = self.frame(context, shown_picture(context.scene).size)
            if frame is None:
                raise FitError("The box was not drawn in the camera's view: press Detect in Box again")
            ends = frame.to_picture(np.stack([low, high]))
            self.box = (*ends.min(axis=0), *ends.max(axis=0))
            return self.start(context, is_modal=True)
        return {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Bring everything back."""
        self._stop_drawing(context)
        super().cancel(context)

    def _stop_drawing(self, context: bpy.types.Context) -> None:
        if self._drawn is not None:
            self._drawn.remove()
            self._drawn = None
            context.window.cursor_modal_restore()
            self.fall_silent(context)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _detector(context: bpy.types.Context) -> Detector:
    """With the landmark model of the preferences. FitError where that is no such model."""
    chosen = preferred_landmark_model(context)
    if chosen is None:
        return Detector()
    if not chosen.is_file():
        raise FitError(
            f"There is no landmark model {chosen}: choose it again in the add-on's preferences, or clear it"
        )
    try:
        return Detector(chosen)
    except FitError as error:
        raise FitError(
            f"{chosen.name} is no landmark model: choose another in the add-on's preferences, or clear it "
            f"({str(error).splitlines()[0]})"
        ) from error
