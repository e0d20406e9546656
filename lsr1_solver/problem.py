"""What a fit is asked: a body, a camera, a person's keypoints, a prior, and what must stay as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .body_model import SMPL_JOINT_NAMES, BodyModel
from .camera import Camera
from .errors import FitError
from .initializer import Initializer, load_initializer
from .keypoints import Keypoints2D
from .pins import Pins
from .pose_prior import PosePrior, load_pose_prior

# A frame with fewer points says too little about 85 parameters to be worth a pose.
FEWEST_KEYPOINTS = 6
# What `fixed` may hold besides joint names.
SHAPE, PLACE = "betas", "transl"
# The columns of `held`.
PARTS = (*SMPL_JOINT_NAMES, PLACE, SHAPE)


@dataclass(frozen=True)
class Weights:
    """The weights of the objective's terms.

    ``prior`` multiplies pose and shape prior, ``limits`` the joint limits. ``delta`` is where the robust
    reprojection error turns from square to linear, in units of 1 % of the person's height. ``sigma_3d`` is
    the error of 3D keypoints: metres, one standard deviation. ``temporal`` multiplies what
    motion capture says about velocities and accelerations, where the problem has a frame rate; at 0 every
    frame is on its own. ``feet`` multiplies the hold of standing feet; 0 lets them slide.
    """

    prior: float = 1.0
    limits: float = 1.0
    delta: float = 1.5
    sigma_3d: float = 0.04
    temporal: float = 1.0
    feet: float = 1.0


@dataclass(frozen=True, eq=False)
class FitProblem:
    """One person's keypoints in B frames, seen by a camera.

    ``keypoints_3d`` [B, K, 3] in camera axes, metres: their shape counts, not their place; a point that is
    not finite is missing. ``fixed`` names what stays as in the initial pose: joints by name ("pelvis" is the
    root), "betas" for the shape, "transl" for the place. ``held`` [B, 26] says the same frame by frame, and
    how firmly, for each of PARTS (24 joints, place, shape): 0 stays exactly as in the initial pose, inf is
    free, anything between is one standard deviation about the initial pose (radians, metres, betas). Either
    way the prior of the rest is conditioned on it. ``pins`` draw joints to places. ``initializer`` reads a
    first pose off the keypoints; None begins at eight yaws with the pose prior instead.

    With ``frame_rate`` (hertz) the frames are those of one person's clip and become one problem: one shape,
    and a motion that is tied in time. ``camera_to_world`` [B, 4, 4] says where a moving camera stands (world
    axes with y up, metres): the motion is then tied in the world. ``contacts`` [B, 4] says which of the
    points of `clip_motion.FEET` stand still; None finds them. The arrays are never written to.

    Raises FitError where the numbers of frames disagree, where ``fixed`` holds an unknown name or ``held``
    a negative number, and where no frame has six usable points.
    """

    body: BodyModel
    camera: Camera
    keypoints: Keypoints2D
    prior: PosePrior = field(default_factory=load_pose_prior)
    weights: Weights = Weights()
    keypoints_3d: np.ndarray | None = None
    fixed: frozenset[str] = frozenset()
    held: np.ndarray | None = None
    pins: Pins | None = None
    shape_count: int = 10
    initializer: Initializer | None = field(default_factory=load_initializer)
    frame_rate: float | None = None
    camera_to_world: np.ndarray | None = None
    contacts: np.ndarray | None = None

    def __post_init__(self) -> None:
        unknown = sorted(self.fixed - {*SMPL_JOINT_NAMES, SHAPE, PLACE})
        if unknown:
            raise FitError(f"{unknown[0]!r} can't be fixed: give joint names, 'betas' or 'transl'")
        frames, focal = len(self.keypoints), np.size(self.camera.focal_length)
        if focal not in (1, frames):
            raise FitError(f"{focal} focal lengths for {frames} frames: give one for all, or one a frame")
        wanted = (*self.keypoints.confidence.shape, 3)
        if self.keypoints_3d is not None and self.keypoints_3d.shape != wanted:
            raise FitError(f"The 3D keypoints have shape {self.keypoints_3d.shape}; right is {wanted}")
        if self.held is not None and (self.held.shape != (frames, len(PARTS)) or not np.all(self.held >= 0)):
            raise FitError(
                f"held has shape {self.held.shape}; right is ({frames}, {len(PARTS)}), nowhere below zero"
            )
        if self.pins is not None and len(self.pins) != frames:
            raise FitError(f"Pins are given for {len(self.pins)} frames; the keypoints have {frames}")
        if not self.fitted_frames.any():
            most = int((self.keypoints.confidence[:, self.usable] > 0).sum(axis=1).max(initial=0))
            if most == 0 and self.keypoints.xyz is not None:
                raise FitError(
                    "These are 3D keypoints alone, and a fit needs those of a picture: take the 2D keypoints "
                    "of one camera"
                )
            raise FitError(
                f"No frame has enough keypoints: at most {most} are usable, a fit needs {FEWEST_KEYPOINTS}"
            )

    @cached_property
    def firmness(self) -> np.ndarray:
        """[B, 26] ``held`` and ``fixed`` in one table of standard deviations: 0 exactly, inf free."""
        held = np.full((len(self.keypoints), len(PARTS)), np.inf) if self.held is None else self.held.copy()
        held[:, [PARTS.index(name) for name in self.fixed]] = 0.0
        return held

    def frames(self, index: np.ndarray | slice) -> FitProblem:
        """The problem of the chosen frames alone."""

        def chosen(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[index]

        return replace(
            self,
            camera=self.camera.frames(index),
            keypoints=self.keypoints.frames(index),
            keypoints_3d=chosen(self.keypoints_3d),
            held=chosen(self.held),
            pins=None if self.pins is None else self.pins.frames(index),
            camera_to_world=chosen(self.camera_to_world),
            contacts=chosen(self.contacts),
        )

    @cached_property
    def usable(self) -> np.ndarray:
        """[K] whether the format's keypoint is a point of this body."""
        return np.array([name in self.body.landmarks for name in self.keypoints.format.joints])

    @cached_property
    def fitted_frames(self) -> np.ndarray:
        """[B] whether the frame has enough keypoints for a pose."""
        return (self.keypoints.confidence[:, self.usable] > 0).sum(axis=1) >= FEWEST_KEYPOINTS
