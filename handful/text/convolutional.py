"""The convolutional text student: the linear one beside windows of tokens, looked up where others would compute."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from handful import probe
from handful.distillation import Trained
from handful.text import graph, linear
from handful.text.backbone import Backbone
from handful.text.parameters import ConvolutionalStudent
from handful.text.prediction import Words
from handful.training import Classifier, Examples, Schedule, fit

PATIENCE = 4  # epochs in which the training loss does not fall, after which nothing more is learned


class Windows(nn.Module):
    """What filters answer to windows of tokens, the strongest answer and the mean (Kim 2014), on fixed token vectors.

    The vectors do not learn, so that a token that no example had says what those near it do. The convolution is linear:
    what a token adds to an answer at each place of a window is a row of a table, and predicting only adds such rows.
    """

    def __init__(self, tokens: np.ndarray, settings: ConvolutionalStudent) -> None:
        super().__init__()
        self.width, self.padding_id = settings.width, len(tokens) - 1
        self.tokens = nn.Embedding.from_pretrained(torch.from_numpy(tokens), padding_idx=self.padding_id)
        self.filters = nn.Linear(tokens.shape[1], settings.width * settings.filters, bias=False)
        self.bias = nn.Parameter(torch.zeros(settings.filters))
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Token ids int64 [n, length] in, float32 [n, 2 · filters] out."""
        added = self.filters(self.tokens(input_ids)).unflatten(2, (self.width, -1))
        reach = self.width // 2
        around = nn.functional.pad(added, (0, 0, 0, 0, reach, reach))
        length = input_ids.shape[1]
        inside = (input_ids != self.padding_id).unsqueeze(2).to(added.dtype)
        terms = [around[:, place : place + length, place] for place in range(self.width)]
        answers = torch.relu(torch.stack(terms).sum(0) + self.bias) * inside
        mean = answers.sum(1) / inside.sum(1).clamp(min=1)
        pooled: Tensor = self.dropout(torch.cat([answers.amax(1), mean], dim=1))
        return pooled

    def responses(self) -> tuple[np.ndarray, np.ndarray]:
        """What a token adds at each place of a window, float32 [width, vocabulary, filters], and the bias [filters]."""
        with torch.inference_mode():
            table: Tensor = self.filters(self.tokens.weight).unflatten(1, (self.width, -1))
            return table.transpose(0, 1).numpy(), self.bias.numpy()


def train(
    parameters: ConvolutionalStudent, examples: Examples, classes: Sequence[str], backbone: Backbone, seed: int
) -> Trained:
    """Train the linear student's layer and a convolution, each on its own, and average their logits.

    Each errs on rows of its own: one knows spellings and topics, the other what stands next to what.
    """
    tokens = linear.static_table(backbone, parameters.static_dimensions)
    windows, head = _convolution(parameters, examples, tokens, classes, backbone, seed)
    parts = (
        *linear.layer(parameters, examples, tokens, backbone, 0.5),
        graph.window_part(
            *windows.responses(), head.coefficients.T * 0.5, head.intercept * 0.5, padding_id=windows.padding_id
        ),
    )
    return linear.trained(graph.model(*parts), parameters, backbone)


def _convolution(
    parameters: ConvolutionalStudent,
    examples: Examples,
    tokens: np.ndarray,
    classes: Sequence[str],
    backbone: Backbone,
    seed: int,
) -> tuple[Windows, probe.Head]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        windows = Windows(tokens / np.linalg.norm(tokens[:-1], axis=1).mean(), parameters)
    blank = np.zeros((len(classes), 2 * parameters.filters), np.float32)
    network = Classifier(windows, probe.Head(tuple(classes), blank, np.zeros(len(classes), np.float32)))
    steps_of_an_epoch = math.ceil(len(examples) / parameters.batch_size)
    schedule = Schedule(
        learning_rate=parameters.learning_rate,
        head_learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        epochs=max(parameters.epochs, math.ceil(parameters.minimum_steps / steps_of_an_epoch)),
        batch_size=parameters.batch_size,
        patience=PATIENCE,
    )
    words = Words(backbone.tokenizer, backbone.max_tokens, windows.padding_id)

    def collate(contents: Sequence[str]) -> dict[str, Tensor]:
        return {"input_ids": torch.from_numpy(words(contents))}

    fit(network, collate, examples, schedule, seed, what="training the convolutional student")
    return windows.cpu(), network.trained_head(tuple(classes))
