"""Make the sample `walk/` from the demonstration of Pose2Sim: one camera's clip, four cameras' keypoints.

    pip download --no-deps pose2sim==0.6.0
    python assets/samples/make_walk.py pose2sim-0.6.0-py3-none-any.whl

Needs numpy alone. The clip and its keypoint files are copied as they are; `four_cameras.npz` holds the
walking person's keypoints in all four pictures and the calibration, for benchmarks that need the truth in 3D.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

WALK = Path(__file__).resolve().parent / "walk"
sys.path.insert(0, str(WALK.parents[2]))

from tests.bench.walk_sample import (  # noqa: E402  (after the path it needs)
    CalibratedCamera,
    Triangulation,
    WalkSample,
    load_walk,
    triangulate,
)

SESSION = "Pose2Sim/Demo/S00_Demo_Session"
TRIAL = f"{SESSION}/S00_P00_Participant/S00_P00_T01_BalancingTrial"
CALIBRATION = f"{SESSION}/S00_Calibration/Calib.qca.txt"
LICENCE = "pose2sim-0.6.0.dist-info/LICENSE"
# The person is whole in view throughout and walks towards this camera.
SAMPLE_CAMERA = "cam02"
FRAME_RATE = 60.0
# Qualisys counts sub-pixels.
SUBPIXELS = 64
# Qualisys looks along -z with y up; pixels count from the top left, so y and z change sign.
FLIP = np.diag([1.0, -1.0, -1.0])


def read_camera(element: ElementTree.Element, name: str, image_size: tuple[int, int]) -> CalibratedCamera:
    """A camera of a Qualisys calibration file, in pixels and metres."""

    def numbers(tag: str, *keys: str) -> np.ndarray:
        node = element.find(tag)
        assert node is not None, tag
        return np.array([float(node.attrib[key]) for key in keys])

    R = numbers("transform", *(f"r{i}{j}" for i in "123" for j in "123")).reshape(3, 3)
    centre = numbers("transform", "x", "y", "z") / 1000
    f_u, f_v, c_u, c_v = (
        numbers("intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV") / SUBPIXELS
    )
    distortion = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
    return CalibratedCamera(
        name=name,
        intrinsics=np.array([[f_u, 0, c_u], [0, f_v, c_v], [0, 0, 1]]),
        distortion=numbers("intrinsic", *distortion) / SUBPIXELS,
        rotation=FLIP @ R,
        translation=FLIP @ (-R @ centre),
        image_size=image_size,
    )


def read_people(archive: zipfile.ZipFile, camera: str) -> list[list[np.ndarray]]:
    """The people of every frame of a camera, each [25, 3]; (0, 0, 0) where a point is missing."""
    folder = f"{TRIAL}/pose/{camera}_json/"
    names = sorted(n for n in archive.namelist() if n.startswith(folder) and n.endswith(".json"))
    frames = [json.loads(archive.read(name))["people"] for name in names]
    return [[np.reshape(p["pose_keypoints_2d"], (25, 3)) for p in people] for people in frames]


def follow(frames: list[list[np.ndarray]], first: np.ndarray) -> np.ndarray:
    """One person from frame to frame: whoever is nearest to where the person just was. -> [T, 25, 3]."""
    track = [first]
    for people in frames[1:]:
        last = track[-1]

        def distance(person: np.ndarray, last: np.ndarray = last) -> float:
            both = (person[:, 2] > 0) & (last[:, 2] > 0)
            return float(np.median(np.linalg.norm(person[both, :2] - last[both, :2], axis=1)))

        track.append(min(people, key=distance))
    return np.stack(track)


def same_person(people: list[list[list[np.ndarray]]], cameras: tuple[CalibratedCamera, ...]) -> np.ndarray:
    """The person whom all cameras agree on: the choice of one track a camera that triangulates best.

    ``people`` by camera, frame, person. -> [C, T, 25, 3].
    """
    tracks = [[follow(frames, first) for first in frames[0]] for frames in people]

    def disagreement(choice: tuple[np.ndarray, ...]) -> float:
        sample = WalkSample(np.stack(choice), cameras, FRAME_RATE)
        return float(np.nanmedian(triangulate(sample).residual))

    return np.stack(min(itertools.product(*tracks), key=disagreement))


def video_size(video: bytes) -> tuple[int, int]:
    """Width and height from the track header of an MP4 (ISO/IEC 14496-12, 8.3.2): its last two numbers."""
    at = video.index(b"tkhd")
    size = int.from_bytes(video[at - 4 : at], "big")
    end = at - 4 + size
    width, height = (int.from_bytes(video[i : i + 4], "big") >> 16 for i in (end - 8, end - 4))
    return width, height


def write_sample(archive: zipfile.ZipFile, folder: Path) -> None:
    """The clip, its keypoint files and the licence, as they are."""
    (folder / "keypoints").mkdir(parents=True, exist_ok=True)
    (folder / "walk.mp4").write_bytes(archive.read(f"{TRIAL}/videos/{SAMPLE_CAMERA}.mp4"))
    (folder / "LICENSE").write_bytes(archive.read(LICENCE))
    keypoints = f"{TRIAL}/pose/{SAMPLE_CAMERA}_json/"
    for name in archive.namelist():
        if name.startswith(keypoints) and name.endswith(".json"):
            (folder / "keypoints" / Path(name).name).write_bytes(archive.read(name))


def write_cameras(archive: zipfile.ZipFile, folder: Path) -> Triangulation:
    """The walking person in all pictures, and the calibration."""
    elements = ElementTree.fromstring(archive.read(CALIBRATION)).iter("camera")
    cameras = []
    for i, element in enumerate(elements, start=1):
        name = f"cam{i:02d}"
        size = video_size(archive.read(f"{TRIAL}/videos/{name}.mp4"))
        cameras.append(read_camera(element, name, size))
    keypoints = same_person([read_people(archive, c.name) for c in cameras], tuple(cameras))
    np.savez_compressed(
        folder / "four_cameras.npz",
        keypoints=keypoints.astype(np.float32),
        names=np.array([c.name for c in cameras]),
        intrinsics=np.stack([c.intrinsics for c in cameras]),
        distortion=np.stack([c.distortion for c in cameras]),
        rotations=np.stack([c.rotation for c in cameras]),
        translations=np.stack([c.translation for c in cameras]),
        image_sizes=np.array([c.image_size for c in cameras]),
        frame_rate=FRAME_RATE,
    )
    return triangulate(load_walk())


def main() -> None:
    """Write the folder `walk/` beside this script and print how well the cameras agree."""
    parser = argparse.ArgumentParser(description="Make the sample walk from the wheel of pose2sim 0.6.0.")
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as archive:
        write_sample(archive, WALK)
        residual = write_cameras(archive, WALK).residual
    by_camera = ", ".join(f"{r:.1f}" for r in np.nanmedian(residual, axis=(1, 2)))
    print(f"triangulation residual: median {np.nanmedian(residual):.1f} px; by camera {by_camera}")


if __name__ == "__main__":
    main()
