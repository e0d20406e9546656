"""Load SMPL-format bodies: the open body that comes with the product, and a user's own SMPL files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from .body_model import JOINT_COUNT, SMPL_JOINT_NAMES, SMPL_PARENTS, BodyModel, Landmark
from .errors import FitError
from .npz_file import load_npz
from .restricted_pickle import dense_from_columns, load_restricted, sparse_shape, to_array
from .smpl_landmarks import SMPL_VERTEX_COUNT, complete_landmarks, smpl_landmarks

_log = logging.getLogger(__name__)

OPEN_BODY = Path(__file__).resolve().parents[1] / "assets" / "open_body.npz"

_POSE_FEATURES = (JOINT_COUNT - 1) * 9
# The other models of the family, by their joints: Loper 2015, Romero 2017, Pavlakos 2019, Li 2017.
_OTHER_MODELS = {
    52: "SMPL-H (SMPL with hands)",
    55: "SMPL-X (with hands and face)",
    16: "MANO (a hand)",
    5: "FLAME (a head)",
}
_OTHER_NAMES = {"f": "faces", "weights": "lbs_weights"}


def load_body_model(path: str | Path | None = None, *, shape_count: int = 10) -> BodyModel:
    """Read a body: the open one that comes with the product where ``path`` is None, or an SMPL file.

    ``path`` is a ``.pkl`` or ``.npz`` of SMPL under any name (``SMPL_NEUTRAL.pkl``,
    ``basicmodel_m_lbs_10_207_0_v1.1.0.pkl``, ...); the content tells which. A pickle is read without running
    anything in it, and without chumpy or scipy. At most ``shape_count`` shape components are kept. Arrays
    come as float64, ``J_regressor`` dense.

    Raises ``FitError`` where the file is missing, damaged, unsafe or no SMPL body.
    """
    if shape_count < 1:
        raise FitError(f"shape_count is {shape_count}; at least 1 shape component is needed.")
    path = OPEN_BODY if path is None else Path(path)
    try:
        with path.open("rb") as file:
            return _body_from(_File(path.name, _read_values(file, path.name)), path.stem, shape_count)
    except OSError as error:
        raise FitError(f"{path} cannot be read: {error.strerror or error}.") from error


class _File:
    """The values of a model file under SMPL's keys; every message names the file and the key."""

    def __init__(self, name: str, values: Mapping[str, object]) -> None:
        self.name = name
        self.values = values

    def has(self, key: str) -> bool:
        return key in self.values

    def key(self, key: str) -> str:
        """The name under which the file has the key."""
        other = _OTHER_NAMES.get(key, key)
        found = next((k for k in (key, other) if k in self.values), None)
        if found is None:
            raise FitError(
                f"{self.name} has no {key}, which an SMPL body needs. It has: "
                f"{', '.join(sorted(self.values)) or 'nothing'}."
            )
        return found

    def array(self, key: str) -> np.ndarray:
        found = self.key(key)
        return to_array(self.values[found], f"{self.name}: {found}")

    def numbers(self, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """A float64 array, checked against a shape in which None stands for any length."""
        found = self.key(key)
        claimed = sparse_shape(self.values[found])
        if claimed is not None:
            self._check_shape(found, claimed, shape)
        array = self.array(key)
        self._check_shape(found, array.shape, shape)
        if array.dtype.kind not in "biuf":
            raise FitError(f"{self.name}: {found} holds {array.dtype}; it should hold numbers.")
        array = np.array(array, np.float64)
        if not np.isfinite(array).all():
            raise FitError(f"{self.name}: {found} holds NaN or infinite values; a whole file has none.")
        return array

    def indices(self, key: str, shape: tuple[int | None, ...], limit: int) -> np.ndarray:
        """An int64 array of whole numbers from 0 to below ``limit``."""
        array = self.numbers(key, shape)
        if array.size and not (array.min() >= 0 and array.max() < limit and (array % 1 == 0).all()):
            raise FitError(
                f"{self.name}: {self.key(key)} holds {array.min():g} to {array.max():g}; "
                f"it should hold vertex numbers from 0 to {limit - 1}."
            )
        return array.astype(np.int64)

    def _check_shape(self, key: str, shape: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
        fits = len(shape) == len(expected) and all(
            e is None or n == e for n, e in zip(shape, expected, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if e is None else str(e) for e in expected)
            raise FitError(f"{self.name}: {key} has the shape {shape}; it should be ({wanted}).")


def _body_from(file: _File, name: str, shape_count: int) -> BodyModel:
    _check_tree(file)
    v_template = file.numbers("v_template", (None, 3))
    V = v_template.shape[0]
    shapedirs = file.numbers("shapedirs", (V, 3, None))[..., :shape_count]
    if shapedirs.shape[2] < shape_count:
        _log.warning("%s has %d shape components, %d asked for", file.name, shapedirs.shape[2], shape_count)
    has_quads = file.has("quads")
    return BodyModel(
        name=name,
        v_template=v_template,
        shapedirs=np.ascontiguousarray(shapedirs),
        posedirs=_posedirs(file, V),
        J_regressor=_joint_regressor(file, V),
        lbs_weights=file.numbers("weights", (V, JOINT_COUNT)),
        faces=file.indices("f", (None, 3), V),
        landmarks=_landmarks(file, V),
        quads=file.indices("quads", (None, 4), V) if has_quads else None,
        uv=file.numbers("uv", (None, 4, 2)) if has_quads and file.has("uv") else None,
    )


def _check_tree(file: _File) -> None:
    """Refuse what has not SMPL's 24 joints in SMPL's order."""
    table = file.array("kintree_table")
    if table.ndim != 2 or table.dtype.kind not in "iuf":
        raise FitError(f"{file.name}: kintree_table has the shape {table.shape}; it should be (2, 24).")
    count = table.shape[1]
    if count != JOINT_COUNT:
        other = _OTHER_MODELS.get(count)
        what = f"is {other}" if other else "is another model"
        raise FitError(
            f"{file.name} has {count} joints, so it {what}; only SMPL with its 24 joints is supported. "
            "Choose a file such as SMPL_NEUTRAL.pkl."
        )
    # The root's parent is -1, or 4294967295 where the table is unsigned.
    parents = (SMPL_PARENTS[0], *(int(p) for p in table[0, 1:]))
    wrong = [j for j in range(1, JOINT_COUNT) if parents[j] != SMPL_PARENTS[j]]
    if wrong:
        j = wrong[0]
        raise FitError(
            f"{file.name}: kintree_table gives joint {j} ({SMPL_JOINT_NAMES[j]}) the parent {parents[j]}; "
            f"in SMPL it is {SMPL_PARENTS[j]} ({SMPL_JOINT_NAMES[SMPL_PARENTS[j]]})."
        )


def _posedirs(file: _File, V: int) -> np.ndarray | None:
    if not file.has("posedirs") or file.array("posedirs").size == 0:
        return None
    return file.numbers("posedirs", (V, 3, _POSE_FEATURES))


def _joint_regressor(file: _File, V: int) -> np.ndarray:
    """[24, V], from a dense or sparse value or from the parts of scipy's csc under their own keys."""
    parts = [f"J_regressor_{part}" for part in ("data", "indices", "indptr")]
    if file.has("J_regressor") or not all(map(file.has, parts)):
        return file.numbers("J_regressor", (JOINT_COUNT, V))
    data = file.numbers(parts[0], (None,))
    indices = file.indices(parts[1], data.shape, JOINT_COUNT)
    indptr = file.indices(parts[2], (V + 1,), data.size + 1)
    try:
        return dense_from_columns((JOINT_COUNT, V), data, indices, indptr)
    except ValueError as error:
        raise FitError(f"{file.name}: the parts of J_regressor do not fit together ({error}).") from error


def _landmarks(file: _File, V: int) -> dict[str, Landmark]:
    if not file.has("landmark_names"):
        return smpl_landmarks() if V == SMPL_VERTEX_COUNT else complete_landmarks({})
    names = file.array("landmark_names").astype(str)
    vertices = file.indices("landmark_vertices", (names.size, None), V)
    weights = file.numbers("landmark_weights", vertices.shape)
    own = {
        str(name): Landmark(vertices=tuple(v[w != 0].tolist()), vertex_weights=tuple(w[w != 0].tolist()))
        for name, v, w in zip(names.ravel(), vertices, weights, strict=True)
    }
    return complete_landmarks(own)


def _read_values(file: IO[bytes], name: str) -> Mapping[str, object]:
    """The keys and values of a model file; which kind it is shows in its first bytes."""
    zipped = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    read: Callable[[IO[bytes], str], object] = _read_npz if zipped else _read_pickle
    values = read(file, name)
    if not isinstance(values, Mapping):
        raise FitError(f"{name} holds a {type(values).__name__}; an SMPL file holds a dictionary of arrays.")
    return {str(key): value for key, value in values.items()}


def _read_pickle(file: IO[bytes], name: str) -> object:
    return load_restricted(file.read(), name)


def _read_npz(file: IO[bytes], name: str) -> object:
    """Every array of an .npz; what is stored as an object goes the way of the pickles."""
    values = load_npz(file, name, load_restricted)
    if not values:
        raise FitError(
            f"{name} is a zip archive without arrays: unpack it and choose the .pkl or .npz file inside."
        )
    return values
