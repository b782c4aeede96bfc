"""ONNX models in: float32, feed-forward, opsets 8 to 22. The only place that imports onnx for reading.

How a model becomes layers without a bit changing: a computed tensor is a *view*, a layer together with the
tensor-shaped array of its units (`tensor`). Operators that only move values act on that array; operators that compute
append layers (`builder`), each in the declared evaluation of `dispatcher.layers`; constants are evaluated at once, in
float32. At the end two rewrites that change no bit tidy up (`tidy`).
"""

from slicer.readers.onnx.importer import read_onnx

__all__ = ["read_onnx"]
