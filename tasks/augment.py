"""Augment: multiply the labelled rows, and say of each new row how well it fits its class."""

import logging
from pathlib import Path
from types import ModuleType

import pandas as pd

from handful import quality, storage
from handful.embedding import Backbone, embed
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Augment, Probe
from handful.probe import fit
from tasks import start

log = logging.getLogger("handful.augment")
COLUMNS = ["id", "content", "label", "parent", "operation", *quality.MEASURES, "quality"]


def augment(
    labelled: pd.DataFrame,
    parameters: Augment,
    head: Probe,
    augmentation: ModuleType,
    content: ModuleType,
    backbone: Backbone,
    seed: int,
) -> pd.DataFrame:
    """Make new rows and drop the share of each operation's rows that fit their class worst.

    Returns:
        COLUMNS; `parent` as handful.lineage writes it.
    """
    rows = augmentation.augment(labelled, parameters.operations, parameters.rows_per_example, backbone, seed)
    rows = rows.assign(id=[content.fingerprint(value) for value in rows["content"]])
    known, labels = embed(backbone, labelled["content"].tolist()), labelled["label"].to_numpy(str)
    new = embed(backbone, rows["content"].tolist())
    fitted = fit(known, labels, head.inverse_regularisation)
    judged = quality.judge(known, labels, new, rows["label"].to_numpy(str), fitted, parameters.quality.kind)
    rows = pd.concat([rows, judged], axis=1)
    from_worst = rows.sort_values(["quality", "id"]).groupby("operation").cumcount().reindex(rows.index)
    allowed = rows.groupby("operation")["id"].transform("size") * parameters.share_dropped
    return rows.loc[from_worst >= allowed.astype(int), COLUMNS].reset_index(drop=True)


def main(parameters: Parameters, validate: Path, out: Path) -> None:
    """Read the accepted labelled rows, write the new ones and their number per operation."""
    labelled = storage.read_table(validate / "labelled.parquet")
    backbone = part(parameters.modality, "backbone").load(parameters.backbone, parameters.seed)
    log.info("The backbone is %s", backbone.origin)
    augmentation, content = (part(parameters.modality, name) for name in ("augmentation", "content"))
    rows = augment(labelled, parameters.augment, parameters.probe, augmentation, content, backbone, parameters.seed)
    storage.write_table(rows, out / "rows.parquet")
    storage.write_json(quality.summary(rows), out / "augment.json")
    log.info("%d new rows from %d labelled ones", len(rows), len(labelled))


if __name__ == "__main__":
    start(main)
