"""Wrong calls of the grids that are rendered, of sampling and of statistics."""

import functools
import math

import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

from kerasvae import datasets

IMAGES = np.zeros((4, 2, 2, 1), "uint8")
PAIRS = {"batch_size": 4, "seed": 1, "step": 0}


@functools.cache
def data():
    return datasets.XYSquares(num_squares=1, image_size=16, grid_size=2)


def table(table=IMAGES, names=("a",), sizes=(4,), mean=(0.5,), std=(1.0,)):
    return datasets.ImageTable(table, names, sizes, mean, std)


def row(name, call, *words):
    return WrongCall(name, call, ValueError, words)


RENDERED = [
    row("spacing-zero", lambda: datasets.XYSquares(grid_spacing=0), "grid_spacing", "at least 1", "0"),
    row("spacing-a-boolean", lambda: datasets.XYSquares(grid_spacing=True), "grid_spacing", "integer", "True"),
    row("size-a-pair", lambda: datasets.XYSquares(image_size=(64, 64)), "image_size", "integer", "(64, 64)"),
    row("size-text", lambda: datasets.XYSquares(image_size="64"), "image_size", "integer", "'64'"),
    row("four-squares", lambda: datasets.XYSquares(num_squares=4), "num_squares", "1, 2 or 3", "4"),
    row("square-too-large", lambda: datasets.XYSquares(square_size=65), "square_size", "at most image_size", "65"),
    row("grid-too-large", lambda: datasets.XYSquares(grid_size=9), "grid_size", "at most 8", "9"),
    row("rgb-text", lambda: datasets.XYSquares(rgb="False"), "rgb", "True or False", "'False'"),
    row("rgb-none", lambda: datasets.XYSquares(rgb=None), "rgb", "True or False", "None"),
    row("object-spacing-nan", lambda: datasets.XYObject(math.nan), "grid_spacing", "integer", "nan"),
    row("sizes-decreasing", lambda: datasets.XYObject(square_sizes=(9, 7)), "square_sizes", "increasing", "(9, 7)"),
    row("sizes-text", lambda: datasets.XYObject(square_sizes="79"), "square_sizes", "integer", "'7'"),
    row("sizes-a-dictionary", lambda: datasets.XYObject(square_sizes={7: 1}), "square_sizes", "tuple", "{7: 1}"),
    row("sizes-none", lambda: datasets.XYObjectShaded(square_sizes=()), "square_sizes", "one size or more", "()"),
    row("palette-misspelt", lambda: datasets.XYObject(palette="Rainbow"), "palette", "'rainbow'", "'Rainbow'"),
    row("palette-of-fractions", lambda: datasets.XYObject(palette=[[0.5, 0, 0]]), "palette", "integers", "0.5"),
    row("palette-too-bright", lambda: datasets.XYObject(palette=[[256, 0, 0]]), "palette", "0..255", "256"),
    row("intensities-too-many", lambda: datasets.XYObject(intensities=256), "intensities", "at most 255", "256"),
    row("table-a-list", lambda: table([[0]]), "table must be uint8", "[[0]]"),
    row("table-floats", lambda: table(IMAGES / 255), "table must be uint8", "float64"),
    row("table-names-letters", lambda: table(names="a"), "factor_names", "tuple", "'a'"),
    row("table-names-twice", lambda: table(names=("a", "a"), sizes=(2, 2)), "factor_names", "different", "('a', 'a')"),
    row("table-sizes-a-number", lambda: table(sizes=4), "factor_names and factor_sizes", "4 images"),
    row("table-sizes-fractions", lambda: table(sizes=(4.5,)), "factor_sizes", "integers", "4.5"),
    row("table-mean-nan", lambda: table(mean=[math.nan]), "mean and std", "finite", "nan"),
    row("table-mean-text", lambda: table(mean="x"), "mean and std", "finite number for each channel", "'x'"),
    row("table-std-zero", lambda: table(std=[0.0]), "mean and std", "std above 0", "0.0"),
]
READING = [
    row("index-a-number", lambda: data().images(5), "indices", "one-dimensional", "()"),
    row("index-too-large", lambda: data().images([4]), "indices", "0..3", "4"),
    row("index-negative", lambda: data().factors([-1]), "indices", "0..3", "-1"),
    row("index-a-fraction", lambda: data().images([0.5]), "indices", "integers", "float64"),
    row("index-a-mask", lambda: data().images(np.array([True, False])), "indices", "integers", "bool"),
    row("index-uneven", lambda: data().images([0, [1]]), "indices", "integers in an array", "[0, [1]]"),
    row("factors-flat", lambda: data().index([0, 1]), "factors", "(n, 2)", "(2,)"),
    row("factors-too-large", lambda: data().index([[0, 2]]), "factors: y_R", "0..1", "2"),
    row("factors-uneven", lambda: data().index([[0], [0, 1]]), "factors", "integers in an array", "[[0], [0, 1]]"),
    row("standardize-floats", lambda: data().standardize(np.zeros((1, 16, 16, 3))), "images", "uint8", "float64"),
    row("standardize-a-path", lambda: data().standardize("photos"), "images", "uint8", "<U6"),
]
SAMPLING = [
    row("size-zero", lambda: datasets.batch_indices(0, 4, 1, 0), "size", "at least 1", "0"),
    row("size-a-data-set", lambda: datasets.batch_indices(data(), 4, 1, 0), "size", "integer", "XYSquares"),
    row("batch-zero", lambda: datasets.batch_indices(10, 0, 1, 0), "batch_size", "at least 1", "0"),
    row("batch-a-boolean", lambda: datasets.batch_indices(10, True, 1, 0), "batch_size", "integer", "True"),
    row("seed-text", lambda: datasets.batch_indices(10, 4, "1", 0), "seed", "integer", "'1'"),
    row("step-negative", lambda: datasets.batch_indices(10, 4, 1, -1), "step", "at least 0", "-1"),
    row("step-a-fraction", lambda: datasets.pair_factors(data(), 4, 1, 1.5), "step", "integer", "1.5"),
    row("pairs-of-a-class", lambda: datasets.pair_factors(datasets.XYSquares, **PAIRS), "data", "class XYSquares"),
    row("pairs-of-images", lambda: datasets.differing_factors(IMAGES), "data must be a data set", "array"),
    row("changed-misspelt", lambda: datasets.pair_factors(data(), **PAIRS, changed="Uniform"), "changed", "'Uniform'"),
    row("changed-none", lambda: datasets.pair_factors(data(), **PAIRS, changed=0), "changed", "1..2", "0"),
    row("changed-too-many", lambda: datasets.pair_factors(data(), **PAIRS, changed=3), "changed", "1..2", "3"),
    row("changed-a-boolean", lambda: datasets.pair_factors(data(), **PAIRS, changed=True), "changed", "True"),
    row("changed-backwards", lambda: datasets.differing_factors(data(), (2, 1)), "changed", "(least, most)", "(2, 1)"),
    row("changed-a-list", lambda: datasets.differing_factors(data(), [1, 2]), "changed", "tuple", "[1, 2]"),
    row("radius-zero", lambda: datasets.pair_factors(data(), **PAIRS, radius=0), "radius", "at least 1", "0"),
    row("radius-of-authors", lambda: datasets.pair_factors(data(), **PAIRS, changed="authors", radius=1), "radius"),
    row("few-pairs", lambda: datasets.differing_factors(data(), pairs=0), "pairs", "at least 1", "0"),
    row("statistics-of-a-name", lambda: datasets.channel_statistics("dsprites"), "data must be a data set", "dsprites"),
    row("statistics-of-nothing", lambda: datasets.channel_statistics(data(), indices=[]), "indices", "at least one"),
    row("statistics-batch-zero", lambda: datasets.channel_statistics(data(), 0), "batch_size", "at least 1", "0"),
]


@wrong_calls(*RENDERED, *READING, *SAMPLING)
def test_wrong_calls(wrong):
    check(wrong)
