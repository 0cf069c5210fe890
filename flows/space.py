"""Which values of params.yaml a sweep may try: numbers between two bounds, or one of several values."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class SweepError(Exception):
    """A sweep cannot begin or go on; params.yaml is as it was."""


class Section(BaseModel):
    """A part of sweep.yaml: nothing but the keys that it names, and no key has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(Section):
    """A number between two bounds; on a logarithmic scale small ones are tried as often as large ones."""

    kind: Literal["integer", "decimal"]
    low: float
    high: float
    logarithmic: bool

    def holds(self, value: Any) -> bool:
        """Tell whether it may have this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def distribution(self) -> "BaseDistribution":
        """Return the same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.kind == "integer":
            return IntDistribution(int(self.low), int(self.high), log=self.logarithmic)
        return FloatDistribution(self.low, self.high, log=self.logarithmic)


class Choice(Section):
    """One of several values."""

    kind: Literal["choice"]
    values: Annotated[list[str | int | float | bool | None], Field(min_length=2)]

    def holds(self, value: Any) -> bool:
        """Tell whether it may have this value."""
        return value in self.values

    def distribution(self) -> "BaseDistribution":
        """Return the same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


def distribution(key: str, tried: Number | Choice, now: Any) -> "BaseDistribution":
    """Return for Optuna what may be tried for a key of params.yaml, which has the value `now`."""
    if not tried.holds(now):
        raise SweepError(f"{key} is {now!r} in params.yaml, which is not among what sweep.yaml tries: add it there.")
    try:
        return tried.distribution()
    except ValueError as error:
        raise SweepError(f"{key} in sweep.yaml: {error}") from None
