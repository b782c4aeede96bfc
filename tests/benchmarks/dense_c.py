"""A network as plain dense C, as code generators write it: nested loops over constant arrays, no unit left out.

The baseline of `tests.benchmarks.firmware`. It has the interface of an emitted package with prefix ``net``, so that the
same programs call it; its sums are in the declared order, too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dispatcher.layers import Dense, Elementwise, Layers, Relu
from dispatcher.literal import c99_text

_SIGNS = {"add": "+", "mul": "*", "div": "/"}
_HEADER = """\
#include <stdint.h>
#define NET_INPUTS {n_in}
#define NET_OUTPUTS {n_out}
#define NET_OK 0
typedef struct {{ float a[{width}], b[{width}]; }} net_scratch;
int net_run(const float *in, float *out, net_scratch *scratch);
"""


def write_dense(layers: Layers, directory: Path) -> None:
    """Write ``net.h`` and ``net.c`` for a chain of Dense, Elementwise and Relu layers into a new directory."""
    directory.mkdir(parents=True)
    width = max(layer.width for layer in layers)
    (directory / "net.h").write_text(_HEADER.format(n_in=layers[0].width, n_out=layers[-1].width, width=width))
    tables, body = [], []
    source, target = "in", "scratch->a"
    for number, layer in enumerate(layers[1:]):
        if number == len(layers) - 2:
            target = "out"
        tables.append(_tables(layer, number))
        body.append(_loop(layer, number, source, target))
        source, target = target, "scratch->b" if target == "scratch->a" else "scratch->a"
    text = '#include "net.h"\n' + "".join(tables)
    text += (
        "int net_run(const float *in, float *out, net_scratch *scratch)\n{\n"
        + "".join(body)
        + "    return NET_OK;\n}\n"
    )
    (directory / "net.c").write_text(text)


def _array(name: str, values: np.ndarray) -> str:
    """A constant array."""
    return f"static const float {name}[{values.size}] = {{{', '.join(map(c99_text, values.ravel().tolist()))}}};\n"


def _tables(layer: object, number: int) -> str:
    """A layer's numbers."""
    match layer:
        case Dense():
            return _array(f"weight{number}", layer.weight) + _array(f"bias{number}", layer.bias)
        case Elementwise():
            return _array(f"constant{number}", layer.constant)
    return ""


def _loop(layer: object, number: int, source: str, target: str) -> str:
    """A layer's loop."""
    match layer:
        case Dense():
            n_out, n_in = layer.weight.shape
            return (
                f"    for (int i = 0; i < {n_out}; i++) {{\n        float sum = 0.0f;\n"
                f"        for (int j = 0; j < {n_in}; j++) {{\n"
                f"            sum += weight{number}[i * {n_in} + j] * {source}[j];\n        }}\n"
                f"        {target}[i] = sum + bias{number}[i];\n    }}\n"
            )
        case Elementwise():
            value = f"{source}[i] {_SIGNS[layer.op]} constant{number}[i]"
        case Relu():
            value = f"{source}[i] > 0.0f ? {source}[i] : 0.0f"
        case _:
            raise TypeError(f"expected a chain of Dense, Elementwise and Relu layers, got {type(layer).__name__}")
    return f"    for (int i = 0; i < {layer.width}; i++) {{\n        {target}[i] = {value};\n    }}\n"
