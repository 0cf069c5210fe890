"""Who may reach the server and where its database is: the settings in server.yaml, a file that git ignores."""

import hashlib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from flows.mistakes import mistakes

FILE = "server.yaml"
LOOPBACK = "127.0.0.1"


class AccessError(Exception):
    """server.yaml is wrong; lists every mistake."""


class Access(BaseModel):
    """The whole of server.yaml. No key has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: IPv4Address
    auth: Annotated[str, Field(pattern=r"^[^:\s]+:\S{8,}$")] | None = Field(repr=False)
    database: Annotated[str, Field(pattern=r"^postgresql\+asyncpg://\S+$")] | None = Field(repr=False)

    @field_validator("auth")
    @classmethod
    def _required_off_the_loopback(cls, auth: str | None, others: ValidationInfo) -> str | None:
        address = others.data.get("address")  # absent when it was wrong itself
        if auth is None and address is not None and not address.is_loopback:
            raise ValueError(
                f"other machines can reach {address}, and whoever reaches the server can run any code on this one. "
                f"Set a name and a password (name:password), or the address {LOOPBACK}"
            )
        return auth

    @property
    def reached_at(self) -> str:
        """The address at which this machine itself reaches the server."""
        return LOOPBACK if self.address.is_unspecified else str(self.address)

    @property
    def fingerprint(self) -> str:
        """Differs when any setting does, and gives none of them away."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def alone(self) -> "Access":
        """Return the same for a server that only this machine may reach."""
        return self.model_copy(update={"address": IPv4Address(LOOPBACK)})

    def settings(self) -> dict[str, str]:
        """Return these settings as Prefect's own, for the server and for all that call it."""
        found = {"PREFECT_SERVER_API_HOST": str(self.address)}
        if self.auth is not None:
            found |= {"PREFECT_SERVER_API_AUTH_STRING": self.auth, "PREFECT_API_AUTH_STRING": self.auth}
        if self.database is not None:
            found["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = self.database
        return found


def read_access(root: Path) -> Access:
    """Read `root`/server.yaml; without that file the server is on the loopback, open to this machine, on SQLite.

    Raises:
        AccessError: the file is no YAML in UTF-8, or keys are unknown, missing or out of bounds: all at once.
    """
    try:
        return Access.model_validate(yaml.safe_load((root / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Access(address=IPv4Address(LOOPBACK), auth=None, database=None)
    except UnicodeDecodeError as error:
        raise AccessError(f"{FILE} is not in UTF-8: {error}. Save it in that encoding.") from None
    except yaml.YAMLError as error:
        raise AccessError(f"{FILE} is not valid YAML: {error}. Correct that line.") from None
    except ValidationError as error:
        raise AccessError(mistakes(error, FILE)) from None
