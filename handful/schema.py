"""What every section of params.yaml is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A part of params.yaml: frozen, and nothing but the keys it names. No key has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
