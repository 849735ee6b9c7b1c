"""Every setting, once. The loader, the flags of the commands and the reference page are made from this table."""

import re

import msgspec

from halley.settings import kinds
from halley.settings.kinds import Kind

PREFIX = "HALLEY_"
FOREIGN = re.compile(r"HALLEY_SERVICE_(HOST|PORT).*|HALLEY_PORT_\d+_(TCP|UDP|SCTP).*")
"""Names that Kubernetes puts into the environment beside a service called `halley`."""
FOREIGN_PORT = "tcp://"
"""How the value of `HALLEY_PORT` begins when it comes from there too."""
TEST_NAMES = frozenset({"HALLEY_FAILPOINT", "HALLEY_FAILPOINT_LOG"})
"""Names of the environment that are no settings: only crash tests use them."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, however it is given."""

    env: str
    field: str
    """Where it goes in `Settings`."""
    kind: Kind
    default: str
    """As the reference page shows it; the value itself is in `Settings`."""
    help: str
    aliases: tuple[str, ...] = ()
    """Other names in the environment, asked after `env`."""
    has_flag: bool = True
    in_file: bool = True

    @property
    def key(self) -> str:
        """Its name in the file."""
        return self.env.removeprefix(PREFIX).lower()

    @property
    def flag(self) -> str | None:
        """Its flag; None for what the list of processes must not show."""
        return f"--{self.key.replace('_', '-')}" if self.has_flag else None


SETTINGS: tuple[Setting, ...] = (
    Setting(
        env="HALLEY_HOST",
        field="host",
        kind=kinds.HOST,
        default="127.0.0.1",
        help="Address to listen on. `0.0.0.0` listens on all of IPv4: put TLS in front of it.",
    ),
    Setting(
        env="HALLEY_PORT",
        field="port",
        kind=kinds.whole(0, 65_535),
        default="8000",
        help="Port to listen on; 0 takes a free one.",
    ),
    Setting(
        env="HALLEY_DATA_DIR",
        field="data_dir",
        kind=kinds.PATH,
        default="./data",
        help="Folder for the database, files of tasks, the secret and the local socket. One serving process at a time.",
    ),
    Setting(
        env="HALLEY_DATABASE_URL",
        field="configured_database",
        kind=kinds.DATABASE,
        default="`halley.db` in the data folder",
        help="`sqlite:///path` or `postgresql://user:password@host/name`, user and password percent-encoded.",
        aliases=("DATABASE_URL",),
    ),
    Setting(
        env="HALLEY_CONFIG",
        field="config",
        kind=kinds.PATH,
        default="./halley.toml, if it is there",
        help="The file with settings, channels and prices.",
        in_file=False,
    ),
    Setting(
        env="HALLEY_PUBLIC_URL",
        field="public_url",
        kind=kinds.URL,
        default="none",
        help="How callers and vendors reach the gateway. Links begin with it, and vendors' callbacks need it.",
    ),
    Setting(
        env="HALLEY_TRUSTED_PROXIES",
        field="trusted_proxies",
        kind=kinds.NETWORKS,
        default="none",
        help="Peers whose `X-Forwarded-*` headers count.",
    ),
    Setting(
        env="HALLEY_FETCH_ALLOW",
        field="fetch_allow",
        kind=kinds.WORDS,
        default="none",
        help="Private places that URLs given by callers may lead to: `host`, `host:port`, origin, IP or network.",
    ),
    Setting(
        env="HALLEY_SECRET",
        field="configured_secrets",
        kind=kinds.SECRETS,
        default="`secret` in the data folder, made at the first start",
        help="Encrypts vendors' credentials and signs links. To rotate, put the new one first: `new,old`.",
        has_flag=False,
    ),
    Setting(
        env="HALLEY_BOOTSTRAP_KEY",
        field="bootstrap_key",
        kind=kinds.KEY,
        default="a new test key",
        help="Value of the first key, at the first start. `sk-test-…` makes a test key, any other `sk-…` a live one.",
        has_flag=False,
    ),
    Setting(
        env="HALLEY_OBJECTS_URL",
        field="configured_objects",
        kind=kinds.OBJECTS,
        default="`objects` in the data folder",
        help="Where files of tasks are kept. Credentials come from the cloud's usual environment names.",
    ),
    Setting(
        env="HALLEY_WORKER",
        field="worker",
        kind=kinds.SWITCH,
        default="true",
        help="Run the worker in the serving process. `false` where `halley worker` runs beside it (PostgreSQL).",
    ),
    Setting(
        env="HALLEY_SANDBOX",
        field="sandbox",
        kind=kinds.SWITCH,
        default="true",
        help="Run the built-in simulators, which answer test keys.",
    ),
    Setting(
        env="HALLEY_SANDBOX_DELAY",
        field="sandbox_delay_s",
        kind=kinds.seconds(0, 3_600),
        default="1.5",
        help="How long a simulated job takes.",
    ),
    Setting(
        env="HALLEY_DRAIN_S",
        field="drain_s",
        kind=kinds.seconds(0, 3_600),
        default="30",
        help="After SIGTERM, how long running calls may take to end.",
    ),
    Setting(
        env="HALLEY_CONNECT_TIMEOUT_S",
        field="connect_timeout_s",
        kind=kinds.seconds(0.1, 300),
        default="5",
        help="How long a connection to a vendor may take.",
    ),
    Setting(
        env="HALLEY_ANSWER_TIMEOUT_S",
        field="answer_timeout_s",
        kind=kinds.seconds(1, 3_600),
        default="60",
        help="How long a vendor may take to answer an order, a poll or a cancel of a task.",
    ),
    Setting(
        env="HALLEY_FIRST_BYTE_TIMEOUT",
        field="first_byte_timeout_s",
        kind=kinds.seconds(1, 3_600),
        default="120",
        help="How long a vendor may take to begin the answer of a call that is answered at once, e.g. a chat.",
    ),
    Setting(
        env="HALLEY_STALL_TIMEOUT",
        field="stall_timeout_s",
        kind=kinds.seconds(1, 3_600),
        default="60",
        help="How long such an answer may pause once it has begun.",
    ),
    Setting(
        env="HALLEY_TOTAL_TIMEOUT",
        field="total_timeout_s",
        kind=kinds.seconds(1, 86_400),
        default="900",
        help="How long such an answer may take in all.",
    ),
    Setting(
        env="HALLEY_ATTEMPTS_MAX",
        field="attempts_max",
        kind=kinds.whole(1, 100),
        default="4",
        help="How many channels may be tried for such a call before its first byte.",
    ),
    Setting(
        env="HALLEY_BODY_BYTES_MAX",
        field="body_bytes_max",
        kind=kinds.SIZE,
        default="64MiB",
        help="Largest body of a request.",
    ),
    Setting(
        env="HALLEY_RETENTION_DAYS",
        field="retention_days",
        kind=kinds.whole(1, 36_500),
        default="30",
        help="How long outputs of tasks and uploaded files are kept.",
    ),
    Setting(
        env="HALLEY_LOG_LEVEL",
        field="log_level",
        kind=kinds.choice("debug", "info", "warning", "error"),
        default="info",
        help="The least important messages to log.",
    ),
    Setting(
        env="HALLEY_LOG_FORMAT",
        field="log_format",
        kind=kinds.choice("auto", "console", "json"),
        default="auto",
        help="How to log; `auto` is `console` on a terminal and `json` elsewhere.",
    ),
)
