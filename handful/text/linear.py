"""The linear text student: hashed n-grams beside the mean of static token embeddings, and their fit."""

from collections.abc import Sequence

import numpy as np
import torch
from onnx import ModelProto
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax
from torch import Tensor

from handful import progress
from handful.distillation import Trained
from handful.embedding import embed
from handful.text import graph, ngrams
from handful.text.backbone import Backbone
from handful.text.parameters import LinearStudent, SparseLayer
from handful.text.prediction import Words
from handful.training import Examples

MOST_EMBEDDED = 65536  # tokens; the rarer ones of a larger vocabulary would take minutes and are seldom met


class Tokens:
    """A backbone that is asked for single tokens, each a text of its own; the contents are their ids in digits."""

    def __init__(self, backbone: Backbone) -> None:
        self.module, self.dimensions, self.adapted = backbone.module, backbone.dimensions, backbone.adapted
        self.fingerprint = backbone.fingerprint and f"{backbone.fingerprint}-tokens"
        framed = backbone.tokenizer.encode("a")
        inside = [place for place, special in enumerate(framed.special_tokens_mask) if not special]
        self.before, self.after = framed.ids[: inside[0]], framed.ids[inside[-1] + 1 :]

    def shape(self, content: str) -> int:
        """All are of one length."""
        return len(self.before) + 1 + len(self.after)

    def collate(self, contents: Sequence[str]) -> dict[str, Tensor]:
        """Each token in the frame that the tokenizer gives to a text, and a mask of ones; int64 [n, length]."""
        input_ids = torch.tensor([[*self.before, int(content), *self.after] for content in contents])
        return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


def train(
    parameters: LinearStudent, examples: Examples, classes: Sequence[str], backbone: Backbone, seed: int
) -> Trained:
    """Fit the layer and compress it; nothing in it is random."""
    tokens = static_table(backbone, parameters.static_dimensions)
    return trained(graph.model(*layer(parameters, examples, tokens, backbone, 1.0)), parameters, backbone)


def layer(
    parameters: SparseLayer, examples: Examples, tokens: np.ndarray, backbone: Backbone, share: float
) -> tuple[graph.Part, graph.Part]:
    """Fit a convex soft-target logistic regression; its logits are multiplied by `share`.

    A text's inputs are its TF-IDF weighted n-grams (unit length) and the unit-length mean of its tokens' static
    vectors, the rows of `tokens` (after Tulkens & van Dongen 2024, model2vec).
    """
    texts = list(examples.contents)
    known = ngrams.vocabulary(texts, parameters.ngrams, parameters.features)
    counted = ngrams.matrix(texts, known, parameters.ngrams)
    weights, static_weights, bias = fit(counted, _static_matrix(texts, tokens, backbone), examples, parameters)
    return graph.ngram_part(known, weights * share), graph.mean_part(tokens, static_weights * share, bias * share)


def trained(made: ModelProto, parameters: SparseLayer, backbone: Backbone) -> Trained:
    """What the folder of a student on n-grams and on the backbone's tokens holds."""
    features = {
        "ngrams": parameters.ngrams,
        "tokens": backbone.max_tokens,
        "padding_id": len(backbone.token_vectors()),
    }
    tokenizer = backbone.tokenizer.to_str().encode("utf-8")
    return Trained({"model.onnx": made.SerializeToString(), "tokenizer.json": tokenizer}, features)


def static_table(backbone: Backbone, dimensions: int) -> np.ndarray:
    """Join what the encoder takes in and what it gives out for each token, reduce by PCA and weight by rarity.

    A token that no example had is near those that the encoder, trained for the task, finds alike (Tulkens & van Dongen
    2024, model2vec).

    Returns:
        float32 [vocabulary + 1, dimensions]; the last row, of zeros, is for padding.
    """
    taken = backbone.token_vectors()
    given = embed(Tokens(backbone), [str(token) for token in range(min(len(taken), MOST_EMBEDDED))])
    joined = np.concatenate([_evened(taken), np.pad(_evened(given), ((0, len(taken) - len(given)), (0, 0)))], axis=1)
    _, _, axes = np.linalg.svd(joined.T @ joined)
    reduced = joined @ axes[:dimensions].T
    # Tokenizers number their tokens by frequency: the logarithm of the rank stands for rarity (Zipf's law).
    reduced *= np.log(2 + np.arange(len(reduced)))[:, None]
    return np.concatenate([reduced, np.zeros((1, reduced.shape[1]))]).astype(np.float32)


def _evened(vectors: np.ndarray) -> np.ndarray:
    """Around zero, and of mean length one, so that those of two kinds weigh alike."""
    centred = vectors - vectors.mean(0)
    evened: np.ndarray = centred / np.linalg.norm(centred, axis=1).mean()
    return evened


def _static_matrix(texts: Sequence[str], table: np.ndarray, backbone: Backbone) -> np.ndarray:
    """float32 [n, dimensions], the unit-length mean of the tokens' vectors."""
    means, words = [], Words(backbone.tokenizer, backbone.max_tokens, len(table) - 1)
    for block in ngrams.blocks(texts):
        sums = table[words(block)].sum(axis=1)
        means.append(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), graph.TINY))
    return np.concatenate(means)


def fit(
    counted: csr_matrix, static: np.ndarray, examples: Examples, parameters: SparseLayer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimise the weighted mean soft cross-entropy + weight_decay/2 · |weights|²; convex, with one minimum.

    Args:
        counted: [n, n-grams]; static: float32 [n, dimensions].

    Returns:
        weights of the n-grams, weights of the dimensions, and the bias, float32 [·, classes] and [classes].
    """
    inputs, transposed = counted, counted.T.tocsr()
    targets, weights = examples.targets, examples.weights / examples.weights.sum()
    classes = targets.shape[1]
    table = torch.zeros((inputs.shape[1], classes), requires_grad=True)
    mixing = torch.zeros((static.shape[1], classes), requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [table, mixing, bias], max_iter=parameters.iterations, history_size=5, line_search_fn="strong_wolfe"
    )
    # A line search now and then takes a step more than an iteration, and convergence may save some.
    pace = progress.Pace(parameters.iterations * 5 // 4, f"training the linear student on {len(static):,} rows")

    def closure() -> torch.Tensor:
        logits = inputs @ table.detach().numpy() + static @ mixing.detach().numpy() + bias.detach().numpy()
        penalty = sum(float((block.detach() ** 2).sum()) for block in (table, mixing)) * parameters.weight_decay / 2
        value = -float((weights[:, None] * targets * log_softmax(logits, axis=1)).sum()) + penalty
        residual = (weights[:, None] * (softmax(logits, axis=1) - targets)).astype(np.float32)
        table.grad = torch.from_numpy(transposed @ residual) + parameters.weight_decay * table.detach()
        mixing.grad = torch.from_numpy(static.T @ residual) + parameters.weight_decay * mixing.detach()
        bias.grad = torch.from_numpy(residual.sum(0))
        pace.advance(1)
        return torch.tensor(value)

    optimizer.step(closure)
    return table.detach().numpy(), mixing.detach().numpy(), bias.detach().numpy()
