"""People in pictures and in video: who is there, and their keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import FitError
from ..keypoint_files.assembly import laid_out
from ..keypoint_formats import BLAZEPOSE_33
from ..keypoints import Keypoints2D, keypoints_2d
from ..tracking import link_people
from .following import Chain, distinct, without_doubles
from .landmarks import PRESENT, LandmarkFinder, Landmarks
from .people import PersonFinder, overlap
from .region import Region, region_of_box, region_of_pair, tiles, whole

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "detector"
Box = tuple[float, float, float, float]

# How often a region is corrected by what is found in it, where a box was drawn by hand.
_CORRECTIONS = 3
# Boxes that overlap more than this are one person, before its keypoints are looked for.
_SAME_BOX = 0.4
_SEARCH_SECONDS = 1.0


class Detector:
    """Finds people and their keypoints in the order BLAZEPOSE_33, by BlazePose on OpenCV.

    ``landmark_model``: an ONNX file in place of the one that comes with the product, such as the heavy model
    (see ``assets/detector/make_detector.py``).

    Raises FitError without OpenCV and where the model cannot be read.
    """

    def __init__(self, landmark_model: Path | None = None) -> None:
        """Load both networks."""
        self._people = PersonFinder(ASSETS / "person.onnx.gz")
        self._landmarks = LandmarkFinder(landmark_model or ASSETS / "landmarks.onnx.gz")

    def detect(self, image: np.ndarray, box: Box | None = None) -> list[Keypoints2D]:
        """The people in one picture, the largest first; an empty list where nobody is found.

        ``image`` [H, W, 3] uint8, RGB, rows from the top. ``box`` (left, top, right, bottom) in pixels, drawn
        round one person: then only that person is looked for. Without it the whole picture is searched, and
        overlapping tiles of it.

        Each person is a Keypoints2D of one frame: ``confidence`` is the visibility, ``xyz`` the keypoints in
        metres in camera axes (x right, y up, z towards the camera), with the origin between the hips.

        Raises FitError for an image of another kind and for an empty box.
        """
        image = _checked(image)
        found = (
            self._search(image, [], fine=True) if box is None else self._settled(image, region_of_box(box))
        )
        return [_keypoints(person, image) for person in found]

    def track(
        self, frames: Iterable[np.ndarray], *, frame_rate: float = 30.0, box: Box | None = None
    ) -> Iterator[list[Keypoints2D]]:
        """The people in each frame of a clip, as ``detect`` gives them.

        People are followed from where they were; the picture is searched in the first frame, once a second,
        and when somebody was lost. With a ``box`` in the first frame only that person is followed. Who is who
        over the whole clip is for ``people_of_clip`` to say. Nothing is smoothed: a filter that knows no
        future lags, and on the sample walk that costs a fit more than the jitter.
        """
        chains: list[Chain] = []
        every = max(1, round(_SEARCH_SECONDS * frame_rate))
        last = None if box is None else region_of_box(box)
        for number, frame in enumerate(frames):
            image = _checked(frame)
            before = len(chains)
            chains = [chain for chain in chains if chain.follow(partial(self._landmarks, image))]
            found: list[Landmarks] = []
            if last is not None:
                found = [] if chains else self._settled(image, last)
            elif not chains or len(chains) < before or number % every == 0:
                found = self._search(image, [chain.region for chain in chains], fine=number == 0)
            chains = without_doubles(chains + [Chain(person) for person in found])
            if last is not None and chains:
                last = chains[0].region
            yield [_keypoints(chain.person, image) for chain in chains]

    def _search(self, image: np.ndarray, known: Sequence[Region], *, fine: bool) -> list[Landmarks]:
        """Everybody in the picture, the largest first, but for those in ``known`` regions."""
        height, width = image.shape[:2]
        regions = [whole(width, height), *tiles(width, height, fine=fine)]
        candidates = [self._people(image, region) for region in regions]
        scores = np.concatenate([c.scores for c in candidates])
        boxes = np.concatenate([c.boxes for c in candidates])
        pairs = np.concatenate([c.pairs for c in candidates])
        found: list[Landmarks] = []
        left = np.argsort(-scores, kind="stable")
        while len(left):
            first, left = left[0], left[1:]
            region = region_of_pair(pairs[first])
            if any(region.near(other) for other in known):
                continue
            person = self._landmarks(image, region)
            if person.score > PRESENT:
                found.append(person)
                left = left[overlap(boxes[first], boxes[left]) < _SAME_BOX]
        kept = [found[i] for i in distinct(found, np.zeros(len(found)))]
        return sorted(kept, key=lambda person: -person.size)

    def _settled(self, image: np.ndarray, region: Region) -> list[Landmarks]:
        """The person in a rough region, or nobody; the region is corrected by what is found in it."""
        person = self._landmarks(image, region)
        for _ in range(_CORRECTIONS):
            person = self._landmarks(image, person.region)
        return [person] if person.score > PRESENT else []


def people_of_clip(found: Sequence[Sequence[Keypoints2D]], frame_numbers: np.ndarray) -> list[Keypoints2D]:
    """Who is who in a clip: one Keypoints2D a person, as ``read_keypoints`` gives them.

    ``found`` the people in each of B frames, from ``track``; ``frame_numbers`` [B] ascending. The most
    prominent first (frames seen times size); all have the frames from the first number to the last.

    Raises FitError where nobody is found in any frame.
    """
    everybody = [person for people in found for person in people]
    if not everybody:
        raise FitError(
            f"Nobody was found in {len(found)} frames: draw a box round the person, or place the keypoints"
        )
    numbers = np.repeat(frame_numbers, [len(people) for people in found])
    detections = keypoints_2d(
        np.concatenate([person.xy for person in everybody]),
        np.concatenate([person.confidence for person in everybody]),
        everybody[0].format,
        image_size=everybody[0].image_size,
        frame_numbers=numbers,
        xyz=np.concatenate([person.xyz for person in everybody if person.xyz is not None]),
        xyz_confidence=np.concatenate([p.xyz_confidence for p in everybody if p.xyz_confidence is not None]),
    )
    labels = link_people(detections.xy, detections.confidence, numbers)
    return laid_out(detections, labels, np.asarray(frame_numbers), "the clip", None)


def _keypoints(person: Landmarks, image: np.ndarray) -> Keypoints2D:
    return keypoints_2d(
        person.points,
        person.visibility,
        BLAZEPOSE_33,
        image_size=(image.shape[1], image.shape[0]),
        xyz=person.world,
        xyz_confidence=person.visibility,
    )


def _checked(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise FitError(
            f"The picture is {image.dtype} of shape {image.shape}; right is uint8, height x width x 3"
        )
    return np.ascontiguousarray(image)
