"""Random feed-forward ONNX models of every covered operator, drawn by hypothesis.

A model grows tensor by tensor: each step applies one operator to an earlier tensor, mostly the last one.
"""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st
from onnx import helper

from .models import INPUT, model

MAX_ELEMENTS = 40
OPSETS = (8, 9, 10, 11, 12, 13, 15, 17, 18, 21)


@dataclass
class Growing:
    """A model under construction."""

    draw: object
    opset: int
    rng: np.random.Generator
    shapes: dict = field(default_factory=dict)  # computed tensors
    nodes: list = field(default_factory=list)
    constants: dict = field(default_factory=dict)
    fused: bool = False  # whether runtimes may compute an operator with other constants or in another order
    oracles: set = field(default_factory=lambda: {"reference", "plain", "optimised"})  # runtimes that run it rightly

    def constant(self, values):
        """Name of a float32 constant: an initializer or a Constant node."""
        values = np.asarray(values, np.float32)
        name = f"c{len(self.constants) + len(self.nodes)}"
        if self.draw(st.booleans()):
            self.constants[name] = values
        else:
            value = helper.make_tensor(name, 1, values.shape, values.reshape(-1))
            self.nodes.append(helper.make_node("Constant", [], [name], value=value))
        return name

    def normal(self, *shape):
        """A constant of random numbers."""
        return self.constant(self.rng.normal(size=shape))

    def integers(self, values):
        """Name of an int64 initializer."""
        name = f"i{len(self.constants) + len(self.nodes)}"
        self.constants[name] = np.array(values, np.int64)
        return name

    def apply(self, kind, inputs, shape, **attributes):
        """Append a node; its result becomes the last tensor."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        self.shapes[name] = tuple(shape)

    def axes(self, kind, x, shape, axes):
        """Append Squeeze or Unsqueeze in the opset's form."""
        if self.opset < 13:
            self.apply(kind, [x], shape, axes=axes)
        else:
            self.apply(kind, [x, self.integers(axes)], shape)


def relu(g, x, shape):
    g.apply("Relu", [x], shape)


def gemm(g, x, shape):
    if len(shape) != 2:
        return
    trans_a, trans_b, n = g.draw(st.booleans()), g.draw(st.booleans()), g.draw(st.integers(1, 6))
    m, k = shape[::-1] if trans_a else shape
    alpha, beta = g.draw(st.sampled_from([(1.0, 1.0), (1.0, 0.3), (0.7, 1.0), (-1.3, 0.7)]))
    g.fused |= alpha != 1
    weight = g.normal(n, k) if trans_b else g.normal(k, n)
    offset = g.draw(st.sampled_from([(n,), (m, n), (1, n), (m, 1), ()]))
    inputs = [x, weight] if g.opset >= 11 and g.draw(st.booleans()) else [x, weight, g.normal(*offset)]
    g.apply("Gemm", inputs, (m, n), alpha=alpha, beta=beta, transA=int(trans_a), transB=int(trans_b))


def matmul_right(g, x, shape):
    if not shape:
        return
    n = g.draw(st.integers(1, 5))
    batch = (2,) if len(shape) == 3 and shape[0] == 1 and g.draw(st.booleans()) else ()
    if g.draw(st.booleans()) and len(shape) > 1:
        g.oracles.discard("optimised")  # onnxruntime 1.31 fuses a transpose in front of a product with a vector wrongly
        g.apply("MatMul", [x, g.normal(shape[-1])], shape[:-1])
    else:
        result = (*batch, *shape[-2:-1], n) if batch else (*shape[:-1], n)
        g.apply("MatMul", [x, g.normal(*batch, shape[-1], n)], result)


def matmul_left(g, x, shape):
    if len(shape) < 2:
        return
    m = g.draw(st.integers(1, 5))
    g.apply("MatMul", [g.normal(m, shape[-2]), x], (*shape[:-2], m, shape[-1]))


def _operand(g, shape):
    """Shape of a constant to broadcast against a tensor: smaller, equal, or enlarging a dimension of size 1."""
    kept = tuple(size if g.draw(st.booleans()) else 1 for size in shape)
    if shape[:1] == (1,) and g.draw(st.integers(0, 4)) == 0:
        kept = (2, *kept[1:])
    return kept[g.draw(st.integers(0, len(kept))) :] if g.draw(st.booleans()) else kept


def arithmetic(g, x, shape):
    kind = g.draw(st.sampled_from(["Add", "Sub", "Mul", "Div"]))
    other = _operand(g, shape)
    values = g.rng.normal(size=other)
    special = g.draw(st.sampled_from([None, None, None, 0.0, 1.0]))
    if special is not None:
        values = np.full(other, special)
    if kind == "Div":
        values = np.where(values < 0, -1, 1) * (0.5 + np.abs(values))
    names = [x, g.constant(values)]
    if kind != "Div" and g.draw(st.booleans()):
        names.reverse()
    g.apply(kind, names, np.broadcast_shapes(shape, other))


def negate(g, x, shape):
    g.apply("Neg", [x], shape)


