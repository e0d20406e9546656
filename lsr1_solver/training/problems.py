"""Problems with a known answer: poses of motion capture before synthetic cameras.

Every pose is seen from any side, from below to far above, near and far, at any place in the picture, through
the lenses of phones and of portraits; the keypoints get noise, and some are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..body_model import BodyModel
from ..errors import FitError
from ..kinematics import BETAS_START, KeypointChain, keypoint_chain, pose_chain
from ..rotation import axis_angle_to_matrix
from .limb_twist import plausible_poses
from .retarget import Motion

PITCH = (-30.0, 60.0)  # degrees, the camera looking down is positive
ROLL = 10.0  # degrees either way
DISTANCE = (1.8, 12.0)  # metres
LENS = (26.0, 135.0)  # mm on a sensor 36 mm long: a phone's main camera to a portrait lens
MARGIN = 0.02  # of the picture's shorter side, free around the person
SHAPE_COUNT = 10
_TILE = 256


@dataclass(frozen=True, eq=False)
class CameraViews:
    """B poses with a camera each, before it is known where in the picture the person can stand.

    ``rotations`` [B, 24, 3, 3], the root's in camera axes (x right, y up, looking along -z: a body that faces
    the camera upright has the identity), the others' in their parents'; ``distance`` [B] metres wished for;
    ``lens`` [B] mm on a sensor 36 mm long; ``place`` [B, 2] from -1 to 1, where between the picture's edges;
    ``betas`` [B, 10]; ``group`` [B] the motions' groups; ``motion`` [B] and ``frame`` [B] where the pose is
    from.
    """

    rotations: np.ndarray
    distance: np.ndarray
    lens: np.ndarray
    place: np.ndarray
    betas: np.ndarray
    group: np.ndarray
    motion: np.ndarray
    frame: np.ndarray


@dataclass(frozen=True, eq=False)
class SyntheticProblems:
    """B problems of K keypoints and their answers.

    ``xy`` [B, K, 2] pixels and ``confidence`` [B, K], 0 (and xy 0) where missing, else 1; ``focal_length``
    [B] pixels, the principal point is the picture's middle; ``image_size`` (width, height). The truth:
    ``rotations`` [B, 24, 3, 3] (the root's in camera axes), ``pelvis`` [B, 3] and ``joints`` [B, 24, 3] in
    camera axes, metres, ``betas`` [B, 10], ``xy_exact`` [B, K, 2] without noise. ``person_height`` [B] the
    standing person's height at the pelvis' depth, pixels; ``group`` [B].
    """

    landmarks: tuple[str, ...]
    xy: np.ndarray
    confidence: np.ndarray
    focal_length: np.ndarray
    image_size: tuple[int, int]
    rotations: np.ndarray
    pelvis: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    xy_exact: np.ndarray
    person_height: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)


def camera_views(motions: Sequence[Motion], *, seed: int, views: int = 2) -> CameraViews:
    """``views`` cameras and bodies for every plausible pose of some motions, the same for the same seed."""
    if not motions:
        raise FitError("no motion is given: problems are made from at least one")
    rotations = np.concatenate([motion.rotations for motion in motions])
    index = np.concatenate([np.full(len(m.rotations), i) for i, m in enumerate(motions)])
    frame = np.concatenate([np.arange(len(m.rotations)) for m in motions])
    chosen = np.repeat(np.flatnonzero(plausible_poses(rotations)), views)
    rotations, index, frame = rotations[chosen], index[chosen], frame[chosen]
    random = np.random.default_rng(seed)
    count = len(chosen)
    yaw = random.uniform(0, 2 * np.pi, count)
    pitch = np.radians(random.uniform(*PITCH, count))
    roll = np.radians(random.uniform(-ROLL, ROLL, count))
    rotations[:, 0] = _about(2, roll) @ _about(0, pitch) @ _about(1, yaw) @ rotations[:, 0]
    return CameraViews(
        rotations,
        log_uniform(random, DISTANCE, count),
        log_uniform(random, LENS, count),
        random.uniform(-1, 1, (count, 2)),
        random.standard_normal((count, SHAPE_COUNT)),
        np.array([motions[i].group for i in index]),
        index,
        frame,
    )


def sample_problems(
    motions: Sequence[Motion],
    body: BodyModel,
    landmarks: Sequence[str],
    *,
    seed: int,
    views: int = 2,
    image_size: tuple[int, int] = (1080, 1440),
    noise: float = 0.01,
    missing: float = 0.2,
) -> SyntheticProblems:
    """Keypoints of every plausible pose of some motions before ``views`` cameras.

    ``landmarks`` names of the body's landmarks; ``noise`` one standard deviation as a share of the person's
    height in the picture; ``missing`` the share of keypoints left out at random. Cameras, noise and gaps come
    from separate streams of ``seed``: other noise leaves the cameras as they are.
    Raises FitError for a landmark that the body does not have.
    """
    view = camera_views(motions, seed=seed, views=views)
    chain = keypoint_chain(body, landmarks, shape_count=SHAPE_COUNT)
    points, joints = _pose(chain, view)
    everything = np.concatenate([points, joints], axis=1)
    focal, pelvis = place_in_picture(view.lens, view.distance, view.place, everything, image_size)
    points, joints = points + pelvis[:, None], joints + pelvis[:, None]
    exact = project_points(points, focal, image_size)
    height = stature(body, view.betas) * focal / -pelvis[:, 2]
    shake = np.random.default_rng([seed, 1]).standard_normal(exact.shape)
    seen = np.random.default_rng([seed, 2]).uniform(size=exact.shape[:2]) >= missing
    xy = np.where(seen[..., None], exact + noise * height[:, None, None] * shake, 0.0)
    return SyntheticProblems(
        tuple(landmarks),
        xy,
        seen.astype(np.float64),
        focal,
        image_size,
        view.rotations,
        pelvis,
        view.betas,
        joints,
        exact,
        height,
        view.group,
    )


def log_uniform(random: np.random.Generator, limits: tuple[float, float], count: int) -> np.ndarray:
    """Numbers [count] whose logarithms are spread evenly between the limits."""
    return np.exp(random.uniform(np.log(limits[0]), np.log(limits[1]), count))


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(angle[:, None] * np.eye(3)[axis])


def _pose(chain: KeypointChain, view: CameraViews) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks [B, K, 3] and joints [B, 24, 3] with the pelvis at the origin, tile by tile."""
    points, joints = [], []
    for start in range(0, len(view.betas), _TILE):
        tile = slice(start, start + _TILE)
        betas = view.betas[tile, : chain.shape_count]
        x = np.zeros((len(betas), chain.size))
        x[:, BETAS_START:] = betas
        posed = pose_chain(chain, view.rotations[tile], x)
        points.append(posed.points)
        joints.append(posed.positions)
    return np.concatenate(points), np.concatenate(joints)


def place_in_picture(
    lens: np.ndarray, distance: np.ndarray, place: np.ndarray, points: np.ndarray, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Focal lengths [B] in pixels and pelvis positions [B, 3] with all ``points`` [B, N, 3] in the picture.

    ``lens`` [B] mm, ``distance`` [B] metres, ``place`` [B, 2] as in `CameraViews`; the points stand about the
    pelvis. Where a person does not fit, the lens gets wider, and at its widest the camera steps back.
    """
    size = np.array(image_size, dtype=float)
    pixels = size.max() / 36.0
    focal, distance = lens * pixels, distance.copy()
    half = size / 2 - MARGIN * size.min()
    while True:
        depth = distance[:, None] - points[..., 2]
        # Across the view the pelvis may stand where every point stays between the edges.
        reach = half * depth[..., None] / focal[:, None, None]
        low, high = (-reach - points[..., :2]).max(axis=1), (reach - points[..., :2]).min(axis=1)
        outside = ((low > high).any(axis=1)) | (depth.min(axis=1) < 0.5)
        if not outside.any():
            break
        widest = focal <= LENS[0] * pixels
        distance[outside & widest] *= 1.05
        focal[outside & ~widest] = np.maximum(focal[outside & ~widest] * 0.93, LENS[0] * pixels)
    across = (low + high) / 2 + place * (high - low) / 2
    return focal, np.concatenate([across, -distance[:, None]], axis=1)


def project_points(points: np.ndarray, focal: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Pixels [B, K, 2] of points [B, K, 3] in camera axes, seen with a focal length [B] each."""
    plane = points[..., :2] / -points[..., 2:]
    return np.array(image_size) / 2 + focal[:, None, None] * plane * [1.0, -1.0]


def stature(body: BodyModel, betas: np.ndarray) -> np.ndarray:
    """The height of the bodies in their rest pose, [B] metres."""
    top, bottom = (f(body.v_template[:, 1]) for f in (np.argmax, np.argmin))
    count = min(betas.shape[1], body.shape_count)
    ends = body.v_template[[top, bottom], 1] + betas[:, :count] @ body.shapedirs[[top, bottom], 1, :count].T
    return ends[:, 0] - ends[:, 1]
