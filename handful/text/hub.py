"""The Hugging Face hub: a name is looked for in the cache without the network, and a silent hub is not waited for."""

from pathlib import Path

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
    """The folder of an encoder in the cache, after a download unless `local_only`; None where there is none."""
    from huggingface_hub import snapshot_download

    if not local_only and not answers(name):
        return None
    try:
        return Path(snapshot_download(name, allow_patterns=list(ENCODER), local_files_only=local_only))
    except Exception:  # the same, and what can go wrong with files
        return None
