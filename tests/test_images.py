"""Images: how they are read, what their metrics tell, and the digits through the workflow."""

import io

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY, copy_project
from scipy.linalg import sqrtm

from describe import main as describe
from dualscale.data.images import cells_of, encoding_of_pixels, read_images
from dualscale.data.normalisations import Shared
from dualscale.metrics.images import (
    ClassShares,
    Frechet,
    ImageClassifierTest,
    ImageSamples,
    NearestImage,
)
from dualscale.metrics.recogniser import Recogniser

DIGITS = read_images("digits")
FLAT = DIGITS.pixels.reshape(len(DIGITS.pixels), -1)
AS_THEY_ARE = Recogniser([np.eye(2), np.eye(2)], [np.full(2, 100.0), np.zeros(2)], 1.0)
"""Classifier whose features are the pixels, moved; the class is that of the larger pixel."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def recogniser():
    return Recogniser.fit(FLAT[:1000], DIGITS.labels[:1000], seed=0)


def test_the_digits_come_back_from_their_points_as_they_were(rng):
    assert DIGITS.pixels.shape == (1797, 8, 8)
    assert DIGITS.classes == list("0123456789")
    encoding = encoding_of_pixels(DIGITS.pixels)
    points = encoding.encode(cells_of(DIGITS.pixels), rng).astype(np.float32)
    assert len(np.unique(points[:, 20])) > 1700, "spread between whole numbers"
    assert (np.ptp(points, axis=0) == 0).sum() == 3, "dark corners stay constant"
    np.testing.assert_array_equal(encoding.decode(points).to_numpy(), FLAT)


def test_generated_pixels_are_whole_numbers_in_the_range_of_their_place(rng):
    encoding = encoding_of_pixels(DIGITS.pixels)
    pixels = encoding.decode(rng.normal(8, 20, (300, 64)).astype(np.float32)).to_numpy()
    assert pixels.dtype == np.int64
    assert (pixels >= FLAT.min(axis=0)).all()
    assert (pixels <= FLAT.max(axis=0)).all()


def test_images_of_a_file_keep_their_numbers_and_their_classes(tmp_path, rng):
    pixels, labels = rng.random((6, 3, 4)), np.array(["cat", "dog", "cat", "ape", "dog", "ape"])
    np.savez(tmp_path / "pets.npz", images=pixels, labels=labels)
    found = read_images(str(tmp_path / "pets.npz"))
    assert found.classes == ["ape", "cat", "dog"]
    assert [found.classes[place] for place in found.labels] == labels.tolist()
    np.save(tmp_path / "pets.npy", pixels)
    unlabelled = read_images(str(tmp_path / "pets.npy"))
    assert unlabelled.labels is None
    encoding = encoding_of_pixels(unlabelled.pixels)
    points = encoding.encode(cells_of(pixels), rng)
    np.testing.assert_array_equal(points, pixels.reshape(6, 12))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": np.zeros((9, 2, 2))}, "holds pictures: an array `images` is needed"),
        ({"images": np.zeros((9, 4))}, r"shape \(9, 4\) and are float64: numbers of shape"),
        ({"images": np.zeros((9, 2, 2), str)}, "are <U1: numbers of shape"),
        ({"images": np.zeros((9, 32, 32))}, "has 1024 pixels: 2 to 512 can be used"),
        ({"images": np.full((9, 2, 2), np.nan)}, "a pixel is not a number"),
        (
            {"images": np.zeros((9, 2, 2)), "labels": np.zeros(8)},
            r"9 images, but labels of shape \(8,\)",
        ),
    ],
)
def test_images_that_cannot_be_used_are_refused_by_name(arrays, said, tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=rf"mine.npz cannot be read: .*{said}"):
        read_images(str(file))


def test_a_shared_scale_keeps_the_proportions_of_columns(rng):
    data = (rng.normal(size=(500, 3)) * [4, 2, 0] + [1, 2, 3]).astype(np.float32)
    units = Shared().units(data)
    inside = units.into_model(data)
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1e-5)
    assert inside.var(axis=0).mean() == pytest.approx(1, rel=0.01)
    assert inside[:, 0].std() / inside[:, 1].std() == pytest.approx(2, rel=0.1)
    np.testing.assert_allclose(units.into_data(inside), data, atol=1e-5)


def test_the_classifier_recognises_digits_that_it_was_not_trained_on(recogniser):
    right = recogniser.classes(FLAT[1000:]) == DIGITS.labels[1000:]
    assert right.mean() > 0.9


def test_the_classifier_is_the_same_when_trained_and_when_read_again(recogniser, tmp_path):
    again = Recogniser.fit(FLAT[:1000], DIGITS.labels[:1000], seed=0)
    written = [io.BytesIO(), io.BytesIO()]
    for found, file in zip((recogniser, again), written, strict=True):
        found.save(file)
    assert written[0].getvalue() == written[1].getvalue()
    (tmp_path / "0.npz").write_bytes(written[0].getvalue())
    read = Recogniser.load(tmp_path / "0.npz")
    np.testing.assert_array_equal(read.features(FLAT[:9]), recogniser.features(FLAT[:9]))


def test_two_classes_are_told_apart(rng):
    labels = np.repeat([0, 1], 100)
    pixels = rng.normal(size=(200, 4)) + 5 * labels[:, None]
    assert (Recogniser.fit(pixels, labels, seed=0).classes(pixels) == labels).mean() > 0.95


def test_clusters_stand_in_for_classes_where_none_are_known():
    found = Recogniser.fit(FLAT[:500], None, seed=0)
    assert np.bincount(found.classes(FLAT[:500]), minlength=10).min() > 0


def compared(metric, generated, held_out, training=None, recogniser=AS_THEY_ARE):
    training = held_out if training is None else training
    return metric.measure(ImageSamples(generated, held_out, training, recogniser))


def test_the_frechet_distance_has_its_closed_form(rng):
    one = rng.normal(size=(400, 2)) @ [[2, 1], [0, 1]]
    other = rng.normal(size=(400, 2)) @ [[1, 0], [-1, 3]] + [3, -1]
    (c, d), shift = (np.cov(each.T) for each in (one, other)), one.mean(0) - other.mean(0)
    exact = shift @ shift + np.trace(c + d - 2 * sqrtm(c @ d).real)
    assert compared(Frechet(), one, other) == [pytest.approx(exact)]
    assert compared(Frechet(), one, one) == [pytest.approx(0, abs=1e-6)]


def test_training_images_drawn_again_are_all_near_copies(rng):
    training, held_out, fresh = rng.normal(size=(3, 600, 8))
    assert compared(NearestImage(), training, held_out, training) == [0, 1]
    ratio, copies = compared(NearestImage(), fresh, held_out, training)
    assert ratio == pytest.approx(1, rel=0.05)
    assert copies < 0.05
    assert compared(NearestImage(), 3 * fresh, held_out, training)[0] > 2


def test_class_shares_differ_by_what_would_have_to_change_its_class():
    images = np.array([[1.0, 0.0], [0.0, 1.0]])
    held_out, generated = images[[0, 0, 1, 1]], images[[0, 0, 0, 1]]
    assert compared(ClassShares(), generated, held_out) == [0.25]


def test_the_classifier_test_tells_images_apart_where_they_differ(rng):
    real, same = rng.normal(size=(2, 300, 6))
    assert compared(ImageClassifierTest(), same, real)[0] == pytest.approx(0.5, abs=0.1)
    assert compared(ImageClassifierTest(), same + 3, real)[0] > 0.95


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A finished tiny run on digits and on the training images again; not to be changed."""
    project = copy_project(ROOT, tmp_path_factory.mktemp("digits") / "project")
    variants = {"again": {"label": "Training images again", "classical": "training_points"}}
    run = {"variants": ["baseline", "again"], "datasets": ["digits"], "seeds": [0, 1]}
    project.configure(**{**TINY, "run": run, "variants": variants})
    project.configure(datasets={"digits": {"images": "digits"}}, sampling={"points": 400})
    project.said = project.run().stderr
    return project


