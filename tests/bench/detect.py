"""The detector on the sample walk: frames found, nearness to OpenPose's keypoints, time, and the fit's error.

PCK is the share of OpenPose's keypoints that the detector's lie near to: within 5 % or 10 % of the person's
height. PA-MPJPE is of every fourth frame's fit against the triangulation, over BODY_25B's points: from the
detector's keypoints, with the detector's points in metres as a 3D term beside them, and from OpenPose's.
The sample has the picture of cam02 alone; `--videos FOLDER` names one with cam01.mp4 to cam04.mp4 (they are
in the wheel that `assets/samples/make_walk.py` reads). Milliseconds are wall time on two threads.
"""

import statistics
import time
from pathlib import Path

import numpy as np

from lsr1_solver import Camera, FitProblem, Weights, fit_pose, keypoints_2d, load_body_model
from lsr1_solver.detector import Detector, people_of_clip
from lsr1_solver.fit_state import FitState
from lsr1_solver.keypoints import BLAZEPOSE_33, BODY_25B, Keypoints2D
from lsr1_solver.kinematics import keypoint_chain, pose_chain
from lsr1_solver.picture_files import open_footage
from tests.bench.metrics import pa_mpjpe_mm
from tests.bench.table import Row, parser, show
from tests.bench.walk_sample import WALK, CalibratedCamera, load_walk, triangulate

SAMPLE = load_walk()
POINTS = triangulate(SAMPLE).points
# Of the 3D term, metres: the one that harms least among 0.05 to 0.5.
SIGMA_3D = 0.3
_COMMON = [
    (BLAZEPOSE_33.names.index(name.replace("_bigtoe", "_foot_index")), i)
    for i, name in enumerate(BODY_25B.names)
    if name.replace("_bigtoe", "_foot_index") in BLAZEPOSE_33.names
]
OURS, THEIRS = (list(column) for column in zip(*_COMMON, strict=True))


def tracked(detector: Detector, video: Path, frames: int) -> tuple[Keypoints2D, float]:
    """The most prominent person, and the median milliseconds a frame of following everybody."""
    footage = open_footage(video)
    images = (image for _, image in footage.frames(0, frames))
    found, times, began = [], [], time.perf_counter()
    for people in detector.track(images, frame_rate=SAMPLE.frame_rate):
        times.append(1e3 * (time.perf_counter() - began))
        found.append(people)
        began = time.perf_counter()
    return people_of_clip(found, np.arange(len(found)))[0], statistics.median(times)


def pck(person: Keypoints2D, camera: int, share: float) -> float:
    """The percentage of OpenPose's keypoints that ours lie near to, in parts of the person's height."""
    calibrated = SAMPLE.cameras[camera]
    extent = np.nanmax(POINTS[..., 2], axis=1) - np.nanmin(POINTS[..., 2], axis=1)
    distance = np.nanmedian(calibrated.to_camera_axes(POINTS[: len(person)])[..., 2], axis=1)
    height = calibrated.intrinsics[0, 0] * np.percentile(extent, 95) / distance
    seen = SAMPLE.keypoints[camera, : len(person), THEIRS].swapaxes(0, 1)
    apart = np.linalg.norm(person.xy[:, OURS] - seen[..., :2], axis=-1) / height[:, None]
    return 100 * float(np.mean(apart[seen[..., 2] > 0] < share))


def fitted(keypoints: Keypoints2D, camera: CalibratedCamera, world: np.ndarray | None = None) -> FitState:
    """Each frame on its own, with one shape."""
    focal = float(np.sqrt(camera.intrinsics[0, 0] * camera.intrinsics[1, 1]))
    pinhole = Camera(focal, camera.intrinsics[:2, 2], camera.image_size)
    problem = FitProblem(
        load_body_model(), pinhole, keypoints, keypoints_3d=world, weights=Weights(sigma_3d=SIGMA_3D)
    )
    return fit_pose(problem, one_shape=True)


def error_mm(state: FitState, camera: CalibratedCamera, frames: slice) -> float:
    """PA-MPJPE of a fit over BODY_25B's points."""
    chain = keypoint_chain(load_body_model(), [name for name in BODY_25B.joints if name])
    x = state.objective.parameters(state.z)
    points = pose_chain(chain, state.objective.centre, x).points @ state.view.turn
    truth = camera.to_camera_axes(POINTS[frames]) * [1.0, -1.0, -1.0]
    return float(np.mean(pa_mpjpe_mm(points, truth)))


def scaled_world(person: Keypoints2D, state: FitState) -> np.ndarray:
    """The points in metres, turned from the line of sight to the camera, as large as a fit without them."""
    assert person.xyz is not None
    world = person.xyz @ state.view.turn
    body = state.points - np.nanmean(state.points, axis=1, keepdims=True)
    world = world - world.mean(axis=1, keepdims=True)
    return world * np.nansum(body * world) / np.sum(world * world * np.isfinite(body))


def camera_row(detector: Detector, camera: int, video: Path, count: int) -> Row:
    """Everything about one camera."""
    calibrated, frames = SAMPLE.cameras[camera], slice(0, count, 4)
    image = next(open_footage(video).frames())[1]
    began = time.perf_counter()
    detector.detect(image)
    detect_ms = 1e3 * (time.perf_counter() - began)
    person, track_ms = tracked(detector, video, count)
    some = person.frames(frames)
    seen = keypoints_2d(
        calibrated.undistort(some.xy), some.confidence, BLAZEPOSE_33, image_size=calibrated.image_size
    )
    openpose = SAMPLE.undistorted()[camera, frames]
    theirs = keypoints_2d(openpose[..., :2], openpose[..., 2], BODY_25B, image_size=calibrated.image_size)
    ours = fitted(seen, calibrated)
    with_world = fitted(seen, calibrated, scaled_world(some, ours))
    return {
        "camera": calibrated.name,
        "frames": count,
        "frames_found": int(person.present.sum()),
        "pck_5_percent": pck(person, camera, 0.05),
        "pck_10_percent": pck(person, camera, 0.1),
        "pa_mpjpe_mm": error_mm(ours, calibrated, frames),
        "with_3d_term_mm": error_mm(with_world, calibrated, frames),
        "from_openpose_mm": error_mm(fitted(theirs, calibrated), calibrated, frames),
        "detect_ms": detect_ms,
        "track_ms": track_ms,
    }


def main() -> None:
    """Print the table."""
    arguments = parser(__doc__)
    arguments.add_argument("--videos", type=Path, help="a folder with cam01.mp4 to cam04.mp4")
    chosen = arguments.parse_args()
    videos = {camera.name: WALK / "walk.mp4" for camera in SAMPLE.cameras if camera.name == "cam02"}
    if chosen.videos:
        videos = {camera.name: chosen.videos / f"{camera.name}.mp4" for camera in SAMPLE.cameras}
    detector = Detector()
    count = 20 if chosen.quick else len(POINTS)
    cameras = [c for c, camera in enumerate(SAMPLE.cameras) if camera.name in videos]
    show([camera_row(detector, c, videos[SAMPLE.cameras[c].name], count) for c in cameras], chosen.json)


if __name__ == "__main__":
    main()
