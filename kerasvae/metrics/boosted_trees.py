"""Gradient-boosted classification trees whose splits say how much each latent mattered."""

import numpy as np


class BoostedTrees:
    """Gradient-boosted trees for a label of any number of values, ten times as fast as by sorting at every node.

    Every stage grows one tree per value (one in all for two values) on the gradient of the log-loss, splitting
    where the squared error falls most; leaves take one Newton step. A tree cuts next to any sample of its own
    value (some, evenly spread, of more than `bins` of them) and elsewhere at quantiles of each latent. That loses
    little: as long as the other samples are all as likely to have the value, the best cut is next to one that has it.
    The order of the latents does not matter; that of the samples and of the values may where cuts are equally good.
    With `bins` no less than the number of samples the trees are those of
    `sklearn.ensemble.GradientBoostingClassifier`, up to ties and rounding.

    Args:
        stages: boosting stages, at least 1. Default: 100.
        learning_rate: shrinkage of every stage, above 0. Default: 0.1.
        max_depth: of every tree, at least 1. Default: 3. Time and memory double with every level.
        bins: samples of the value, per latent, that a tree may cut next to, at least 2; a quarter as many quantiles of
            all samples. Default: 256.
        seed: of ties between equally good latents, 0..2^32-1. Default: 1.

    Attributes after `fit`:
        classes: the distinct labels, ascending, (classes,).
        importance: total decrease of squared error due to each latent, summed over all trees, (latents,).
        train_accuracy: share of the labels fitted to that the trees predict.

    Source: Friedman 2001, "Greedy Function Approximation: A Gradient Boosting Machine", Algorithms 5 and 6.
    """

    def __init__(
        self, stages: int = 100, learning_rate: float = 0.1, max_depth: int = 3, bins: int = 256, seed: int = 1
    ):
        self.stages, self.learning_rate, self.max_depth = stages, learning_rate, max_depth
        self.bins, self.seed = bins, seed

    def fit(self, codes: np.ndarray, labels: np.ndarray) -> "BoostedTrees":
        """Grows the trees.

        Args:
            codes: finite, float64 (samples, latents).
            labels: integers of at least two values, (samples,).

        Returns:
            the object itself.
        """
        self.classes, labels = np.unique(labels, return_inverse=True)
        shares = np.bincount(labels) / len(labels)
        if len(self.classes) == 2:
            targets, self.start = labels[None] == 1, np.log(shares[1:] / shares[:1])
        else:
            targets, self.start = labels == np.arange(len(self.classes))[:, None], np.log(shares)
        columns = [np.unique(column, return_inverse=True) for column in codes.T]
        # The random order is one of the latents' contents, not of their places: a permutation changes nothing.
        ranked = np.array(sorted(range(len(columns)), key=lambda latent: columns[latent][1].tobytes()))
        groups = [_Group(columns, targets[some], self.bins) for some in _slices(len(targets), codes.size)]
        scores = np.repeat(self.start[:, None], len(codes), axis=1)
        self.importance, self.trees = np.zeros(codes.shape[1]), []
        rng = np.random.default_rng(self.seed)
        for _ in range(self.stages):
            probabilities = _probabilities(scores)
            residuals, curvatures = targets - probabilities, probabilities * (1 - probabilities)
            # Where latents are equally good the first of a random order is taken.
            orders = ranked[np.stack([rng.permutation(codes.shape[1]) for _ in targets])]
            stage = []
            for group, some in zip(groups, _slices(len(targets), codes.size), strict=True):
                trees, leaves = self._grow(group, residuals[some], curvatures[some], orders[some])
                scores[some] += np.take_along_axis(trees[2], leaves, axis=1)
                stage.append(trees)
            self.trees.append(tuple(np.concatenate(parts) for parts in zip(*stage, strict=True)))
        self.train_accuracy = float(np.mean(_most_likely(scores) == labels))
        return self

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """The most likely label of each row of codes, (samples,)."""
        columns = np.ascontiguousarray(codes.T)
        scores = np.repeat(self.start[:, None], len(codes), axis=1)
        for some in _slices(len(scores), codes.size):
            for latents, thresholds, values in self.trees:
                node = np.zeros((len(scores[some]), len(codes)), np.int32)
                for level in range(self.max_depth):
                    splits = slice(2**level - 1, 2 ** (level + 1) - 1)  # nodes are numbered level by level
                    chosen = latents[some, splits].T
                    node = _descend(node, (columns[latent] for latent in chosen), thresholds[some, splits])
                scores[some] += np.take_along_axis(values[some], node, axis=1)
        return self.classes[_most_likely(scores)]

    def _grow(self, group, residual, curvature, orders):
        """A tree for each value of a group, as latents and thresholds of its splits and values of its leaves, each
        (values, nodes), and every sample's leaf, (values, samples)."""
        latents, thresholds = [], []
        rows = np.arange(len(residual))[:, None]
        node, nodes = np.zeros(residual.shape, np.int32), 1
        counts, sums = group.counts[:, None], group.sums(residual[:, None])
        negligible = 1e-12 * np.einsum("vn,vn->v", residual, residual)  # rounding, which must not pass for a gain
        for level in range(self.max_depth):
            latent, last, threshold, gain = group.best_splits(counts, sums, orders)
            gain = np.where(gain > negligible[:, None], gain, 0.0)
            self.importance += np.bincount(latent.ravel(), gain.ravel(), len(self.importance))
            latents.append(latent)
            thresholds.append(threshold)
            node = _descend(node, (group.columns[rows[:, 0], chosen] for chosen in latent.T), last)
            nodes *= 2
            if level + 1 < self.max_depth:
                left = (node[:, None] == np.arange(0, nodes, 2)[:, None]).astype(np.float64)
                of_left = group.sums(np.concatenate([left, left * residual[:, None]], axis=1))
                counts, sums = (
                    np.stack([half, both - half], axis=2).reshape(len(rows), nodes, *both.shape[2:])
                    for half, both in zip(np.split(of_left, 2, axis=1), (counts, sums), strict=True)
                )
        cells = (node + rows * nodes).ravel()
        steepness, curvature = (
            np.bincount(cells, weights.ravel(), len(rows) * nodes).reshape(-1, nodes)
            for weights in (residual, curvature)
        )
        values = np.divide(steepness, curvature, out=np.zeros(steepness.shape), where=curvature > 1e-150)
        classes = len(self.classes)
        values *= self.learning_rate * (1.0 if classes == 2 else (classes - 1) / classes)
        return (np.concatenate(latents, axis=1), np.concatenate(thresholds, axis=1), values), node


