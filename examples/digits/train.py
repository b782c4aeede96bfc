"""Train the digits classifier and write ONNX and domain: ``python -m examples.digits.train`` from the checkout's root.

The data, 1,797 images of 8×8 pixels from 0 to 16, come with scikit-learn (Alpaydin and Kaynak, "Optical recognition of
handwritten digits", UCI Machine Learning Repository, 1998). After every epoch of Adam a proximal step moves all weights
towards zero: ℓ1 regularisation leaves few weights, and units that stay silent in large boxes, as observed by Serra,
Kumar, Ramalingam, "Lossless compression of deep neural networks", CPAIOR 2020. Takes seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from examples.export import Scaling, mlp_model, write_domain, write_model

HERE = Path(__file__).parent

HIDDEN = (32, 32)
PIXELS, DARKEST = 64, 16.0
INPUT_SCALING = Scaling(scale=np.full(PIXELS, DARKEST))  # to [0, 1]; a power of two, so exact
SHRINK = 4e-3  # how far each epoch's proximal step moves a weight towards zero

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def split() -> tuple[Images, Images, Labels, Labels]:
    """Images and labels: training images, held-out images (a quarter), training labels, held-out labels."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images.astype(np.float32), labels, test_size=0.25, random_state=0, stratify=labels)
    return parts[0], parts[1], parts[2], parts[3]


def soften(weights: list[NDArray[np.float32]], threshold: float) -> None:
    """The proximal step of ``threshold · Σ|w|``, in place: sign(w) · max(|w| − threshold, 0)."""
    for weight in weights:
        weight[:] = np.sign(weight) * np.maximum(np.abs(weight) - np.float32(threshold), 0)


def train(images: Images, labels: Labels, *, epochs: int = 500, shrink: float = SHRINK) -> onnx.ModelProto:
    """The classifier: 64-32-32-10, outputs are scores (logits), the highest wins."""
    model = MLPClassifier(hidden_layer_sizes=HIDDEN, alpha=0.0, batch_size=64, learning_rate_init=1e-3, random_state=0)
    features = INPUT_SCALING.normalise(images)
    with threadpool_limits(limits=1):
        for _ in range(epochs):
            model.partial_fit(features, labels, classes=np.arange(10))
            soften(model.coefs_, shrink)
    return mlp_model(model.coefs_, model.intercepts_, inputs=INPUT_SCALING, name="digits")


def accuracy(model: onnx.ModelProto, images: Images, labels: Labels) -> float:
    """Share of images whose highest score is their label's."""
    scores = ReferenceEvaluator(model).run(None, {"input": images})[0]
    return float((scores.argmax(axis=1) == labels).mean())


def main() -> None:
    """Write the example's files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="write here instead of over the committed files")
    parser.add_argument("--shrink", type=float, default=SHRINK, help="the proximal step; 0 trains without a penalty")
    parser.add_argument("--name", default="digits", help="of the model's file")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    images, held_out, labels, held_out_labels = split()
    model = train(images, labels, shrink=options.shrink)
    write_model(model, out / f"{options.name}.onnx")
    write_domain(np.zeros(PIXELS), np.full(PIXELS, DARKEST), out / "domain.csv")
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if len(tensor.dims) == 2]
    print(f"accuracy: {accuracy(model, images, labels):.4f} on {len(images)} training images,")
    print(f"  {accuracy(model, held_out, held_out_labels):.4f} on {len(held_out)} held-out images")
    print(f"weights not zero: {[f'{np.count_nonzero(w)} of {w.size}' for w in weights]}")


if __name__ == "__main__":
    main()
