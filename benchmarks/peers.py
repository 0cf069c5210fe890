"""The peers: what else a team could train on the same labelled rows, with the same backbone, as its authors advise."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.trained import Trained, peak_rss_bytes, timed
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Probe

INVERSE_REGULARISATION = 10.0
SETFIT = {"num_iterations": 20, "batch_size": 16, "num_epochs": 1}

# What a record says about each peer beside the versions of its packages; another setting is another system.
SETTINGS: dict[str, dict[str, Any]] = {
    "linear_probe": {"inverse_regularisation": INVERSE_REGULARISATION},
    "setfit": SETFIT,
    "model2vec": {"inverse_regularisation": INVERSE_REGULARISATION},
}
# The packages that the optional extra `peers` installs, by their import names; and the peers that only know texts.
PACKAGES = {"setfit": ("setfit",), "model2vec": ("model2vec", "skeletoken")}
TEXT_ONLY = ("setfit", "model2vec")


def linear_probe(labelled: pd.DataFrame, parameters: Parameters, seed: int) -> Trained:
    """The frozen backbone under logistic regression: what every teacher has to beat."""
    from handful import batches, candidates

    seconds: dict[str, float] = {}
    with timed(seconds, "linear_probe"):
        backbone = part(parameters.modality, "backbone").load(parameters.backbone, seed)
        head = Probe(inverse_regularisation=INVERSE_REGULARISATION)
        fitted = candidates.linear_probe(backbone, labelled.assign(weight=1.0), head)
    return Trained(
        classes=fitted.classes_,
        predict_proba=lambda contents: fitted.predict_proba(contents, cached=False),
        size_bytes=fitted.size_bytes,
        train_seconds=seconds["linear_probe"],
        peak_rss_bytes=peak_rss_bytes(),
        device=batches.device().type,
    )


def setfit(labelled: pd.DataFrame, parameters: Parameters, seed: int) -> Trained:
    """SetFit (Tunstall et al. 2022): contrastive pairs through the whole encoder, then its own logistic head."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    _quiet("setfit", "sentence_transformers", "datasets")
    rows = Dataset.from_dict({"text": labelled["content"].tolist(), "label": labelled["label"].tolist()})
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, timed(seconds, "setfit"):
        classifier = SetFitModel.from_pretrained(_backbone_folder(parameters))
        # Nothing is saved on the way: writing checkpoints is no part of learning.
        arguments = TrainingArguments(
            output_dir=folder, seed=seed, report_to="none", save_strategy="no", show_progress_bar=False, **SETFIT
        )
        Trainer(model=classifier, args=arguments, train_dataset=rows).train()
    head = classifier.model_head
    weights = classifier.model_body.state_dict().values()
    return Trained(
        classes=[str(label) for label in head.classes_],
        predict_proba=lambda contents: np.asarray(
            classifier.predict_proba(list(contents), as_numpy=True, show_progress_bar=False)
        ),
        size_bytes=sum(tensor.nbytes for tensor in weights) + head.coef_.nbytes + head.intercept_.nbytes,
        train_seconds=seconds["setfit"],
        peak_rss_bytes=peak_rss_bytes(),
        device=classifier.model_body.device.type,
    )


def model2vec(labelled: pd.DataFrame, parameters: Parameters, seed: int) -> Trained:
    """Model2Vec (Tulkens & van Dongen 2024): the backbone as static token vectors, logistic regression on top."""
    from model2vec.distill import distill
    from sklearn.linear_model import LogisticRegression

    _quiet("model2vec")
    seconds: dict[str, float] = {}
    with timed(seconds, "model2vec"):
        static = distill(_backbone_folder(parameters))

        def encode(contents: Sequence[Any]) -> np.ndarray:
            return np.asarray(static.encode(list(contents), use_multiprocessing=False))

        head = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
        head.fit(encode(labelled["content"]), labelled["label"].to_numpy())
    return Trained(
        classes=[str(label) for label in head.classes_],
        predict_proba=lambda contents: np.asarray(head.predict_proba(encode(contents))),
        size_bytes=static.embedding.nbytes + head.coef_.nbytes + head.intercept_.nbytes,
        train_seconds=seconds["model2vec"],
        peak_rss_bytes=peak_rss_bytes(),
        device="cpu",  # where it predicts; distilling uses an accelerator if there is one
    )


PEERS: dict[str, Callable[[pd.DataFrame, Parameters, int], Trained]] = {
    "linear_probe": linear_probe,
    "setfit": setfit,
    "model2vec": model2vec,
}


def _backbone_folder(parameters: Parameters) -> str:
    """The very folder that the pipeline's own backbone is loaded from."""
    folder, _ = part(parameters.modality, "backbone").find(parameters.backbone.name)  # type: ignore[union-attr]
    return str(folder)


def _quiet(*packages: str) -> None:
    for package in packages:
        logging.getLogger(package).setLevel(logging.ERROR)
