"""Fit an SMPL-format body to 2D keypoints.

Data flows one way: keypoints, problem, fit, pose.

    keypoints = read_keypoints("clip_keypoints/")[0]
    camera = camera_from_lens(35, keypoints.image_size)
    state = fit_pose(FitProblem(load_body_model(), camera, keypoints))
    write_amass("pose.npz", state.pose, frame_rate=30, body=state.view.problem.body)

Letters of shapes: B frames, J joints (24), K keypoints, V vertices, S shape components. Lengths are metres,
angles radians, pictures pixels with the origin at the top left and y down.
"""

from .body_model import (
    SMPL_JOINT_NAMES,
    SMPL_PARENTS,
    BodyModel,
    BodyPose,
    Landmark,
    posed_joints,
    rest_joints,
    skin,
)
from .bvh import write_bvh
from .camera import Camera, camera_from_focal, camera_from_lens, default_camera, project
from .clip_minimizer import LearnedLBFGS, load_clip_minimizer
from .clip_motion import bridge_gaps
from .depth_flip import flip_limb, flip_problem
from .errors import FitError
from .fit_state import ClipFindings, FitState, FitStatus
from .fitting import MINIMIZERS, fit, fit_pose
from .initializer import Initializer, load_initializer
from .keypoint_files import read_keypoints
from .keypoints import FORMATS, KeypointFormat, Keypoints2D, keypoint_format, keypoints_2d
from .learned_sr1 import LearnedSR1, load_learned_sr1
from .minimizer import Adam, LevenbergMarquardt, Minimizer
from .model_file import load_body_model
from .motion import read_amass, write_amass
from .motion_files import Motion, read_motion
from .pins import Pins
from .pose_prior import PosePrior, load_pose_prior
from .problem import PARTS, FitProblem, Weights
from .quasi_newton import LBFGS, SR1
from .reach import Reach
from .refine import LIMBS, edited_parts, refit_problem
from .solutions import Solution, flips, other_solutions
from .uncertainty import depth_uncertainty

__all__ = [
    "FORMATS",
    "LBFGS",
    "LIMBS",
    "MINIMIZERS",
    "PARTS",
    "SMPL_JOINT_NAMES",
    "SMPL_PARENTS",
    "SR1",
    "Adam",
    "BodyModel",
    "BodyPose",
    "Camera",
    "ClipFindings",
    "FitError",
    "FitProblem",
    "FitState",
    "FitStatus",
    "Initializer",
    "KeypointFormat",
    "Keypoints2D",
    "Landmark",
    "LearnedLBFGS",
    "LearnedSR1",
    "LevenbergMarquardt",
    "Minimizer",
    "Motion",
    "Pins",
    "PosePrior",
    "Reach",
    "Solution",
    "Weights",
    "bridge_gaps",
    "camera_from_focal",
    "camera_from_lens",
    "default_camera",
    "depth_uncertainty",
    "edited_parts",
    "fit",
    "fit_pose",
    "flip_limb",
    "flip_problem",
    "flips",
    "keypoint_format",
    "keypoints_2d",
    "load_body_model",
    "load_clip_minimizer",
    "load_initializer",
    "load_learned_sr1",
    "load_pose_prior",
    "other_solutions",
    "posed_joints",
    "project",
    "read_amass",
    "read_keypoints",
    "read_motion",
    "refit_problem",
    "rest_joints",
    "skin",
    "write_amass",
    "write_bvh",
]
