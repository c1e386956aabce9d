"""Gradient-boosted classification trees whose splits say how much each latent mattered."""

import numpy as np


class BoostedTrees:
    """Gradient-boosted trees for a label of any number of values, ten times as fast as by sorting at every node.

    Every stage grows one tree per value (one in all for two values) on the gradient of the log-loss, splitting
    where the squared error falls most; leaves take one Newton step. A tree cuts next to any sample of its own
    value (some, evenly spread, of more than `bins` of them) and elsewhere at quantiles of each latent. That loses
    little: as long as the other samples are all as likely to have the value, the best cut is next to one that has it.
    With `bins` no less than the number of samples the trees are those of
    `sklearn.ensemble.GradientBoostingClassifier`, up to ties and rounding.

    Arguments:
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

    def __init__(self, stages=100, learning_rate=0.1, max_depth=3, bins=256, seed=1):
        self.stages, self.learning_rate, self.max_depth = stages, learning_rate, max_depth
        self.bins, self.seed = bins, seed

    def fit(self, codes, labels):
        """Grows the trees.

        Arguments:
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
        tables = [_Table(columns, own, self.bins) for own in targets]
        scores = np.repeat(self.start[:, None], len(codes), axis=1)
        self.importance, self.trees = np.zeros(codes.shape[1]), []
        rng = np.random.default_rng(self.seed)
        for _ in range(self.stages):
            probabilities = _probabilities(scores)
            residuals, curvatures = targets - probabilities, probabilities * (1 - probabilities)
            stage = []
            for table, score, residual, curvature in zip(tables, scores, residuals, curvatures, strict=True):
                # Where latents are equally good the first of a random order is taken.
                tree, leaf = self._grow(table, residual, curvature, rng.permutation(codes.shape[1]))
                score += tree[2][leaf]
                stage.append(tree)
            self.trees.append(stage)
        self.train_accuracy = float(np.mean(_most_likely(scores) == labels))
        return self

    def predict(self, codes):
        """The most likely label of each row of codes, (samples,)."""
        columns = np.ascontiguousarray(codes.T)
        scores = np.repeat(self.start[:, None], len(codes), axis=1)
        for stage in self.trees:
            for score, (latents, thresholds, values) in zip(scores, stage, strict=True):
                node = np.zeros(len(codes), np.int32)
                for level in range(self.max_depth):
                    splits = slice(2**level - 1, 2 ** (level + 1) - 1)  # nodes are numbered level by level
                    node = _descend(node, columns, latents[splits], thresholds[splits])
                score += values[node]
        return self.classes[_most_likely(scores)]

    def _grow(self, table, residual, curvature, order):
        """A tree, as latents and thresholds of its splits and values of its leaves, and every sample's leaf."""
        latents, thresholds = [], []
        node, nodes = np.zeros(len(residual), np.int32), 1
        counts, sums = table.counts[None], table.sums(residual[:, None])
        negligible = 1e-12 * (residual @ residual)  # rounding, which must not pass for a gain
        for level in range(self.max_depth):
            latent, last, threshold, gain = table.best_splits(counts, sums, order)
            self.importance += np.bincount(latent, np.where(gain > negligible, gain, 0.0), len(self.importance))
            latents.append(latent)
            thresholds.append(threshold)
            node = _descend(node, table.columns, latent, last)
            nodes *= 2
            if level + 1 < self.max_depth:
                left = (node[:, None] == np.arange(0, nodes, 2)).astype(np.float64)
                of_left = table.sums(np.concatenate([left, left * residual[:, None]], axis=1))
                counts, sums = (
                    np.stack([half, both - half], axis=1).reshape(nodes, *both.shape[1:])
                    for half, both in zip(np.split(of_left, 2), (counts, sums), strict=True)
                )
        steepness, curvature = np.bincount(node, residual, nodes), np.bincount(node, curvature, nodes)
        values = np.divide(steepness, curvature, out=np.zeros(nodes), where=curvature > 1e-150)
        classes = len(self.classes)
        values *= self.learning_rate * (1.0 if classes == 2 else (classes - 1) / classes)
        return (np.concatenate(latents), np.concatenate(thresholds), values), node


