"""Generating checkpoints by name or folder: how they are loaded, and texts written in batches from a seed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from warnings import catch_warnings, filterwarnings

import torch

from handful import progress
from handful.errors import BackboneError
from handful.text.drafts import seed_of
from handful.text.parameters import BeamSearch, Sampling
from handful.training import device

ROWS_PER_BATCH = 16
KINDS = {"translation": "AutoModelForSeq2SeqLM", "language": "AutoModelForCausalLM"}


@dataclass(frozen=True)
class Generator:
    """A network that writes texts, with its tokenizer; `longest` is how many tokens it can read and write."""

    name: str
    tokenizer: Any
    network: Any
    longest: int

    def write(
        self, prompts: Sequence[str], texts_each: int, decoding: BeamSearch | Sampling, max_tokens: int, seed: int
    ) -> list[list[str]]:
        """For each prompt up to `texts_each` texts of up to `max_tokens` tokens, without the prompt.

        Prompts of like length share a batch, and a batch its seed: what comes out depends on all the prompts, but not
        on their order.
        """
        order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row]))
        written: list[list[str]] = [[] for _ in prompts]
        settings = _settings(decoding, texts_each)
        for start in range(0, len(order), ROWS_PER_BATCH):
            rows = order[start : start + ROWS_PER_BATCH]
            batch = [prompts[row] for row in rows]
            with _seeded(seed_of(seed, self.name, *batch)):
                texts = self._batch(batch, max_tokens, settings)
            each = len(texts) // len(rows)
            for number, row in enumerate(rows):
                written[row] = texts[number * each : (number + 1) * each]
            progress.report((start + len(rows)) / len(order), f"{self.name}, {len(order)} texts")
        return written

    def _batch(self, prompts: list[str], max_tokens: int, settings: dict[str, Any]) -> list[str]:
        room = self.longest if self.network.config.is_encoder_decoder else self.longest - max_tokens
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, truncation=True, max_length=max(1, room))
        known = {name: inputs[name].to(device()) for name in ("input_ids", "attention_mask")}
        tokens = min(max_tokens, self.longest - 1)
        with torch.inference_mode():
            out = self.network.generate(**known, max_new_tokens=tokens, **settings)
        begin = 0 if self.network.config.is_encoder_decoder else known["input_ids"].shape[1]
        texts: list[str] = self.tokenizer.batch_decode(out[:, begin:], skip_special_tokens=True)
        return texts


def load(name: str, kind: Literal["translation", "language"]) -> Generator:
    """Load a checkpoint from a folder, the Hugging Face cache or the hub; no code that comes with it is run.

    Raises:
        BackboneError: it is nowhere, or not of that kind.
    """
    import transformers

    try:
        # Marian's tokenizer recommends a package that it then does not use.
        with catch_warnings():
            filterwarnings("ignore", "Recommended: pip install sacremoses")
            tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        network = getattr(transformers, KINDS[kind]).from_pretrained(name, dtype=torch.float32)
    except Exception as error:  # a missing checkpoint and a broken one have many classes, and texts of many lines
        reason = " ".join(str(error).split())
        raise BackboneError(
            f"{name!r} cannot be loaded as a {kind} model ({reason}). "
            "Name a folder or a checkpoint on the hub, or fetch it once on a machine with access."
        ) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if kind == "language":
        # What is written follows the end of the prompt, and of too long a prompt the end counts.
        tokenizer.padding_side = tokenizer.truncation_side = "left"
    return Generator(name, tokenizer, network.to(device()).eval(), int(network.config.max_position_embeddings))


def _settings(decoding: BeamSearch | Sampling, texts_each: int) -> dict[str, Any]:
    if isinstance(decoding, BeamSearch):
        each = min(texts_each, decoding.beams)
        return {"do_sample": False, "num_beams": decoding.beams, "num_return_sequences": each}
    return {
        "do_sample": True,
        "num_beams": 1,
        "num_return_sequences": texts_each,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
    }


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Sampling knows no generator of its own: torch's is set, and left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
