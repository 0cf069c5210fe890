"""The network of a text encoder: a transformer and its pooling."""

from typing import Any

import torch
from torch import Tensor, nn

from handful.batches import device

# Rows that are learned from are computed together if their lengths lie within so many tokens. In bf16 products are
# cheap, padding with them, and each part more is dear; at full precision it is the other way round.
LENGTH_ALIKE, LENGTH_ALIKE_BF16 = 16, 64


class Encoder(nn.Module):
    """A transformer and its pooling (Reimers & Gurevych 2019): from token ids [n, length] to unit vectors."""

    transformer: Any

    def __init__(self, transformer: Any, pooling: str) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.answering = transformer.config._attn_implementation  # the best that this transformer has

    def train(self, mode: bool = True) -> "Encoder":
        """Of the ways to compute attention a CPU answers fastest by the fused kernel, and learns fastest without."""
        if device().type == "cpu":
            self.transformer.set_attn_implementation("eager" if mode else self.answering)
        return super().train(mode)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if input_ids.is_cuda or not self.training:
            return self._embedded(input_ids, attention_mask)
        # Rows that are learned from together differ in length, and a CPU computes padding like content.
        lengths = attention_mask.sum(1)
        alike = lengths // (LENGTH_ALIKE_BF16 if torch.is_autocast_enabled("cpu") else LENGTH_ALIKE)
        parts = [torch.nonzero(alike == one).squeeze(1) for one in alike.unique()]
        longest = [int(lengths[rows].max()) for rows in parts]
        embedded = [
            self._embedded(input_ids[rows, :length], attention_mask[rows, :length])
            for rows, length in zip(parts, longest, strict=True)
        ]
        return torch.cat(embedded)[torch.cat(parts).argsort()]

    def _embedded(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        states = states.float()  # whatever the layers were computed in
        if self.pooling == "cls":
            return nn.functional.normalize(states[:, 0], dim=-1)
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        # Unit length makes dividing by the number of tokens unnecessary.
        return nn.functional.normalize((states * mask).sum(1), dim=-1)
