"""Classifier of images, whose features and classes the metrics of images compare."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

LAYERS = (128, 32)  # hidden; the last one's outputs are the features
CLUSTERS = 10  # that stand in for classes where none are known


@dataclass(frozen=True)
class Recogniser:
    """Multilayer perceptron with ReLU, trained on the training images of a dataset.

    Args:
        weights, biases: of every layer, (inputs, outputs) and (outputs,).
        scale: that pixels are divided by.
    """

    weights: list[Array]
    biases: list[Array]
    scale: float

    @classmethod
    def fit(cls, pixels: Array, labels: NDArray[np.intp] | None, seed: int) -> Self:
        """Train on images until the loss no longer falls.

        Args:
            pixels: (n, d).
            labels: class of each, (n,); None: ten clusters by k-means stand in for classes.
            seed: below 2^32.
        """
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        scale = float(np.abs(pixels).max())
        if labels is None:
            found = KMeans(min(CLUSTERS, len(pixels)), n_init=10, random_state=seed)
            labels = found.fit_predict(pixels / scale)
        network = MLPClassifier(LAYERS, early_stopping=False, max_iter=200, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(pixels / scale, labels)
        weights, biases = network.coefs_, network.intercepts_
        if len(network.classes_) == 2:  # one output, the logit of the second class
            weights[-1] = np.hstack([np.zeros_like(weights[-1]), weights[-1]])
            biases[-1] = np.append(0.0, biases[-1])
        return cls(weights, biases, scale)

    def save(self, file: BinaryIO) -> None:
        """Write as npz."""
        arrays: dict[str, Any] = {"scale": self.scale}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays |= {f"w{i}": weight, f"b{i}": bias}
        np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as file:
            count = len(file.files) // 2
            weights, biases = ([file[f"{kind}{i}"] for i in range(count)] for kind in "wb")
            return cls(weights, biases, float(file["scale"]))

    @property
    def count(self) -> int:
        """Number of classes."""
        return len(self.biases[-1])

    def features(self, pixels: Array) -> Array:
        """Return the outputs of the last hidden layer, (n, features), of images (n, d)."""
        found = pixels / self.scale
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            found = np.maximum(found @ weight + bias, 0)
        return found

    def classes(self, pixels: Array) -> NDArray[np.intp]:
        """Return the likeliest class of images (n, d), (n,)."""
        logits = self.features(pixels) @ self.weights[-1] + self.biases[-1]
        return logits.argmax(axis=1)
