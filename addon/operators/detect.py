"""Detect Keypoints: everybody in the picture behind the camera."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy
import numpy as np
from bpy.props import BoolProperty

from ...lsr1_solver import FitError, Keypoints2D
from ...lsr1_solver.detector import Box, Detector, people_of_clip
from ...lsr1_solver.opencv import has_opencv
from ..detection import check_room, keep_detection, to_be_replaced
from ..footage import picture_behind
from ..keypoint_store import has_keypoints
from ..properties import preferred_landmark_model
from ..shown_picture import Frame, ShownPicture, shown_picture
from .common import keypoints_free, told
from .modal import InSlices

_ASSUMED_RATE = 30.0


def can_detect(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are OpenCV and a picture; says what to do where there are not."""
    if not has_opencv():
        cls.poll_message_set(
            "This zip of LSR1 Body Fit has no OpenCV: install the one for Windows, macOS or Linux"
        )
    elif picture_behind(context.scene) is None:
        cls.poll_message_set("There is no picture behind the camera: press Open Picture")
    else:
        return keypoints_free(cls, context)
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


class Detecting(InSlices):
    """Frame after frame is read and looked at; the scene changes at the end alone."""

    cancelled = "Detection cancelled: everything is as it was"

    _picture: ShownPicture
    _first: int
    _last: int
    _around: Box | None = None
    _image: np.ndarray
    _steps: Iterator[None]
    # The people in each scene frame that was looked at.
    _found: dict[int, list[Keypoints2D]]

    def begin(self, context: bpy.types.Context) -> None:
        """Open the picture and load the detector."""
        scene = context.scene
        self._picture = shown_picture(scene)
        self._first, self._last = self.chosen_frames(scene, self._picture)
        check_room(scene, self._picture, self._first, self._last, alone=self._around is not None)
        self._found, self._steps = {}, self._look(_detector(context))
        scene.lsr1.detection.progress, scene.lsr1.detection.progress_text = 0.0, "Reading"
        scene.lsr1.clip.progress_text = ""

    def chosen_frames(self, scene: bpy.types.Scene, picture: ShownPicture) -> tuple[int, int]:
        """The scene frames to look at."""
        return wanted_frames(scene, picture)

    def ways(self) -> Iterator[Iterator[Frame]]:
        """The ways through the frames, each a clip of its own to the detector."""
        yield self._picture.frames(self._first, self._last)

    def _look(self, detector: Detector) -> Iterator[None]:
        rate = self._picture.frame_rate or _ASSUMED_RATE
        for frames in self.ways():
            people = detector.track(self._images(), frame_rate=rate, box=self._around)
            for frame in frames:
                if frame is not None:
                    number, self._image = frame
                    self._found.setdefault(number, next(people))
                yield

    def _images(self) -> Iterator[np.ndarray]:
        while True:
            yield self._image

    def step(self, context: bpy.types.Context) -> bool:
        """One frame more; False after the last."""
        end = object()
        return next(self._steps, end) is not end

    def show(self, context: bpy.types.Context) -> None:
        """How far it is."""
        detection, wanted = context.scene.lsr1.detection, self._last - self._first + 1
        if self._found:
            done, latest = len(self._found), next(reversed(self._found.values()))
            detection.progress = done / wanted
            detection.progress_text = f"Frame {done} of {wanted}, {_people(len(latest))}"
        self.set_status(context, f"{self.bl_label}: {detection.progress_text}    Esc: bring everything back")

    def finish(self, context: bpy.types.Context) -> None:
        """Give the scene the people as tracks."""
        context.scene.lsr1.detection.progress_text = ""
        if not self._found:
            raise FitError("No frame could be read: the clip is shorter than Blender says")
        numbers = sorted(self._found)
        people = people_of_clip([self._found[number] for number in numbers], np.array(numbers))
        by_hand = keep_detection(context.scene, self._picture, people, alone=self._around is not None)
        where = ""
        if self._picture.moves:
            seen = int(people[0].present.sum())
            where = f" at frames {numbers[0]} to {numbers[-1]}, the first in {seen} of them"
        kept = f"; {by_hand} points placed by hand stay" if by_hand else ""
        self.report({"INFO"}, f"{_people(len(people))}{where}{kept}")

    def give_up(self, context: bpy.types.Context, scene: bpy.types.Scene | None) -> None:
        """Nothing has changed but the progress."""
        if scene is not None:
            scene.lsr1.detection.progress_text = ""


class LSR1_OT_detect_keypoints(Detecting, bpy.types.Operator):
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
        return can_detect(cls, context)

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
