"""The settings as the house sees them: typed, checked and frozen. How they are found is `load`'s business."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

MEBIBYTE = 1024 * 1024
DATABASE_FILE = "halley.db"
OBJECTS_FOLDER = "objects"

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Secret:
    """A text that is never printed, logged, encoded or pickled by accident: ask for it with `reveal()`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class ChannelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[channels]]` of the file: a way to a vendor."""

    name: str
    vendor: str
    base_url: str | None = None
    """None is the vendor's own."""
    api_key: Secret | None = None
    models: tuple[str, ...] = ("*",)
    """Patterns of the model ids that it serves."""
    model_map: dict[str, str] = {}
    """From model id to the vendor's own name for it on this channel."""
    priority: int = 0
    weight: int = 1
    at_once_max: int | None = None
    per_minute_max: int | None = None
    headers: dict[str, Secret] = {}
    """Sent to the vendor with each call, by lower-case name."""


class PriceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[prices]]` of the file; it overrides the seed prices of the vendor's catalogue."""

    model: str
    meters: dict[str, str]
    """From meter to US dollars, as exact decimal text."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator decides. `Settings()` is what a machine without any configuration gets."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path("data")
    configured_database: Secret | None = None
    config: Path | None = None
    """The file that was read; None where there is none."""
    public_url: str | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    fetch_allow: tuple[str, ...] = ()
    configured_secrets: tuple[Secret, ...] = ()
    """Newest first; empty means the file in the data folder, see `open_secrets`."""
    bootstrap_key: Secret | None = None
    configured_objects: str | None = None
    worker: bool = True
    sandbox: bool = True
    sandbox_delay_s: float = 1.5
    drain_s: float = 30.0
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 60.0
    first_byte_timeout_s: float = 120.0
    stall_timeout_s: float = 60.0
    total_timeout_s: float = 900.0
    attempts_max: int = 4
    body_bytes_max: int = 64 * MEBIBYTE
    retention_days: int = 30
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
    channels: tuple[ChannelConfig, ...] = ()
    prices: tuple[PriceConfig, ...] = ()
    unset: tuple[str, ...] = ()
    """Channels that are left out as the environment lacks what they name, in words: who opens channels refuses."""

    @property
    def database_url(self) -> Secret:
        """Where the database is; it may hold a password."""
        path = self.data_dir / DATABASE_FILE
        return self.configured_database or Secret(f"sqlite:///{path}")

    @property
    def database_path(self) -> Path | None:
        """The database's file; None on PostgreSQL."""
        url = self.database_url.reveal()
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def lacks_worker(self) -> bool:
        """Whether nobody would work on tasks and webhooks: on SQLite no other process can."""
        return not self.worker and self.database_path is not None

    @property
    def objects_url(self) -> str:
        """Where files of tasks are kept."""
        return self.configured_objects or f"file://{self.data_dir.absolute() / OBJECTS_FOLDER}"

    @property
    def objects_path(self) -> Path | None:
        """The folder of the object store; None where it is not a folder."""
        scheme, _, path = self.objects_url.partition("://")
        return Path(path) if scheme == "file" else None

    @property
    def bound_url(self) -> str:
        """The address that is listened on, as a URL that works from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
