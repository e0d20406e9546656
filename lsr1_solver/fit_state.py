"""The state of a fit: what a caller sees of it after every step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from .body_model import BodyPose, rest_joints
from .camera import project
from .kinematics import BETAS_START, PELVIS
from .objective import Objective
from .rotation import rotation_vectors
from .view import PersonView


class FitStatus(Enum):
    """How far a fit has come."""

    RUNNING = "running"
    CONVERGED = "converged"
    MAX_ITERATIONS = "stopped at the limit of iterations"
    DIVERGED = "diverged"


@dataclass(frozen=True, eq=False)
class ClipFindings:
    """What the fit of a clip found: ``cuts`` [B] set where a new take begins, ``unsure`` [B] where left and
    right may be exchanged, ``contacts`` [B, 4] where the points ``feet`` [B, 4, 3] (left heel and toe, right
    heel and toe; metres, in the axes of the world or of the one camera) stand still.
    """

    cuts: np.ndarray
    unsure: np.ndarray
    contacts: np.ndarray
    feet: np.ndarray


@dataclass(frozen=True, eq=False)
class FitState:
    """A fit after ``iteration`` steps.

    ``loss`` [B] the energy (of a clip: what the keypoints of each frame leave unexplained). Pose and
    reprojection are worked out when asked for. ``clip`` is what the fit of a clip found, None of stills.
    """

    iteration: int
    status: FitStatus
    loss: np.ndarray
    view: PersonView
    objective: Objective
    z: np.ndarray
    clip: ClipFindings | None = None

    @property
    def fitted(self) -> np.ndarray:
        """[B] whether the frame has keypoints enough for a pose of its own."""
        return self.view.problem.fitted_frames

    @cached_property
    def pose(self) -> BodyPose:
        """The body's parameters, in camera axes (y up, the camera looks along -z)."""
        if self.clip is None or self.view.kept is not None:
            return self.view.body_pose(self.objective, self.z, np.arange(len(self.z)))
        # A clip's motion is the centre of its objective: nothing is turned about it, and the shape is one.
        back = np.swapaxes(self.view.turn, -1, -2)
        x = self.objective.offset
        rotations = self.objective.centre.copy()
        rotations[:, 0] = back @ rotations[:, 0]
        omega, betas = rotation_vectors(rotations), x[:, BETAS_START:]
        pelvis = np.einsum("tij,tj->ti", back, x[:, PELVIS])
        transl = pelvis - rest_joints(self.view.problem.body, betas[:1])[:, 0]
        return BodyPose(omega[:, 0], omega[:, 1:], betas, transl)

    @cached_property
    def points(self) -> np.ndarray:
        """The body's keypoints in camera axes, metres [B, K, 3]; NaN where the body has no such point."""
        usable = self.view.problem.usable
        points = np.full((len(self.z), len(usable), 3), np.nan)
        points[:, usable] = self.objective.points(self.z)[:, : usable.sum()] @ self.view.turn
        return points

    @cached_property
    def reprojected(self) -> np.ndarray:
        """The body's keypoints in the picture, pixels [B, K, 2]; NaN where the body has no such point."""
        return project(self.view.problem.camera, self.points)

    @cached_property
    def reprojection_error(self) -> np.ndarray:
        """Distance from each used keypoint to its reprojection, pixels [B, K]; NaN elsewhere."""
        distance = np.linalg.norm(self.reprojected - self.view.used_xy, axis=-1)
        return np.where(self.view.used, distance, np.nan)

    @cached_property
    def person_height(self) -> np.ndarray:
        """The height of the mean body at the person's distance, pixels [B]: what percentages refer to."""
        depth = -self.objective.parameters(self.z)[:, PELVIS.stop - 1]
        return np.ravel(self.view.problem.camera.focal_length) * self.view.height / depth

    @property
    def dropped(self) -> np.ndarray:
        """[B, K] the keypoints that were seen and not believed: farther off than any noise."""
        dropped = np.zeros(self.view.used.shape, dtype=bool)
        dropped[:, self.view.problem.usable] = self.view.dropped
        return dropped

    @property
    def swapped(self) -> np.ndarray:
        """[B, K] the keypoints whose sides were found exchanged, and put right."""
        swapped = np.zeros(self.view.used.shape, dtype=bool)
        swapped[:, self.view.problem.usable] = self.view.order != np.arange(self.view.order.shape[1])
        return swapped

    @property
    def reprojection_percent(self) -> float:
        """Mean reprojection error in % of the person's height, over all seen keypoints."""
        return 100 * float(np.nanmean(self.reprojection_error / self.person_height[:, None]))
