"""The errors a user may meet: each text is one paragraph that says what, where and what to do."""


class HandfulError(Exception):
    """Base of every error that Handful raises on purpose; shown without a traceback."""


class ParameterError(HandfulError):
    """params.yaml is wrong; lists every mistake with key, rule and value."""


class DataError(HandfulError):
    """The data a user gave cannot be used; names file, row and column."""


class BackboneError(HandfulError):
    """The pretrained backbone was not found or is not the published one."""


class ComputeError(HandfulError):
    """The cluster that `compute` names, or the devices asked for, cannot be used; says what is lacking."""


class StudentError(HandfulError):
    """A student's folder is missing, incomplete or of another format."""


class RegistryError(HandfulError):
    """The registry of students cannot do what was asked; says what there is instead."""


class MissingExtraError(HandfulError):
    """An optional part of Handful is not installed; holds the pip line that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"The package {package!r} is needed here and is not installed. "
            f"Install it with: pip install 'handful[{extra}]'"
        )
