"""Diffusion: what a row is thought to be spreads to the rows that lie near it."""

import math

import numpy as np
from scipy import sparse
from sklearn.neighbors import kneighbors_graph
from threadpoolctl import threadpool_limits

TEMPERATURE = 0.1  # of the cosine; nearer neighbours count more
REMAINDER = 1e-4  # a further step would change no more than this share of what the first one changed


def diffused(embeddings: np.ndarray, opinions: np.ndarray, neighbours: int, share: float) -> np.ndarray:
    """Opinions after each row has listened to its neighbours, and they to theirs.

    Zhou et al. 2004, section 2: F ← share · S · F + (1 − share) · Y, where S is the symmetrically normalised graph in
    which two rows are joined if one is among the other's nearest. A row that was thought to be of one class in the
    midst of rows of another follows those.

    Args:
        embeddings: float32 [n, d], unit vectors.
        opinions: float32 [n, classes], rows sum to 1.
        neighbours: to how many nearest rows each is joined; fewer where there are fewer.
        share: of an opinion that comes of others, from 0 to less than 1.

    Returns:
        float32 [n, classes], rows sum to 1.
    """
    if len(embeddings) < 2 or not share:
        return opinions
    spread, heard = _graph(embeddings, min(neighbours, len(embeddings) - 1)), opinions
    for _ in range(math.ceil(math.log(REMAINDER) / math.log(share))):
        heard = share * (spread @ heard) + (1 - share) * opinions
    return np.asarray(heard / heard.sum(axis=1, keepdims=True), np.float32)


def _graph(embeddings: np.ndarray, neighbours: int) -> sparse.csr_array:
    """The affinities of near rows, divided by the roots of what both have in all; sparse [n, n]."""
    with threadpool_limits(1):  # one order of summing on any number of cores
        near = sparse.csr_array(kneighbors_graph(embeddings, neighbours, mode="distance", metric="sqeuclidean"))
    near.data = np.exp(-near.data / (2 * TEMPERATURE))  # half the squared distance is 1 - cosine
    affinity = near.maximum(near.T)
    scale = sparse.diags_array(1 / np.sqrt(affinity.sum(axis=1)))
    return sparse.csr_array(scale @ affinity @ scale)
