"""What cannot be read is answered with a sentence: the file, the place and what would be right."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lsr1_solver.errors import FitError
from lsr1_solver.keypoint_files import read_keypoints
from lsr1_solver.keypoints import BODY_25, COCO_17
from tests.solver.stick_people import stick

PERSON = stick(BODY_25, 400, 300, 500).ravel().tolist()
FRAME = json.dumps({"people": [{"pose_keypoints_2d": PERSON}]})
COCO = json.dumps([{"image_id": 1, "keypoints": stick(COCO_17, 400, 300, 500).ravel().tolist()}])


def people(entry: object) -> str:
    return json.dumps({"version": 1.3, "people": [entry]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRAME[:200], r"a\.json, line 1 column \d+: no valid JSON"),
        ("", r"a\.json is empty"),
        ("  \n", r"a\.json is empty"),
        ("Dear all, here are the keypoints.", r"a\.json, line 1: 'Dear all.* begins no known table"),
        ("{}", r"a\.json shows no person"),
        ('{"people": []}', r"a\.json shows no person in any of its 1 frames"),
        ('{"people": 5}', r"a\.json, people is a number; a list is right"),
        ('{"up": "y", "trans": []}', r"a\.json is JSON of no known kind \(it holds the names up, trans\)"),
        ("[1, 2]", r"a\.json is JSON of no known kind"),
        (people({"pose_keypoints_2d": PERSON[:-1]}), r"people\[0\]\.pose_keypoints_2d has 74 numbers"),
        (people({"pose_keypoints_2d": PERSON[:-3]}), r"24 points.*right is .*25 \(BODY_25\)"),
        (people({"pose_keypoints_2d": [[1, 2]]}), r"pose_keypoints_2d\[0\] holds a list; a number is right"),
        (people({"pose_keypoints_2d": ["left"]}), r"\[0\] holds 'left'; a number is right"),
        (
            people({"face_keypoints_2d": []}),
            r"people\[0\] has no pose_keypoints_2d; it has face_keypoints_2d",
        ),
        (people({"pose_keypoints_2d": [0] * 75}), r"no keypoint of any person"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4]}]', r"entry 0 is a box without keypoints"),
        ('[{"image_id": null, "keypoints": []}]', r"entry 0, image_id is None"),
        ('{"annotations": [{"image_id": 1}]}', r"annotations\[0\] has no keypoints"),
        (
            '{"instance_info": [{"instances": [{"keypoints": [[1, 2, 3, 4]]}]}]}',
            r"keypoints\[0\] has 4 numbers",
        ),
        ('{"pose_landmarks": [{"x": 1}]}', r"pose_landmarks\[0\] is an object without x and y"),
        ("[" * 100_000, "nests too deep"),
    ],
)
def test_a_bad_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FitError, match=message) as caught:
        read_keypoints(path, image_size=(640, 480))
    assert "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no keypoint file"),
        ({"readme.txt": "hello"}, "holds no keypoint file"),
        ({"op/1.json": FRAME}, "It holds the folders op"),
        (
            {"1.json": FRAME, "2.json": COCO},
            r"mixes kinds: 1\.json is OpenPose JSON and 2\.json is COCO results",
        ),
        ({"1.json": FRAME, "2.json": FRAME[:99]}, r"clip/2\.json, line 1 column"),
        ({"1.json": FRAME, "2.json": '{"up": 1}'}, r"clip/2\.json is JSON of no known kind"),
        ({"a_1.json": FRAME, "b_1.json": FRAME}, r"frames of 2 clips \(such as a_, b_\)"),
        ({"1.json": '{"people": []}', "2.json": '{"people": []}'}, "no person in any of its 2 frames"),
        ({"a.json": COCO[:-1] + "," + COCO[1:].replace("1,", "2,", 1), "b.json": COCO}, "alone has 2 frames"),
    ],
)
def test_a_bad_folder(tmp_path: Path, files: Mapping[str, str], message: str) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(FitError, match=message) as caught:
        read_keypoints(folder)
    assert "clip" in str(caught.value)


def test_a_binary_file_an_absent_one_and_senseless_options(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42\xff\xfe")
    with pytest.raises(FitError, match=r"a\.mp4 is no text file"):
        read_keypoints(path)
    with pytest.raises(FitError, match="There is no file or folder"):
        read_keypoints(tmp_path / "b.json")
    (tmp_path / "c.json").write_text(FRAME)
    with pytest.raises(FitError, match="image size"):
        read_keypoints(tmp_path / "c.json", image_size=(0, 480))
    with pytest.raises(FitError, match="no keypoint format 'BODY25'"):
        read_keypoints(tmp_path / "c.json", format="BODY25")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_shell_s_text_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(FRAME.replace("{", "{\r\n").encode(encoding))
    (read,) = read_keypoints(path)
    assert read.format is BODY_25


@pytest.mark.parametrize(
    ("data", "kind"), [(gzip.compress(FRAME.encode()), "gzip"), (b"PK\x03\x04 and so on", "zip")]
)
def test_a_packed_file_says_so(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(FitError, match=rf"a\.json is packed \({kind}\); unpack it"):
        read_keypoints(tmp_path / "a.json")
