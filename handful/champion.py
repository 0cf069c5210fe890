"""The champion: the registered student that serves now and the data it was made from, as a night lays them down."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from handful.errors import DataError
from handful.profile import Profile
from handful.profile import read as read_profile

# git keeps the folder where there is no champion by this file.
PLACEHOLDER = ".gitignore"


class Version(BaseModel):
    """The name under which a champion is registered, and the commit that made it."""

    model_config = ConfigDict(frozen=True)

    version: str
    revision: str


@dataclass(frozen=True)
class Champion:
    """A champion's name, the profile of its data, and the folder of its student."""

    version: str
    profile: Profile
    student: Path


def read(folder: Path) -> Champion | None:
    """Read the champion in `folder`, or None where the folder holds none.

    Raises:
        DataError: the folder is missing, or there is something in it that is no champion.
    """
    try:
        if not [entry for entry in folder.iterdir() if entry.name != PLACEHOLDER]:
            return None
        version = Version.model_validate_json((folder / "version.json").read_bytes())
        profile = read_profile(folder / "profile.json")
    except (OSError, ValidationError) as error:
        raise DataError(
            f"The champion in {folder} cannot be read ({error}). It is incomplete, damaged or of another version of "
            f"Handful: lay it down again, or remove all but {PLACEHOLDER} to go on without a champion."
        ) from None
    return Champion(version.version, profile, folder / "student")
