"""The model and domain of ``slicer demo``, as package data: find them with ``importlib.resources.files(__name__)``.

``collision_avoidance.onnx`` and ``collision_avoidance.csv`` are copies of ``examples/collision_avoidance/`` in the
source repository, written by the script there; its README says what they are.
"""
