"""What every section of params.yaml is made of, and how its mistakes are told."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """A part of params.yaml: frozen, nothing but the keys it names, and finite numbers. No key has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


def mistakes(error: ValidationError, name: str) -> str:
    """Every mistake in the file called `name`, a line each: key, rule, value."""
    lines = [f"  {_key(mistake['loc'])}: {mistake['msg']}{_value(mistake)}" for mistake in error.errors()]
    head = f"{name} has {len(lines)} mistake{'s' * (len(lines) > 1)}:"
    return "\n".join([head, *lines, "Correct them and run again."])


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file as a whole"


def _value(mistake: ErrorDetails) -> str:
    value = repr(mistake["input"])
    return "" if mistake["type"] == "missing" or len(value) > 80 else f", got {value}"