# Samples x latents of all values that are worked on together: enough for NumPy's calls not to count, and arrays that
# stay in the cache.
TOGETHER = 2**17


def _slices(values, size):
    """The values in groups, given samples x latents."""
    most = max(1, TOGETHER // size)
    return [slice(start, min(start + most, values)) for start in range(0, values, most)]


class _Group:
    """For each value of a group: codes in the bins between which its tree may cut, and sums over the bins up to each.

    Takes for each latent its distinct codes and which of them every sample has; and which samples have each of the
    values, (values, samples).
    """

    def __init__(self, columns, own, most):
        import scipy.sparse

        values, samples = own.shape
        self.latents = len(columns)
        self.columns = np.empty((values, self.latents, samples), np.int32)
        edges = []
        for latent, (distinct, inverse) in enumerate(columns):
            counts = np.bincount(inverse)
            for value in range(values):
                starts = _starts(counts, np.bincount(inverse, own[value]) > 0, most)
                self.columns[value, latent] = (np.cumsum(starts) - 1)[inverse]
                firsts = np.flatnonzero(starts)
                edges.append((distinct[firsts], distinct[np.append(firsts[1:], len(distinct)) - 1]))
        self.width = max(len(low) for low, _ in edges)
        self.low, self.high = (
            np.stack([np.pad(side[which], (0, self.width - len(side[which])), "edge") for side in edges])
            .reshape(self.latents, values, self.width)
            .transpose(1, 0, 2)
            for which in (0, 1)
        )
        shape = values * samples, values * self.latents * self.width
        dtype = np.int32 if max(shape[1], self.columns.size) < 2**31 else np.int64  # of half the size
        places = np.arange(values * self.latents, dtype=dtype).reshape(values, self.latents, 1) * dtype(self.width)
        cells = (self.columns + places).transpose(0, 2, 1).ravel()
        pointers = np.arange(0, cells.size + 1, self.latents, dtype=dtype)
        self.of_bin = scipy.sparse.csr_array((np.ones(cells.size), cells, pointers), shape=shape).T.tocsr()
        self.counts = self.sums(np.ones((values, 1, samples)))[:, 0]

    def sums(self, weights):
        """(values, n, samples) summed over the samples in the bins of each latent up to each: (values, n, latents,
        bins)."""
        values, n, _ = weights.shape
        found = np.empty((n, values, self.latents, self.width))
        # One product after the other: SciPy's with a matrix takes four times as long per column.
        for column, each in zip(found.reshape(n, -1), weights.transpose(1, 0, 2).reshape(n, -1), strict=True):
            column[:] = self.of_bin @ each
        return found.cumsum(axis=3, out=found).transpose(1, 0, 2, 3)

    def best_splits(self, counts, sums, orders):
        """Of every node: latent, last bin that goes left, threshold between the codes, gain; (values, nodes) each.

        Takes counts and sums of the nodes, (values, nodes, latents, bins), and for each value the order in which
        latents are preferred. A node that cannot be split sends everything left and gains nothing.
        """
        # The same for all latents but for rounding, which must not depend on which of them comes first.
        every, total = counts[..., -1:], sums[..., -1:]
        # The decrease of squared error, from centred sums: (left sum)^2 samples / (left samples x right samples).
        merit = total / np.maximum(every, 1) * counts
        np.subtract(sums, merit, out=merit)
        merit *= merit
        parts = every - counts
        parts *= counts
        empty = parts == 0
        parts += empty
        merit /= parts
        np.putmask(merit, empty, -1.0)
        last = merit.argmax(axis=3)
        merit = np.take_along_axis(merit, last[..., None], axis=3)[..., 0]
        rows, orders = np.arange(len(counts))[:, None], np.broadcast_to(orders[:, None], merit.shape)
        preferred = np.take_along_axis(merit, orders, axis=2).argmax(axis=2)[..., None]
        latent = np.take_along_axis(orders, preferred, axis=2)
        merit, last = (np.take_along_axis(each, latent, axis=2)[..., 0] for each in (merit, last))
        left = np.take_along_axis(counts, latent[..., None], axis=2)[:, :, 0]
        latent = latent[..., 0]
        # The next bin that this node has samples in: the threshold is half-way to it, as between single values.
        following = (left <= np.take_along_axis(left, last[..., None], axis=2)).sum(axis=2) % self.width
        split = merit >= 0
        middle = self.high[rows, latent, last] / 2 + self.low[rows, latent, following] / 2
        gain = np.where(split, merit * every[..., 0, 0], 0.0)
        return latent, np.where(split, last, self.width), np.where(split, middle, np.inf), gain


def _starts(counts, own, most):
    """Which of a latent's values, ascending, start a new bin, given how many samples have each and which are own."""
    samples = counts.sum()
    if samples <= most:
        return np.ones(len(counts), bool)
    below = np.cumsum(counts) - counts
    starts = np.diff(below * (most // 4) // samples, prepend=-1) > 0
    own = np.flatnonzero(own)
    if len(own) > most:
        own = own[np.arange(most) * len(own) // most]
    starts[own] = True
    starts[own[own + 1 < len(starts)] + 1] = True
    return starts


def _descend(node, columns, bounds):
    """The node of each sample one level down, (values, samples): to the right where its code is above its bound.

    Takes, for each node of this level in turn, the codes of the latent of its split, (values, samples), and the bounds
    of the splits, (values, nodes).
    """
    right = np.zeros(node.shape, bool)
    for place, (codes, bound) in enumerate(zip(columns, bounds.T, strict=True)):
        above = codes > bound[:, None]
        right |= above & (node == place) if bounds.shape[1] > 1 else above
    return 2 * node + right


def _probabilities(scores):
    if len(scores) == 1:
        return 0.5 + 0.5 * np.tanh(scores / 2)
    shares = np.exp(scores - scores.max(axis=0))
    return shares / shares.sum(axis=0)


def _most_likely(scores):
    return (scores[0] >= 0).astype(np.intp) if len(scores) == 1 else scores.argmax(axis=0)
