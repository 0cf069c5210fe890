"""How the mistakes in a file of settings are told: all at once, each with its key and its rule."""

from pydantic import ValidationError


def mistakes(error: ValidationError, name: str) -> str:
    """List every mistake in the file called `name`. The values stay out: some are passwords and secret addresses."""
    lines = [f"  {'.'.join(map(str, one['loc'])) or 'the file as a whole'}: {one['msg']}" for one in error.errors()]
    head = f"{name} has {len(lines)} mistake{'s' * (len(lines) > 1)}:"
    return "\n".join([head, *lines, "Correct them and run again."])