def test_the_run_makes_the_pages_of_images_and_says_that_those_of_the_kl_have_none(digits):
    results = digits.path / "results"
    for page in ("samples.png", "classes.svg"):
        assert (results / "images" / page).stat().st_size > 5000
    assert "nearest-neighbour KL is left out" in (results / "images/measures.md").read_text()
    assert not (results / "paper").exists()
    assert "digits: images, judged in results/images/, not by the KL" in digits.said


def test_generated_images_have_the_shape_and_the_range_of_the_digits_and_a_class(digits):
    with np.load(digits.path / "results/synthetic/baseline/digits/0.npz") as file:
        images, labels = file["images"], file["labels"]
    assert images.shape == (400, 8, 8)
    assert images.dtype == np.int64
    assert images.min() >= 0
    assert images.max() <= 16
    assert set(labels) <= set("0123456789")


def test_the_images_are_split_without_loss(digits):
    with np.load(digits.path / "results/real_images/digits.npz") as file:
        parts = [file[name].reshape(-1, 64) for name in ("training", "held_out")]
        labels = np.concatenate([file["training_labels"], file["held_out_labels"]])
    found = np.column_stack([np.concatenate(parts), labels])
    expected = np.column_stack([FLAT, DIGITS.labels])
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))
    assert len(parts[1]) == np.ceil(0.4 * 1797)


def test_measures_tell_real_images_from_noise_and_from_copies(digits):
    table = pd.read_csv(digits.path / "results/images/measures.csv").set_index("variant")
    assert table.index.tolist() == ["real", "baseline", "again"]
    assert (table["seeds"] == 2).all()
    score = {name: table[name] for name in ("frechet_distance", "nearest_training")}
    assert score["frechet_distance"]["baseline"] > 5 * score["frechet_distance"]["real"]
    assert score["nearest_training"]["real"] == pytest.approx(1, abs=0.1)
    assert score["nearest_training"]["again"] == 0
    assert table["near_copies_share"]["again"] == 1


def test_images_beside_points_stay_out_of_the_paper_s_table(digits):
    changed = {"run": {"datasets": ["digits", "circle"]}}
    project = copy_project(digits.path, digits.path.parent / "both")
    project.configure(**changed)
    planned = project.waiting("all", "study", "few_steps")
    assert "Make Table 1" in planned
    assert "Tabulate the metrics of images" in planned
    assert "Estimate KL of baseline on circle, seed 0" in planned
    assert "Estimate KL of baseline on digits, seed 0" not in planned


def test_describe_shows_images_and_counts_the_pixels_that_vary(capsys):
    describe([], [ROOT / "examples/digits.yaml"], None)
    found = capsys.readouterr().out
    assert "images: 1797\nheight: 8\nwidth: 8\n" in found
    assert "# digits: 1,327,677 parameters in 61 dimensions" in found