def batch_normalization(g, x, shape):
    if len(shape) < 2:
        return
    channels = shape[1]
    parameters = [g.normal(channels) for _ in range(3)] + [g.constant(0.1 + g.rng.random(channels))]
    g.fused = True
    if g.opset < 14:  # onnx.reference then uses the statistics of the batch
        g.oracles.discard("reference")
    g.apply("BatchNormalization", [x, *parameters], shape, epsilon=1e-3)


def flatten(g, x, shape):
    axis = g.draw(st.integers(0, len(shape)))
    g.apply("Flatten", [x], (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))), axis=axis)


def reshape(g, x, shape):
    size = int(np.prod(shape))
    first = g.draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
    target = g.draw(st.sampled_from([[first, -1], [1, first, size // first], [-1], [1, -1], [first, size // first]]))
    g.apply("Reshape", [x, g.integers(target)], np.empty(shape).reshape(target).shape)


def transpose(g, x, shape):
    order = g.draw(st.permutations(range(len(shape))))
    if order:
        g.apply("Transpose", [x], [shape[axis] for axis in order], perm=order)


def squeeze(g, x, shape):
    axes = [axis for axis, size in enumerate(shape) if size == 1 and g.draw(st.booleans())]
    if axes:
        g.axes("Squeeze", x, [size for axis, size in enumerate(shape) if axis not in axes], axes)


def unsqueeze(g, x, shape):
    axis = g.draw(st.integers(0, len(shape)))
    if len(shape) < 4:
        g.axes("Unsqueeze", x, (*shape[:axis], 1, *shape[axis:]), [axis])


def passing(g, x, shape):
    kind = g.draw(st.sampled_from(["Identity", "Dropout", "Cast"]))
    g.apply(kind, [x], shape, **({"to": 1} if kind == "Cast" else {}))


def slicing(g, x, shape):
    if not shape:
        return
    axis = g.draw(st.integers(0, len(shape) - 1))
    size = shape[axis]
    start, end = g.draw(st.integers(-size - 1, size - 1)), g.draw(st.sampled_from([size, 2**31, -1, 1]))
    step = 1 if g.opset < 10 else g.draw(st.sampled_from([1, 2]))
    backward = g.opset >= 10 and g.draw(st.booleans())
    if backward:
        start, end, step = -1, -size - 1 - g.draw(st.integers(0, 9)), -step
    taken = len(range(size)[start : None if backward else end : step])
    if not taken:
        return
    result = (*shape[:axis], taken, *shape[axis + 1 :])
    if g.opset < 10:
        g.apply("Slice", [x], result, starts=[start], ends=[end], axes=[axis])
    else:
        g.apply("Slice", [x, *(g.integers([v]) for v in (start, end, axis, step))], result)


def gathering(g, x, shape):
    if not shape:
        return
    axis = g.draw(st.integers(0, len(shape) - 1))
    indices = g.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=3))
    g.apply("Gather", [x, g.integers(indices)], (*shape[:axis], len(indices), *shape[axis + 1 :]), axis=axis)


def concatenation(g, x, shape):
    if not shape:
        return
    axis = g.draw(st.integers(0, len(shape) - 1))
    same = [name for name, other in g.shapes.items() if other == shape]
    other = g.draw(st.sampled_from([*same, ""]))
    names = [x, other or g.normal(*shape), x][: g.draw(st.integers(2, 3))]
    g.apply("Concat", names, (*shape[:axis], len(names) * shape[axis], *shape[axis + 1 :]), axis=axis)


def residual(g, x, shape):
    same = [name for name, other in g.shapes.items() if other in (shape, (1,) * len(shape))]
    kind, other = g.draw(st.sampled_from(["Add", "Sub"])), g.draw(st.sampled_from(same))
    g.apply(kind, g.draw(st.permutations([x, other])), shape)


STEPS = (
    relu, relu, gemm, gemm, matmul_right, matmul_right, matmul_left, arithmetic, arithmetic, negate,
    batch_normalization, flatten, reshape, transpose, squeeze, unsqueeze, passing, slicing, gathering, concatenation,
    residual, residual,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model, its input's shape at batch size 1, and what `Growing` knows about runtimes."""

    proto: object
    shape: tuple
    fused: bool
    oracles: set


@st.composite
def random_models(draw):
    """A `Case`: a chain or graph of up to ten operators, with a dense layer and a ReLU at its end."""
    shape = tuple(draw(st.sampled_from([(1, 5), (5,), (1, 2, 3), (2, 3), (1, 1, 1, 4), (1, 3, 2, 1)])))
    g = Growing(draw, draw(st.sampled_from(OPSETS)), np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    g.shapes[INPUT] = shape
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=10)):
        names = list(g.shapes)
        x = names[-1] if draw(st.integers(0, 3)) else draw(st.sampled_from(names))
        if int(np.prod(g.shapes[x])) <= MAX_ELEMENTS:
            step(g, x, g.shapes[x])
    matmul_right(g, *list(g.shapes.items())[-1])
    relu(g, *list(g.shapes.items())[-1])
    declared = ("N", *shape[1:]) if shape[0] == 1 and draw(st.booleans()) else shape
    proto = model(g.nodes, declared, g.constants, opset=g.opset, output=list(g.shapes)[-1])
    return Case(proto, shape, g.fused, g.oracles)
