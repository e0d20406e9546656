import json

import numpy as np
import pytest

from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_formats import format_of_names, plain_name
from lsr1_solver.keypoints import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    COCO_WHOLEBODY_133,
    CROWDPOSE_14,
    FORMATS,
    HALPE_26,
    POSETRACK_17,
    KeypointFormat,
    Keypoints2D,
    keypoint_format,
    keypoints_2d,
)
from tests.shared import SHARED, needs_shared
from tests.solver.stick_people import landmark, stick

ALL = list(FORMATS.values())


@pytest.mark.parametrize("layout", ALL, ids=lambda f: f.name)
def test_a_format_is_as_long_as_its_name_says_and_names_each_point_once(layout: KeypointFormat) -> None:
    assert len(layout) == int(layout.name.rstrip("B").split("_")[-1]) == len(layout.joints)
    assert len(set(layout.names)) == len(layout)
    assert all(0 <= a < len(layout) and 0 <= b < len(layout) and a != b for a, b in layout.edges)


@pytest.mark.parametrize("layout", ALL, ids=lambda f: f.name)
def test_the_mirror_swaps_left_and_right_in_names_landmarks_and_lines(layout: KeypointFormat) -> None:
    mirror = layout.mirror
    assert [mirror[i] for i in mirror] == list(range(len(layout)))
    swap = {"left": "right", "right": "left"}
    for i, mark in enumerate(layout.joints):
        if mark is not None:
            side = next((s for s in swap if s in mark), None)
            expected = mark if side is None else mark.replace(side, swap[side])
            assert layout.joints[mirror[i]] == expected
            assert (mirror[i] == i) == (side is None)
    edges = {frozenset(edge) for edge in layout.edges}
    assert {frozenset((mirror[a], mirror[b])) for a, b in layout.edges} == edges


@pytest.mark.parametrize("layout", ALL, ids=lambda f: f.name)
def test_every_landmark_is_a_joint_or_a_point_of_the_body(layout: KeypointFormat) -> None:
    for mark in layout.joints:
        if mark is not None and mark not in SMPL_JOINT_NAMES:
            landmark(mark)
    known = [mark for mark in layout.joints if mark is not None]
    assert len(set(known)) == len(known)


@pytest.mark.parametrize("layout", ALL, ids=lambda f: f.name)
def test_lines_join_neighbours(layout: KeypointFormat) -> None:
    person = stick(layout, 0, 0, 1)
    known = [(a, b) for a, b in layout.edges if layout.joints[a] is not None and layout.joints[b] is not None]
    lengths = [np.linalg.norm(person[a, :2] - person[b, :2]) for a, b in known]
    assert max(lengths) < 0.4
    assert np.mean(lengths) < 0.25


@needs_shared("keypoints")
def test_coco_s_own_names_are_coco_17() -> None:
    data = json.loads((SHARED / "keypoints/coco_annotations/test_coco.json").read_text())
    category = data["categories"][0]
    assert format_of_names(category["keypoints"]) is COCO_17
    assert COCO_17.names == tuple(category["keypoints"])


def test_names_in_other_spellings_find_their_format() -> None:
    assert (
        plain_name("LBigToe") == plain_name("left_bigtoe") == plain_name("big toe (left)") == "left_big_toe"
    )
    assert plain_name("RShoulder") == plain_name("Right Shoulder") == "right_shoulder"
    openpose = (
        "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee "
        "LAnkle REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel"
    )
    assert format_of_names(openpose.split()) is BODY_25
    for known in (HALPE_26, BLAZEPOSE_33, POSETRACK_17, CROWDPOSE_14, COCO_WHOLEBODY_133):
        assert format_of_names([name.upper() for name in known.names]) is known


def test_a_format_made_from_names_marks_what_it_knows() -> None:
    made = format_of_names(["Left_Hip", "tail", "head", "right knee", "Right_Hip"])
    assert made.joints == ("coco_left_hip", None, None, "coco_right_knee", "coco_right_hip")
    assert made.mirror == (4, 1, 2, 3, 0)


