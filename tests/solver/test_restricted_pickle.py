"""Hostile pickles: each would run a command when loaded plainly; each is refused and runs nothing."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.errors import FitError
from lsr1_solver.model_file import load_body_model
from lsr1_solver.pickle_nodes import ALLOWED_NAMES
from lsr1_solver.restricted_pickle import load_restricted, to_array
from tests.solver.smpl_files import random_smpl


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def touch(marker: Path) -> str:
    return f"touch '{marker}'"


def python(marker: Path) -> str:
    return f"__import__('pathlib').Path({str(marker)!r}).touch()"


def text(value: str) -> bytes:
    """Pushes a text."""
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def named(module: str, name: str) -> bytes:
    """Pushes what a name stands for."""
    return b"c" + f"{module}\n{name}\n".encode()


def call(module: str, name: str, *arguments: str) -> bytes:
    return named(module, name) + b"(" + b"".join(map(text, arguments)) + b"tR"


def object_array(content: object) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = content
    return array


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "os.system": lambda m: pickle.dumps(Calls(os.system, touch(m))),
    "eval": lambda m: pickle.dumps(Calls(eval, python(m)), protocol=2),
    "exec": lambda m: pickle.dumps(Calls(exec, python(m)), protocol=4),
    "deep in a body": lambda m: pickle.dumps({**random_smpl(), "J": [{"a": (Calls(os.system, touch(m)),)}]}),
    "inside an array of objects": lambda m: pickle.dumps({"f": object_array(Calls(os.system, touch(m)))}),
    "a class of its own": lambda m: b"\x80\x02" + call("os", "system", touch(m)) + b".",
    "protocol 0": lambda m: f"cposix\nsystem\n(S{touch(m)!r}\ntR.".encode(),
    "INST": lambda m: f"(S{touch(m)!r}\nios\nsystem\n.".encode(),
    "OBJ": lambda m: b"(" + named("os", "system") + text(touch(m)) + b"o.",
    "subprocess": lambda m: b"\x80\x02" + call("subprocess", "getoutput", touch(m)) + b".",
    "getattr": lambda m: b"\x80\x02" + call("builtins", "getattr", "os", "system") + b".",
    "import": lambda m: b"\x80\x02" + call("builtins", "__import__", "os") + b".",
    "copyreg": lambda m: (
        b"\x80\x02" + named("copyreg", "__newobj__") + b"(" + named("os", "system") + text(touch(m)) + b"tR."
    ),
    "copy_reg": lambda m: b"\x80\x02" + call("copy_reg", "_reconstructor", touch(m)) + b".",
    "a path through an allowed module": lambda m: (
        b"\x80\x04" + text("numpy.core.multiarray") + text("_reconstruct.__globals__") + b"\x93."
    ),
    "a path through an allowed name": lambda m: (
        b"\x80\x04" + text("collections") + text("OrderedDict.__init__") + b"\x93" + text(touch(m))
        + b"\x85R."
    ),
    "numpy runs text": lambda m: (
        b"\x80\x02" + named("numpy.testing._private.utils", "runstring") + text(python(m)) + b"}\x86R."
    ),
    "numpy loads a file": lambda m: b"\x80\x02" + call("numpy", "load", str(m)) + b".",
    "numpy writes a file": lambda m: b"\x80\x02" + call("numpy", "memmap", str(m)) + b".",
    "numpy's os": lambda m: b"\x80\x02" + call("numpy.lib.format", "os.system", touch(m)) + b".",
    "numpy of another subtype": lambda m: (
        b"\x80\x02" + named("numpy.core.multiarray", "_reconstruct") + b"(" + named("numpy", "memmap")
        + text(str(m)) + text("b") + b"tR."
    ),
    "chumpy's own functions": lambda m: b"\x80\x02" + call("chumpy.ch", "os.system", touch(m)) + b".",
    "scipy's loader": lambda m: b"\x80\x02" + call("scipy.sparse", "load_npz", str(m)) + b".",
    "state with a call": lambda m: (
        b"\x80\x02" + named("chumpy.ch", "Ch") + b")\x81" + call("os", "system", touch(m)) + b"b."
    ),
    "another codec": lambda m: b"\x80\x02" + call("_codecs", "encode", touch(m), "rot13") + b".",
    "another built-in": lambda m: b"\x80\x02" + call("__builtin__", "open", str(m), "w") + b".",
    "a persistent id": lambda m: b"\x80\x02" + text(touch(m)) + b"Q.",
    "an extension code": lambda m: b"\x80\x02\x82\x01" + text(touch(m)) + b"\x85R.",
    "attributes of an allowed class": lambda m: (
        b"\x80\x02" + named("chumpy.ch", "Ch") + b"N}" + text("__setstate__") + named("_codecs", "encode")
        + b"s\x86b."
    ),
    "attributes of an allowed function": lambda m: (
        b"\x80\x02" + named("_codecs", "encode") + b"N}" + text("__defaults__") + b")s\x86b."
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, case: str) -> None:
    marker = tmp_path / "marker"
    content = HOSTILE[case](marker)
    names_before = dict(ALLOWED_NAMES)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(content)
    with pytest.raises(FitError, match=r"SMPL_NEUTRAL\.pkl"):
        load_body_model(path)
    assert not marker.exists()
    assert names_before == ALLOWED_NAMES

    with zipfile.ZipFile(tmp_path / "SMPL_NEUTRAL.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
        archive.writestr("J_regressor.npy", header.getvalue() + content)
    with pytest.raises(FitError, match=r"SMPL_NEUTRAL\.npz"):
        load_body_model(tmp_path / "SMPL_NEUTRAL.npz")
    assert not marker.exists()


@pytest.mark.parametrize("case", ["os.system", "eval", "deep in a body", "protocol 0", "INST", "copyreg"])
def test_the_same_pickle_is_hostile_to_a_plain_reader(tmp_path: Path, case: str) -> None:
    """Otherwise the test above would show nothing."""
    marker = tmp_path / "marker"
    try:
        pickle.loads(HOSTILE[case](marker))
    except TypeError:
        # What runs may return what cannot be instantiated: it ran all the same.
        assert case == "copyreg"
        return
    assert marker.exists()


def test_the_message_names_what_was_asked_for() -> None:
    with pytest.raises(FitError, match=r"body\.pkl asks for posix\.system, .*nothing in it was run"):
        load_restricted(pickle.dumps(Calls(os.system, "true")), "body.pkl")


def _chain(depth: int, operation: bytes) -> bytes:
    """An expression that nests: its value is bounded in size, its naive evaluation is not."""
    leaf = pickle.dumps(np.ones(2), protocol=2)[2:-1]
    return b"\x80\x02" + leaf + operation * depth + b"."


def test_expressions_stay_cheap() -> None:
    # Each step makes add(v, v) of the value v before it: 2^40 additions when nothing is remembered.
    add = (
        b"q\xfe0" + named("chumpy.ch_ops", "add") + b")\x81}(" + text("a") + b"h\xfe" + text("b") + b"h\xfeub"
    )
    value = to_array(load_restricted(_chain(40, add), "m.pkl"), "m.pkl: a")
    np.testing.assert_array_equal(value, np.full(2, 2.0**40))
    with pytest.raises(FitError, match="deep"):
        to_array(load_restricted(_chain(1000, add), "m.pkl"), "m.pkl: a")


def test_claimed_sizes_take_no_memory() -> None:
    huge = b"(" + b"J\xff\xff\xff\x7f" * 2 + b"t"
    matrix = b"\x80\x02" + named("scipy.sparse.csc", "csc_matrix") + b")\x81"
    sparse = matrix + b"}" + text("_shape") + huge + b"sb."
    with pytest.raises(FitError, match="shape"):
        to_array(load_restricted(sparse, "m.pkl"), "m.pkl: J_regressor")
    with pytest.raises(FitError, match="no array"):
        to_array(load_restricted(matrix + b".", "m.pkl"), "m.pkl: J_regressor")
