"""Random data in SMPL's format, and the pickles that Python 2, chumpy and scipy made of such data."""

import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from lsr1_solver.body_model import SMPL_PARENTS


def random_smpl(vertex_count: int = 60, shapes: int = 10, seed: int = 0) -> dict[str, np.ndarray]:
    """A body of random numbers under SMPL's keys: dense, float64."""
    rng = np.random.default_rng(seed)
    regressor = rng.random((24, vertex_count)) * (rng.random((24, vertex_count)) < 0.2)
    regressor[:, 0] += 0.01
    weights = rng.random((vertex_count, 24)) ** 8
    return {
        "v_template": rng.normal(size=(vertex_count, 3)),
        "shapedirs": rng.normal(scale=0.1, size=(vertex_count, 3, shapes)),
        "posedirs": rng.normal(scale=0.01, size=(vertex_count, 3, 207)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "f": rng.integers(0, vertex_count, (90, 3)).astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *SMPL_PARENTS[1:]], range(24)], np.uint32),
    }


def csc_parts(dense: np.ndarray) -> dict[str, np.ndarray]:
    """scipy's compressed columns of a matrix."""
    columns, rows = np.nonzero(dense.T)
    counts = np.bincount(columns, minlength=dense.shape[1])
    return {
        "data": dense[rows, columns],
        "indices": rows.astype(np.int32),
        "indptr": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
    }


class Foreign:
    """An object that pickles as an instance of a class this machine need not have."""

    def __init__(self, state: Mapping[str, object]) -> None:
        self.__dict__.update(state)


@contextmanager
def foreign_class(module: str, name: str) -> Iterator[type[Foreign]]:
    """A class that pickles under the given name; its module exists only inside the context."""
    made = type(name, (Foreign,), {"__module__": module})
    parts = module.split(".")
    paths = [".".join(parts[: i + 1]) for i in range(len(parts))]
    before = {path: sys.modules.get(path) for path in paths}
    try:
        for path in paths:
            sys.modules[path] = ModuleType(path)
        setattr(sys.modules[module], name, made)
        yield made
    finally:
        for path, old in before.items():
            if old is None:
                del sys.modules[path]
            else:
                sys.modules[path] = old


def with_csc(values: Mapping[str, object], protocol: int = 2, module: str = "scipy.sparse._csc") -> bytes:
    """The pickle of a body whose regressor is a scipy csc_matrix."""
    dense = values["J_regressor"]
    assert isinstance(dense, np.ndarray)
    with foreign_class(module, "csc_matrix") as csc_matrix:
        sparse = csc_matrix({"_shape": dense.shape, "maxprint": 50, **csc_parts(dense)})
        return pickle.dumps({**values, "J_regressor": sparse}, protocol=protocol)


def write_npz(path: Path, values: Mapping[str, object]) -> Path:
    """An .npz of arrays and of objects, as numpy.savez writes it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in values.items():
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=True)
    return path


def python2_pickle(values: Mapping[str, object]) -> bytes:
    """The pickle of a body with a csc_matrix as Python 2 wrote it: text and bytes are both byte strings."""
    return b"\x80\x02" + _python2(values) + b"."


def _python2(value: object) -> bytes:
    match value:
        case np.ndarray():
            return _python2_array(value)
        case Foreign():
            return b"cscipy.sparse.csc\ncsc_matrix\n)\x81" + _python2(vars(value)) + b"b"
        case Mapping():
            return b"}(" + b"".join(_python2(k) + _python2(v) for k, v in value.items()) + b"u"
        case tuple():
            return b"(" + b"".join(map(_python2, value)) + b"t"
        case int():
            return b"J" + value.to_bytes(4, "little", signed=True)
        case str() | bytes():
            raw = value.encode("latin1") if isinstance(value, str) else value
            return b"T" + len(raw).to_bytes(4, "little") + raw
    raise TypeError(type(value))


def _python2_array(array: np.ndarray) -> bytes:
    code = array.dtype.str
    dtype = b"cnumpy\ndtype\n" + _python2((code[1:], 0, 1)) + b"R"
    dtype += b"(" + _python2(3) + _python2(code[0]) + b"NNN" + _python2(-1) * 2 + _python2(0) + b"tb"
    new = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _python2((0,)) + _python2("b") + b"tR"
    state = b"(" + _python2(1) + _python2(array.shape) + dtype + b"\x89" + _python2(array.tobytes()) + b"tb"
    return new + state
