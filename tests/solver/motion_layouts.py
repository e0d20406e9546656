"""The layouts in which other programs write motions, filled with random numbers."""

import pickle
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from lsr1_solver.body_model import BodyPose
from lsr1_solver.rotation import axis_angle_to_matrix

Values = dict[object, object]


def raw_pose(count: int, seed: int = 0, *, hands: bool = False) -> BodyPose:
    """SMPL's parameters as a file has them, in whatever axes; one shape."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(scale=0.4, size=(count, 23, 3))
    if not hands:
        joints[:, 21:] = 0
    return BodyPose(
        global_orient=rng.normal(size=(count, 3)),
        body_pose=joints,
        betas=np.tile(rng.normal(size=10), (count, 1)),
        transl=rng.normal(size=(count, 3)),
    )


def flat(pose: BodyPose) -> np.ndarray:
    return np.concatenate([pose.global_orient, pose.body_pose.reshape(len(pose), 69)], axis=1)


def amass(pose: BodyPose, *, width: int = 156) -> Values:
    poses = np.zeros((len(pose), width))
    poses[:, :66] = flat(pose)[:, :66]
    return {
        "poses": poses,
        "trans": pose.transl,
        "betas": np.pad(pose.betas[0], (0, 6)),
        "gender": np.array("female"),
        "mocap_framerate": np.array(120.00004577),
        "dmpls": np.zeros((len(pose), 8)),
    }


def aist(pose: BodyPose, *, scaling: float = 93.5) -> Values:
    return {
        "smpl_poses": flat(pose).astype(np.float32),
        "smpl_trans": (pose.transl * scaling).astype(np.float32),
        "smpl_scaling": np.array([scaling], np.float32),
        "smpl_loss": 1.5,
    }


def romp_frame(people: list[tuple[int, BodyPose]]) -> Values:
    """A picture of ROMP: each person a track number and a pose of one frame."""
    if not people:
        return {"smpl_thetas": np.zeros((0, 72), np.float32), "cam_trans": np.zeros((0, 3), np.float32)}
    return {
        "smpl_thetas": np.concatenate([flat(p) for _, p in people]).astype(np.float32),
        "smpl_betas": np.concatenate([p.betas for _, p in people]).astype(np.float32),
        "cam_trans": np.concatenate([p.transl for _, p in people]).astype(np.float32),
        "track_ids": np.array([i for i, _ in people]),
        "center_confs": np.ones(len(people), np.float32),
    }


def gvhmr(world: BodyPose, camera: BodyPose) -> Values:
    def params(pose: BodyPose) -> dict[str, np.ndarray]:
        return {
            "body_pose": flat(pose)[:, 3:66].astype(np.float32),
            "betas": pose.betas.astype(np.float32),
            "global_orient": pose.global_orient.astype(np.float32),
            "transl": pose.transl.astype(np.float32),
        }

    return {
        "smpl_params_global": params(world),
        "smpl_params_incam": params(camera),
        "K_fullimg": np.tile(np.eye(3, dtype=np.float32), (len(world), 1, 1)),
        "net_outputs": {"static_conf_logits": np.zeros((1, len(world), 6), np.float32)},
    }


def wham(people: dict[int, tuple[BodyPose, BodyPose, np.ndarray]]) -> Values:
    """People: in the world, before the camera, and their frames' numbers. WHAM's own is a defaultdict."""
    results: defaultdict[object, object] = defaultdict(dict)
    for identity, (world, camera, numbers) in people.items():
        results[identity] = {
            "pose": flat(camera).astype(np.float32),
            "trans": camera.transl.astype(np.float32),
            "pose_world": flat(world).astype(np.float32),
            "trans_world": world.transl.astype(np.float32),
            "betas": world.betas.astype(np.float32),
            "verts": np.zeros((len(world), 8, 3), np.float32),
            "frame_ids": numbers,
        }
    return results


def phalp(people: dict[int, BodyPose], count: int) -> Values:
    """Every person in every frame, but for the first frame, in which nobody is."""
    document: Values = {"videos/frames/000001.jpg": {"smpl": [], "tid": [], "tracked_time": [], "camera": []}}
    for n in range(count):
        smpl = [
            {
                "global_orient": axis_angle_to_matrix(p.global_orient[n])[None].astype(np.float32),
                "body_pose": axis_angle_to_matrix(p.body_pose[n]).astype(np.float32),
                "betas": p.betas[n].astype(np.float32),
            }
            for p in people.values()
        ]
        document[f"videos/frames/{n + 2:06d}.jpg"] = {
            "smpl": smpl,
            "tid": list(people),
            "tracked_time": [0] * len(people),
            "camera": [p.transl[n].astype(np.float32) for p in people.values()],
            "size": [[720, 1280]] * len(people),
        }
    return document


def write_npz(path: Path, values: Mapping[str, object] | Values) -> Path:
    named = {str(key): np.asanyarray(value) for key, value in values.items()}
    np.savez(path, **named)  # pyright: ignore[reportArgumentType] - its option allow_pickle is no key
    return path


def write_pickle(path: Path, document: Values, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(document, protocol=protocol))
    return path


class _Wrapper:
    """joblib's ``NumpyArrayWrapper`` by another name: what its files say before an array's bytes."""

    def __init__(self, array: np.ndarray) -> None:
        self.subclass, self.shape, self.order = np.ndarray, array.shape, "C"
        self.dtype, self.allow_mmap, self.numpy_array_alignment_bytes = array.dtype, True, 16


class _JoblibPickler(pickle._Pickler):
    """Arrays as joblib stores them: a description in the pickle, and the bytes right behind it."""

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if type(obj) is np.ndarray:
            super().save(_Wrapper(obj))  # pyright: ignore[reportAttributeAccessIssue]
            file = self._file  # pyright: ignore[reportAttributeAccessIssue]
            padding = 16 - (file.tell() + 1) % 16
            file.write(bytes([padding]) + b"\xff" * padding + obj.tobytes())
            return
        super().save(obj)  # pyright: ignore[reportAttributeAccessIssue]


def write_joblib(path: Path, document: Values) -> Path:
    """A file as joblib 1.x writes it, without joblib: protocol 4 without frames, arrays apart."""
    module, name = "joblib.numpy_pickle", "NumpyArrayWrapper"
    before = {key: sys.modules.get(key) for key in ("joblib", module)}
    _Wrapper.__module__, _Wrapper.__qualname__, _Wrapper.__name__ = module, name, name
    made = ModuleType(module)
    setattr(made, name, _Wrapper)
    sys.modules["joblib"], sys.modules[module] = ModuleType("joblib"), made
    try:
        with path.open("wb") as file:
            pickler = _JoblibPickler(file, protocol=3)
            pickler._file = file  # pyright: ignore[reportAttributeAccessIssue]
            pickler.dump(document)
    finally:
        for key, old in before.items():
            if old is None:
                del sys.modules[key]
            else:
                sys.modules[key] = old
    return path
