"""Generating checkpoints by name or folder: how they are loaded, and texts written in batches from a seed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from warnings import catch_warnings, filterwarnings

import torch

from handful import compute, progress
from handful.batches import device
from handful.errors import BackboneError
from handful.text import hub
from handful.text.drafts import seed_of
from handful.text.parameters import BeamSearch, Sampling

ROWS_PER_BATCH = 16
LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")  # as configurations call it
LEAST_READ = 16  # tokens of a prompt; fewer name no label and show no text
UNSTATED = 2048  # where a checkpoint and its tokenizer state nothing
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

        Raises:
            BackboneError: so many tokens to write leave no room for a prompt.
        """
        order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row]))
        written: list[list[str]] = [[] for _ in prompts]
        batches = [order[start : start + ROWS_PER_BATCH] for start in range(0, len(order), ROWS_PER_BATCH)]
        asked = [[prompts[row] for row in rows] for rows in batches]
        settings = {"max_new_tokens": min(max_tokens, self.longest - 1), **_settings(decoding, texts_each)}
        work = partial(self._texts, room=self._room(max_tokens), settings=settings, seed=seed)
        told = zip(batches, compute.current().spread(work, asked), strict=True)
        for number, (rows, texts) in enumerate(told, start=1):
            each = len(texts) // len(rows)
            for place, row in enumerate(rows):
                written[row] = texts[place * each : (place + 1) * each]
            progress.report(number / len(batches), f"{self.name}, {len(order)} texts")
        return written

    def _room(self, max_tokens: int) -> int:
        """How many tokens can be read: all, unless what is written takes the places that follow."""
        if self.network.config.is_encoder_decoder:
            return self.longest
        if self.longest - max_tokens < LEAST_READ:
            raise BackboneError(
                f"{self.name!r} reads and writes {self.longest} tokens at most, and max_tokens is {max_tokens}: fewer "
                f"than {LEAST_READ} are left for the prompt. Lower max_tokens in params.yaml (augment.operations), or "
                "name a checkpoint that reads more."
            )
        return self.longest - max_tokens

    def _texts(
        self, batches: Iterable[list[str]], room: int, settings: dict[str, Any], seed: int
    ) -> Iterator[list[str]]:
        self.network.to(device()).eval()
        for batch in batches:
            with _seeded(seed_of(seed, self.name, *batch)):
                texts = self._batch(batch, room, settings)
            yield texts

    def _batch(self, prompts: list[str], room: int, settings: dict[str, Any]) -> list[str]:
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, truncation=True, max_length=room)
        known = {name: inputs[name].to(device()) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            out = self.network.generate(**known, **settings)
        begin = 0 if self.network.config.is_encoder_decoder else known["input_ids"].shape[1]
        texts: list[str] = self.tokenizer.batch_decode(out[:, begin:], skip_special_tokens=True)
        return texts


def load(name: str, kind: Literal["translation", "language"]) -> Generator:
    """Load a checkpoint from a folder, the Hugging Face cache or, at last, the hub; no code that comes with it is run.

    Raises:
        BackboneError: it is nowhere, or not of that kind.
    """
    try:
        try:
            tokenizer, network = _pretrained(name, kind, local_only=True)
        except OSError:  # a file is missing
            if Path(name).is_dir() or not hub.answers(name):
                raise
            tokenizer, network = _pretrained(name, kind, local_only=False)
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
    return Generator(name, tokenizer, network, _longest(network.config, tokenizer))


def _pretrained(name: str, kind: str, local_only: bool) -> tuple[Any, Any]:
    import transformers

    # Marian's tokenizer recommends a package that it then does not use.
    with catch_warnings():
        filterwarnings("ignore", "Recommended: pip install sacremoses")
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, local_files_only=local_only)
    settings = {"local_files_only": local_only, "dtype": torch.float32}
    return tokenizer, getattr(transformers, KINDS[kind]).from_pretrained(name, **settings)


def _longest(settings: Any, tokenizer: Any) -> int:
    """How many tokens the checkpoint reads and writes, as far as it says so: relative positions need no bound."""
    stated = (getattr(settings, name, None) for name in LENGTHS)
    return int(next(filter(None, stated), min(tokenizer.model_max_length, UNSTATED)))


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
