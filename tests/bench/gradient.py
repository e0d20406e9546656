"""How long one gradient of the objective takes: the analytic one, and torch's autograd through smplx.SMPL.

Both fit COCO's 17 points of the open body with the same reprojection error; smplx poses its mesh and reads
the points off it. One thread.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import contextlib
import io
from typing import cast

import numpy as np
import smplx
import smplx.utils
import torch

from lsr1_solver import BodyModel, FitProblem, camera_from_focal, keypoints_2d, load_body_model
from lsr1_solver.arrays import Array
from lsr1_solver.body_model import SMPL_PARENTS
from lsr1_solver.keypoints import COCO_17
from lsr1_solver.objective import Objective
from lsr1_solver.starts import yaw_starts
from lsr1_solver.training.learn_optimizer import in_torch
from lsr1_solver.view import person_view
from tests.bench.table import Row, median_ms, options, show


def problem(body: BodyModel, batch: int) -> Objective:
    """Frames of noise about a standing person: the time of a gradient does not depend on the numbers."""
    rng = np.random.default_rng(0)
    xy = rng.normal([640, 360], [60, 150], size=(batch, 17, 2))
    keypoints = keypoints_2d(xy, np.ones((batch, 17)), COCO_17)
    view = person_view(FitProblem(body, camera_from_focal(1200, (1280, 720)), keypoints))
    return view.objective(yaw_starts(view, np.arange(batch)))[0].select(slice(0, None, 8))


class SmplxEnergy:
    """The reprojection error of COCO's points through smplx's forward pass, and its gradient by autograd."""

    def __init__(self, body: BodyModel, objective: Objective) -> None:
        data = smplx.utils.Struct(
            v_template=body.v_template,
            shapedirs=body.shapedirs,
            posedirs=np.zeros((len(body.v_template), 3, 207)),
            J_regressor=body.J_regressor,
            weights=body.lbs_weights,
            kintree_table=np.array([[2**32 - 1, *SMPL_PARENTS[1:]], range(24)]),
            f=body.faces,
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it announces itself
            self.model = smplx.SMPL("", data_struct=data, batch_size=len(objective), num_betas=10)
        regressor = np.zeros((17, len(body.v_template)), dtype=np.float32)
        for row, name in zip(regressor, COCO_17.joints, strict=True):
            landmark = body.landmarks[name or ""]
            row[list(landmark.vertices)] = landmark.vertex_weights
        self.regressor = torch.tensor(regressor).to_sparse()
        self.objective = in_torch(objective)
        self.parameters = [torch.zeros(len(objective), n, requires_grad=True) for n in (3, 69, 10, 3)]

    def gradient(self) -> list[torch.Tensor]:
        orient, pose, betas, transl = self.parameters
        vertices = self.model(global_orient=orient, body_pose=pose, betas=betas, transl=transl).vertices
        flat = vertices.permute(1, 0, 2).reshape(vertices.shape[1], -1)
        points = torch.sparse.mm(self.regressor, flat).reshape(17, -1, 3).permute(1, 0, 2)
        placed = cast(Array, points - torch.tensor([0.0, 0.0, 5.0]))
        energy = self.objective._data_energy(placed, self.objective._projected(placed))
        return list(torch.autograd.grad(cast(torch.Tensor, energy).sum(), self.parameters))


def main() -> None:
    """Print the table."""
    chosen = options(__doc__)
    torch.set_num_threads(1)
    body = load_body_model()
    seconds = 0.3 if chosen.quick else 2.0
    rows: list[Row] = []
    for batch in (1, 64) if chosen.quick else (1, 64, 256, 1000):
        objective = problem(body, batch)
        z = objective.start()
        ours = median_ms(lambda: objective.energy_and_gradient(z), seconds=seconds)  # noqa: B023
        single = in_torch(objective)
        tensor = cast(Array, torch.zeros(z.shape))
        with torch.no_grad():
            on_torch = median_ms(lambda: single.energy_and_gradient(tensor), seconds=seconds)  # noqa: B023
        linear = median_ms(lambda: objective.linearize(z).solve(np.ones(batch)), seconds=seconds)  # noqa: B023
        peer = SmplxEnergy(body, objective)
        theirs = median_ms(peer.gradient, seconds=seconds, rounds=3 if batch > 64 else 7)
        for method, ms in (
            ("numpy, analytic", ours),
            ("numpy, Jacobian and step", linear),
            ("torch, analytic", on_torch),
            ("torch, autograd through smplx.SMPL", theirs),
        ):
            rows.append({"method": method, "batch": batch, "ms": ms, "times_ours": ms / ours})
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
