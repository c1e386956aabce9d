"""A data set whose pictures say which factors they are of, and its perfect encoder."""

import numpy as np


class Grid:
    """Data set of 2 x 1 pictures whose two pixels are the two factors; counts how often each is read."""

    factor_names, factor_sizes, image_shape = ("left", "right"), (5, 8), (1, 2, 1)
    mean, std = np.array([0.25]), np.array([0.5])

    def __init__(self):
        self.read = np.zeros(len(self), int)
        self.largest = 0

    def __len__(self):
        return 40

    def factors(self, indices):
        return np.stack(np.unravel_index(indices, self.factor_sizes), axis=-1)

    def index(self, factors):
        return np.ravel_multi_index(np.transpose(factors), self.factor_sizes)

    def images(self, indices):
        np.add.at(self.read, indices, 1)
        self.largest = max(self.largest, len(indices))
        return self.factors(indices).astype(np.uint8).reshape(-1, 1, 2, 1)

    def standardize(self, images):
        return ((images / 255 - self.mean) / self.std).astype(np.float32)


def identity(images):
    return images.reshape(len(images), -1)


def broken(**methods):
    return type("Broken", (Grid,), methods)()


# Options with which each score of these few pictures takes little time.
QUICK = {
    "dci": {"stages": 3},
    "beta_vae_score": {"batch_size": 8},
    "factor_vae_score": {"batch_size": 8, "variance_samples": 100},
    "flatness": {"repeats": 5},
    "linearity": {"repeats": 5},
    "distance_correlations": {"repeats": 5},
}
