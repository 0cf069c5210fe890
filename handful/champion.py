"""The champion: the registered student that serves now and the data it was made from, as a night lays them down."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from handful import student
from handful.classifier import Classifier
from handful.errors import DataError, StudentError
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


@dataclass(frozen=True)
class Rival:
    """The champion as a challenger meets it.

    `student` is None where it cannot predict here, `hindrance` says why the two cannot be compared fairly, and
    `same_files` whether the two are the same to the byte.
    """

    version: str
    student: Classifier | None
    hindrance: str | None
    same_files: bool


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


def meet(champion: Champion | None, current: Profile, challenger: Path) -> Rival | None:
    """Put the champion beside the student in the folder `challenger`, which was made from data of profile `current`."""
    if champion is None:
        return None
    name = f"The champion {champion.version}"
    try:
        loaded = student.load(champion.student, threads=1)
    except StudentError as error:
        return Rival(champion.version, None, f"{name} cannot be loaded, so a person has to decide ({error}).", False)
    trained_on = loaded.description["modality"]
    if trained_on != current.modality:
        return Rival(
            champion.version, None, f"{name} is for {trained_on}, and this student for {current.modality}.", False
        )
    changed = (
        f"The test rows are not those of the champion {champion.version}: it may have learnt from some that are "
        "test rows now, so a person has to decide."
    )
    hindrance = None if champion.profile.test == current.test else changed
    return Rival(champion.version, loaded, hindrance, _files(champion.student) == _files(challenger))


def _files(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files}
