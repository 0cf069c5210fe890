"""Handful: from a handful of labels to a small, fast classifier."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handful.student import Student as Student
    from handful.student import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # numpy and onnxruntime are loaded when a student is, so that `import handful` costs nothing.
    if name in ("load", "Student"):
        from handful import student

        return getattr(student, name)
    raise AttributeError(f"module 'handful' has no attribute {name!r}")
