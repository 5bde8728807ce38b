"""Small images: where they come from, and how their pixels become the coordinates of points."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dualscale.data.encoding import MOST_COORDINATES, Encoding
from dualscale.data.table import LARGEST, Table
from dualscale.parts import Part, Seed, matching

DIGITS = "digits"


class Images(Part):
    """Images of one size, in grey."""

    images: Annotated[
        str,
        matching(
            rf"^{DIGITS}\Z|\.[nN][pP][yYzZ]\Z", f"{DIGITS}, or a name that ends in .npy or .npz"
        ),
    ] = Field(
        description="`digits`, the 1,797 of scikit-learn; or path of an array (n, height, width), "
        "from the working directory or from the configuration file's folder. An .npz holds it as "
        "`images`, and perhaps the class of each as `labels`.",
    )
    held_out: float = Field(
        0.4, ge=0.01, le=0.9, description="Share of the images held out for evaluation."
    )
    seed: Seed = Field(0, description="Seed of the split into training and held-out images.")


class Pictures(NamedTuple):
    """Images, and their classes.

    Args:
        pixels: (n, height, width).
        labels: (n,), each the place of its class among the classes; None: unknown.
        classes: their names.
    """

    pixels: NDArray
    labels: NDArray[np.intp] | None
    classes: list[str]


def read_images(source: str) -> Pictures:
    """Read images, and their classes where the source tells them.

    Raises:
        ValueError: one line that names the file and what cannot be used.
    """
    if source == DIGITS:
        from sklearn.datasets import load_digits  # slow to import

        found = load_digits()
        return _pictures(found.images, found.target)
    try:
        loaded = np.load(Path(source), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _pictures(loaded, None)
        with loaded as arrays:
            if "images" not in arrays:
                raise ValueError(f"holds {', '.join(arrays)}: an array `images` is needed")
            return _pictures(arrays["images"], arrays.get("labels"))
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"{source} cannot be read: {error}") from error


def _pictures(pixels: NDArray, labels: NDArray | None) -> Pictures:
    """Return checked images."""
    if pixels.ndim != 3 or pixels.dtype.kind not in "biuf":
        raise ValueError(
            f"the images have shape {pixels.shape} and are {pixels.dtype}: numbers of shape "
            "(n, height, width) are needed"
        )
    size = pixels[0].size if len(pixels) else 0
    if not 2 <= size <= MOST_COORDINATES:
        raise ValueError(
            f"an image has {size} pixels: 2 to {MOST_COORDINATES} can be used; scale them down"
        )
    values = pixels.astype(np.float64)
    if not (np.abs(values) <= LARGEST).all():
        raise ValueError(f"a pixel is not a number up to {LARGEST:g} in size")
    if labels is None:
        return Pictures(values, None, [])
    if labels.shape != pixels.shape[:1]:
        raise ValueError(f"there are {len(pixels)} images, but labels of shape {labels.shape}")
    classes, places = np.unique(labels, return_inverse=True)
    return Pictures(values, places, [str(name) for name in classes.tolist()])


def encoding_of_pixels(pixels: NDArray) -> Encoding:
    """Return the encoding of images, with a column for every pixel: whole numbers where all are.

    Args:
        pixels: (n, height, width).
    """
    kind = "integer" if (np.rint(pixels) == pixels).all() else "number"
    cells = cells_of(pixels)
    stored = [str(pixels.dtype)] * cells.shape[1]
    return Encoding.fit(Table(cells, stored), dict.fromkeys(cells, kind))


def cells_of(pixels: NDArray) -> Any:
    """Return images as a pandas DataFrame, row by row; columns are named row_column."""
    import pandas as pd

    places = [f"{row}_{column}" for row, column in np.ndindex(*pixels.shape[1:])]
    return pd.DataFrame(flat(pixels), columns=places)


def flat(pixels: NDArray) -> NDArray[np.float64]:
    """Return images (n, height, width) as points, (n, d)."""
    return pixels.reshape(len(pixels), -1).astype(np.float64)
