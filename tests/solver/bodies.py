"""A small made-up body: SMPL's tree with a blob of vertices, for tests that need no mesh to look at."""

import numpy as np

from lsr1_solver.body_model import JOINT_COUNT, SMPL_JOINT_NAMES, SMPL_PARENTS, BodyModel, Landmark

# Where the joints of a person of 1.7 m stand in the T-pose, metres.
REST_JOINTS = np.array(
    [
        [0, -0.2, 0], [0.07, -0.28, 0], [-0.07, -0.28, 0], [0, -0.1, 0], [0.1, -0.66, 0], [-0.1, -0.66, 0],
        [0, 0.04, 0], [0.09, -1.06, -0.03], [-0.09, -1.06, -0.03], [0, 0.1, 0], [0.1, -1.12, 0.09],
        [-0.1, -1.12, 0.09], [0, 0.3, -0.03], [0.08, 0.2, -0.02], [-0.08, 0.2, -0.02], [0, 0.37, 0.02],
        [0.18, 0.23, -0.02], [-0.18, 0.23, -0.02], [0.44, 0.22, -0.03], [-0.44, 0.22, -0.03],
        [0.69, 0.22, -0.03], [-0.69, 0.22, -0.03], [0.78, 0.22, -0.03], [-0.78, 0.22, -0.03],
    ]
)  # fmt: skip


def random_body(seed: int = 0, vertices_per_joint: int = 4, shape_count: int = 10) -> BodyModel:
    """A body with random vertices about each joint, blended over a joint and its parent."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(JOINT_COUNT), vertices_per_joint)
    count = len(owner)
    v_template = REST_JOINTS[owner] + rng.normal(scale=0.05, size=(count, 3))
    weights = np.zeros((count, JOINT_COUNT))
    share = rng.uniform(0.5, 1, count)
    weights[np.arange(count), owner] += share
    weights[np.arange(count), np.maximum(np.array(SMPL_PARENTS)[owner], 0)] += 1 - share
    regressor = np.zeros((JOINT_COUNT, count))
    for j in range(JOINT_COUNT):
        regressor[j, owner == j] = rng.dirichlet(np.ones(vertices_per_joint))
    landmarks = {n: Landmark(joints=(j,), joint_weights=(1.0,)) for j, n in enumerate(SMPL_JOINT_NAMES)}
    for j, name in enumerate(SMPL_JOINT_NAMES):
        chosen = (vertices_per_joint * j, vertices_per_joint * j + 1)
        landmarks[f"skin_{name}"] = Landmark(vertices=chosen, vertex_weights=(0.3, 0.7))
    landmarks["mixed"] = Landmark(
        vertices=(3, 40), vertex_weights=(0.2, 0.3), joints=(5, 20), joint_weights=(0.4, 0.1)
    )
    return BodyModel(
        name="random",
        v_template=v_template,
        shapedirs=rng.normal(scale=0.01, size=(count, 3, shape_count)),
        posedirs=None,
        J_regressor=regressor,
        lbs_weights=weights,
        faces=np.arange(count - count % 3).reshape(-1, 3),
        landmarks=landmarks,
    )
