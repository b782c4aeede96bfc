"""Models and domains in: ONNX, .nnet, VNN-LIB, CSV."""