class _Table:
    """Codes in the bins between which a tree may cut, and sums over the bins up to each."""

    def __init__(self, columns, own, most):
        import scipy.sparse

        samples, self.latents = len(own), len(columns)
        self.columns = np.empty((self.latents, samples), np.int32)
        edges = []
        for latent, (values, inverse) in enumerate(columns):
            starts = _starts(np.bincount(inverse), np.bincount(inverse, own) > 0, most)
            self.columns[latent] = (np.cumsum(starts) - 1)[inverse]
            firsts = np.flatnonzero(starts)
            edges.append((values[firsts], values[np.append(firsts[1:], len(values)) - 1]))
        self.width = max(len(low) for low, _ in edges)
        self.low, self.high = (
            np.stack([np.pad(side[which], (0, self.width - len(side[which])), "edge") for side in edges])
            for which in (0, 1)
        )
        cells = (self.columns + np.arange(self.latents, dtype=np.int32)[:, None] * self.width).T.ravel()
        pointers = np.arange(0, cells.size + 1, self.latents)
        shape = samples, self.latents * self.width
        self.of_bin = scipy.sparse.csr_array((np.ones(cells.size), cells, pointers), shape=shape).T.tocsr()
        self.counts = self.sums(np.ones((samples, 1)))[0]

    def sums(self, weights):
        """(samples, n) summed over the samples in the bins of each latent up to each: (n, latents, bins)."""
        return np.ascontiguousarray((self.of_bin @ weights).T).reshape(-1, self.latents, self.width).cumsum(axis=2)

    def best_splits(self, counts, sums, order):
        """Of every node: latent, last bin that goes left, threshold between the values, gain; (nodes,) each.

        Takes counts and sums of the nodes, (nodes, latents, bins). A node that cannot be split sends everything left
        and gains nothing.
        """
        nodes = np.arange(len(counts))
        every, total = counts[:, :1, -1:], sums[:, :1, -1:]
        # The decrease of squared error, from centred sums: (left sum)^2 samples / (left samples x right samples).
        merit = sums - total / np.maximum(every, 1) * counts
        merit *= merit
        parts = (every - counts) * counts
        merit /= np.maximum(parts, 0.5)
        merit[parts == 0] = -1.0
        last = merit.argmax(axis=2)
        merit = np.take_along_axis(merit, last[:, :, None], axis=2)[:, :, 0]
        latent = order[merit[:, order].argmax(axis=1)]
        merit, last = merit[nodes, latent], last[nodes, latent]
        left = counts[nodes, latent]
        # The next bin that this node has samples in: the threshold is half-way to it, as between single values.
        following = (left <= left[nodes, last][:, None]).sum(axis=1) % self.width
        split = merit >= 0
        threshold = np.where(split, self.high[latent, last] / 2 + self.low[latent, following] / 2, np.inf)
        return latent, np.where(split, last, self.width), threshold, np.where(split, merit * every[:, 0, 0], 0.0)


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


def _descend(node, columns, latents, bounds):
    """The node of each sample one level down: to the right where the latent of its split is above its bound.

    Takes columns (latents, samples), latents and bounds of the splits of this level (nodes,).
    """
    right = np.zeros(len(node), bool)
    for place, (latent, bound) in enumerate(zip(latents, bounds, strict=True)):
        above = columns[latent] > bound
        right |= above & (node == place) if len(latents) > 1 else above
    return 2 * node + right


def _probabilities(scores):
    if len(scores) == 1:
        return 0.5 + 0.5 * np.tanh(scores / 2)
    shares = np.exp(scores - scores.max(axis=0))
    return shares / shares.sum(axis=0)


def _most_likely(scores):
    return (scores[0] >= 0).astype(np.intp) if len(scores) == 1 else scores.argmax(axis=0)