def test_formats_by_name() -> None:
    assert keypoint_format("body_25b") is FORMATS["BODY_25B"]
    assert keypoint_format(COCO_17) is COCO_17
    with pytest.raises(FitError, match=r"BODY_26.*BODY_25B"):
        keypoint_format("BODY_26")
    with pytest.raises(FitError, match="left_tail"):
        COCO_17.index("left_tail")


def test_what_is_no_number_is_missing_and_the_caller_s_arrays_stay() -> None:
    points = stick(COCO_17, 300, 400, 300)
    xy, confidence = points[None, :, :2].copy(), points[None, :, 2].copy()
    xy[0, 0, 0], xy[0, 1, 1], xy[0, 2] = np.nan, np.inf, 0
    confidence[0, 3:8] = np.nan, -0.5, 0, 7.5, np.inf
    before = xy.copy(), confidence.copy()
    result = keypoints_2d(xy, confidence, COCO_17)
    assert np.array_equal(xy, before[0], equal_nan=True)
    assert np.array_equal(confidence, before[1], equal_nan=True)
    assert not np.shares_memory(result.xy, xy)
    assert result.missing(0) == tuple(COCO_17.names[i] for i in (0, 1, 2, 3, 4, 5, 7))
    assert (result.xy[result.confidence == 0] == 0).all()
    assert result.confidence[0, 6] == 1
    assert np.array_equal(result.xy[0, 8:], points[8:, :2])


def test_confidence_may_be_absent_and_one_frame_may_come_alone() -> None:
    result = keypoints_2d(stick(COCO_17, 300, 400, 300)[:, :2], None, "COCO_17")
    assert result.confidence.shape == (1, 17)
    assert (result.confidence == 1).all()


def test_a_point_in_space_can_be_known_where_none_in_the_picture_is() -> None:
    xyz = np.ones((2, 17, 3))
    xyz[1] = np.nan
    result = keypoints_2d(np.zeros((2, 17, 2)), None, COCO_17, xyz=xyz)
    assert result.xyz is not None and result.xyz_confidence is not None
    assert np.isfinite(result.xyz).all()
    assert result.present.tolist() == [True, False]


def test_frames_are_taken_in_every_way_as_a_batch() -> None:
    points = np.stack([stick(COCO_17, 300 + t, 400, 300) for t in range(5)])
    points[2] = 0
    clip = keypoints_2d(points[..., :2], points[..., 2], COCO_17, frame_numbers=np.arange(1001, 1006))
    assert clip.present.tolist() == [True, True, False, True, True]
    for index, rows in ((-1, [4]), (0, [0]), (slice(1, 3), [1, 2]), (clip.present, [0, 1, 3, 4])):
        part = clip.frames(index)
        assert part.frame_numbers is not None
        assert part.frame_numbers.tolist() == [1001 + r for r in rows]
        assert np.array_equal(part.xy, clip.xy[rows])
        assert len(part) == len(part.confidence) == len(rows)


@pytest.mark.parametrize(
    ("xy", "confidence", "message"),
    [
        (np.zeros((1, 25, 2)), np.zeros((1, 25)), "COCO_17"),
        (np.zeros((1, 17, 3)), np.zeros((1, 17)), "frames x keypoints x 2"),
        (np.zeros((2, 17, 2)), np.zeros((3, 17)), "Confidences"),
    ],
)
def test_arrays_of_the_wrong_shape_are_refused(xy: np.ndarray, confidence: np.ndarray, message: str) -> None:
    with pytest.raises(FitError, match=message):
        keypoints_2d(xy, confidence, COCO_17)


def test_the_data_type_itself_takes_clean_numbers_only() -> None:
    xy, confidence = np.zeros((1, 17, 2)), np.zeros((1, 17))
    with pytest.raises(FitError, match="not finite"):
        Keypoints2D(np.full((1, 17, 2), np.nan), confidence, COCO_17)
    with pytest.raises(FitError, match="negative"):
        Keypoints2D(xy, confidence - 1, COCO_17)
    with pytest.raises(FitError, match="frame_numbers"):
        Keypoints2D(xy, confidence, COCO_17, frame_numbers=np.arange(2))
    with pytest.raises(FitError, match="image size"):
        Keypoints2D(xy, confidence, COCO_17, image_size=(0, 5))
