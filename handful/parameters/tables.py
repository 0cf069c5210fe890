"""The sections of params.yaml about tables: where their rows come from, and what a good row is."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from handful.schema import Count, Section, Share

RowsOfClass = Annotated[int, Field(ge=2)]  # cross-validation leaves some out and needs others to learn from


class FileTable(Section):
    """CSV, JSONL or Parquet: a path inside the raw folder, an absolute path, or any fsspec URI."""

    kind: Literal["file"]
    path: Annotated[str, Field(min_length=1)]


class ImageFolderTable(Section):
    """A folder with one sub-folder of images per label; images that lie directly in it have no label."""

    kind: Literal["image_folder"]
    path: Annotated[str, Field(min_length=1)]


class HuggingFaceTable(Section):
    """One split of a data set on the Hugging Face hub or in a local folder."""

    kind: Literal["hugging_face"]
    name: Annotated[str, Field(min_length=1)]
    split: Annotated[str, Field(min_length=1)]


class DigitsTable(Section):
    """The handwritten digits that scikit-learn brings along."""

    kind: Literal["scikit_learn_digits"]


class NoTable(Section):
    """This table is left empty."""

    kind: Literal["none"]


class SplitTable(Section):
    """A share of the labelled training rows, drawn per class before anything is multiplied."""

    kind: Literal["split"]
    share: Share


Table = Annotated[FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable, Field(discriminator="kind")]
OptionalTable = Annotated[
    FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable | NoTable, Field(discriminator="kind")
]
TestTable = Annotated[
    FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable | SplitTable, Field(discriminator="kind")
]


class Columns(Section):
    """What the columns of the raw tables are called. `key` names a column of the user's own row ids, or is null."""

    content: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)] | None


class Ingest(Section):
    """Where the rows come from, and how many labels per class are used."""

    training: Table
    unlabelled: OptionalTable
    test: TestTable
    source: OptionalTable
    columns: Columns
    shots: RowsOfClass | None
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1.0)]


Distance = Annotated[float, Field(ge=0.0)]


class Drift(Section):
    """How far the data may lie from the champion's before the stage stops; null checks nothing, sampling noise is free.

    `labels`: total variation distance of the shares, 0 to 1, and no class may vanish. `sizes`: Kolmogorov-Smirnov
    distance, 0 to 1. `embeddings`: distance of the means in standard deviations; null spares the backbone.
    """

    labels: Distance | None
    sizes: Distance | None
    embeddings: Distance | None


class Validate(Section):
    """What a good row and a usable table are. Sizes are characters for text, pixels of the longer side for images."""

    minimum_size: Count
    maximum_size: Count
    minimum_rows_per_class: RowsOfClass
    maximum_share_quarantined: Annotated[float, Field(ge=0.0, le=1.0)]
    drift: Drift

    @model_validator(mode="after")
    def _sizes_are_in_order(self) -> "Validate":
        if self.minimum_size > self.maximum_size:
            raise ValueError(
                f"minimum_size is {self.minimum_size} and maximum_size {self.maximum_size}: no row lies within"
            )
        return self
