"""People in pictures and in video: who is there, and their keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import FitError
from ..keypoint_files.assembly import laid_out
from ..keypoint_formats import BLAZEPOSE_33
from ..keypoints import Keypoints2D, keypoints_2d
from ..tracking import link_people
from .landmarks import PRESENT, LandmarkFinder, Landmarks
from .people import PersonFinder, overlap
from .region import Region, region_of_box, region_of_pair, tiles, whole
from .smoothing import OneEuro

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "detector"
Box = tuple[float, float, float, float]

# How often a region is corrected by what is found in it, where a box was drawn by hand.
_CORRECTIONS = 3
# Two findings are one person where their keypoints are this near on the average, in parts of the region.
_SAME = 0.1
# Boxes that overlap more than this are one person, before its keypoints are looked for.
_SAME_BOX = 0.4
_SEARCH_SECONDS = 1.0
# Cutoff in Hz and its growth with speed in sizes a second (MediaPipe's settings).
_POINTS, _PAIR, _WORLD = (0.05, 80.0), (0.01, 10.0), (0.1, 40.0)
_VISIBILITY_SHARE = 0.1


class Detector:
    """Finds people and their keypoints in the order BLAZEPOSE_33, by BlazePose on OpenCV.

    ``landmark_model``: an ONNX file in place of the one that comes with the product, such as the heavy model
    (see ``assets/detector/make_detector.py``).

    Raises FitError without OpenCV and where the model cannot be read.
    """

    def __init__(self, landmark_model: Path | None = None) -> None:
        """Load both networks."""
        self._people = PersonFinder(ASSETS / "person.onnx")
        self._landmarks = LandmarkFinder(landmark_model or ASSETS / "landmarks.onnx")

    def detect(self, image: np.ndarray, box: Box | None = None) -> list[Keypoints2D]:
        """The people in one picture, the surest first; an empty list where nobody is found.

        ``image`` [H, W, 3] uint8, RGB, rows from the top. ``box`` (left, top, right, bottom) in pixels, drawn
        round one person: then only that person is looked for. Without it the whole picture is searched, and
        overlapping tiles of it.

        Each person is a Keypoints2D of one frame: ``confidence`` is the visibility, ``xyz`` the keypoints in
        metres in camera axes (x right, y up, z towards the camera), with the origin between the hips.

        Raises FitError for an image of another kind and for an empty box.
        """
        _check(image)
        found = (
            self._search(image, [], fine=True) if box is None else self._settled(image, region_of_box(box))
        )
        return [_keypoints(person, image) for person in found]

    def track(
        self, frames: Iterable[np.ndarray], *, frame_rate: float = 30.0, box: Box | None = None
    ) -> Iterator[list[Keypoints2D]]:
        """The people in each frame of a clip, as ``detect`` gives them, smoothed in time.

        People are followed from where they were; the picture is searched in the first frame, once a second,
        and when somebody was lost. With a ``box`` in the first frame only that person is followed. Who is who
        over the whole clip is for ``people_of_clip`` to say.
        """
        chains: list[_Chain] = []
        every = max(1, round(_SEARCH_SECONDS * frame_rate))
        last = None if box is None else region_of_box(box)
        for number, image in enumerate(frames):
            _check(image)
            before = len(chains)
            chains = self._followed(chains, image)
            found: list[Landmarks] = []
            if last is not None:
                found = [] if chains else self._settled(image, last)
            elif not chains or len(chains) < before or number % every == 0:
                found = self._search(image, [chain.person for chain in chains], fine=number == 0)
            chains += [_Chain(person, frame_rate) for person in found]
            if last is not None and chains:
                last = chains[0].person.region
            yield [_keypoints(chain.person, image) for chain in chains]

    def _followed(self, chains: list[_Chain], image: np.ndarray) -> list[_Chain]:
        """The chains whose person is still there; of two that have come to the same person, the older."""
        kept: list[_Chain] = []
        for chain in chains:
            raw = self._landmarks(image, chain.person.region)
            if raw.score > PRESENT and not any(_same(raw, other.person) for other in kept):
                chain.take(raw)
                kept.append(chain)
        return kept

    def _search(self, image: np.ndarray, known: Sequence[Landmarks], *, fine: bool) -> list[Landmarks]:
        """Everybody in the picture who is not ``known``."""
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
            person = self._landmarks(image, region_of_pair(pairs[first]))
            if person.score <= PRESENT or any(_same(person, other) for other in (*known, *found)):
                continue
            found.append(person)
            left = left[overlap(boxes[first], boxes[left]) < _SAME_BOX]
        return found

    def _settled(self, image: np.ndarray, region: Region) -> list[Landmarks]:
        """The person in a rough region, or nobody; the region is corrected by what is found in it."""
        person = self._landmarks(image, region)
        for _ in range(_CORRECTIONS):
            person = self._landmarks(image, person.region)
        return [person] if person.score > PRESENT else []


class _Chain:
    """One person followed through a clip: ``person`` as last seen, smoothed."""

    def __init__(self, person: Landmarks, frame_rate: float) -> None:
        """Begin with the first frame's."""
        self._points, self._pair, self._world = (
            OneEuro(*how, frame_rate) for how in (_POINTS, _PAIR, _WORLD)
        )
        self.person = person
        self.take(person)

    def take(self, seen: Landmarks) -> None:
        """What the next frame shows of the person."""
        scale = 1 / seen.size
        self.person = replace(
            seen,
            points=self._points(seen.points, scale),
            pair=self._pair(seen.pair, scale),
            world=self._world(seen.world),
            visibility=self.person.visibility
            + _VISIBILITY_SHARE * (seen.visibility - self.person.visibility),
        )


def people_of_clip(found: Sequence[Sequence[Keypoints2D]], frame_numbers: np.ndarray) -> list[Keypoints2D]:
    """Who is who in a clip: one Keypoints2D a person, as ``read_keypoints`` gives them.

    ``found`` the people in each of B frames, from ``track``; ``frame_numbers`` [B] ascending. The most
    prominent first (frames seen times size); all have the frames from the first number to the last.

    Raises FitError where nobody is found in any frame.
    """
    everybody = [person for people in found for person in people]
    if not everybody:
        raise FitError(
            f"nobody was found in {len(found)} frames: draw a box round the person, or place the keypoints"
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


def _check(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise FitError(
            f"the picture is {image.dtype} of shape {image.shape}; right is uint8, height x width x 3"
        )


def _same(one: Landmarks, other: Landmarks) -> bool:
    """Whether two findings are of one person."""
    weight = one.visibility * other.visibility
    apart = np.linalg.norm(one.points - other.points, axis=1) @ weight / max(weight.sum(), 1e-6)
    return bool(apart < _SAME * max(one.region.side, other.region.side))
