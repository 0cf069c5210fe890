"""The Hugging Face hub: a name is looked for in the cache without the network, and a silent hub is not waited for."""

from pathlib import Path

from handful.errors import BackboneError

SECONDS = 10.0  # to reach the hub, and again for its answer
ENCODER = ("*.json", "*.txt", "*.model", "model.safetensors")  # the files of one


def answers(name: str) -> bool:
    """Whether the hub says anything about a name, be it that there is none; asked before calls without a limit."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, timeout=SECONDS)
    except HfHubHTTPError:
        return True
    except Exception:  # told to stay offline, no way there, silence, no such form of name: classes of three packages
        return False
    return True


def encoder(name: str, local_only: bool) -> Path | None:
    """The folder of an encoder in the cache, after a download unless `local_only`; None where there is none.

    Raises:
        BackboneError: the hub has it, and it could not be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if not local_only and not answers(name):
        return None
    try:
        return Path(snapshot_download(name, allow_patterns=list(ENCODER), local_files_only=local_only))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError):
        return None
    except Exception as error:  # of files, or of a network that breaks off: classes of three packages again
        if local_only:
            return None
        raise BackboneError(
            f"The backbone {name!r} is on the hub, but could not be fetched ({error}). See to the network, and to room "
            "and leave where HF_HOME says, else in ~/.cache/huggingface; then run again."
        ) from None
