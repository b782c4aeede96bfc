"""Models and domains in: ONNX, .nnet, VNN-LIB, CSV.

Whatever is wrong with a file, `UnusableInput` is the only exception that leaves this package, and reading the same
bytes twice gives the same layers bit by bit.
"""

from slicer.readers.domain import read_domain
from slicer.readers.network import read_network, read_network_bytes

__all__ = ["read_domain", "read_network", "read_network_bytes"]
