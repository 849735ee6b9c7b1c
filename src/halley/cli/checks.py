"""What the doctor looks at, a function each. Nothing stays behind, nothing leaves the machine but a name's look-up."""

import asyncio
import http.client
import os
import platform
import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, closing
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from halley.cli.errors import damaged
from halley.console.lock import current_holder
from halley.console.schema import SchemaMismatch, check_schema
from halley.console.services import open_services
from halley.db import migrate
from halley.kernel.clock import SystemClock, parse_time, rfc3339
from halley.kernel.vault import SECRET_LENGTH_MIN, Vault
from halley.settings import ChannelConfig, Settings, SettingsError, read_secrets, secret_path
from halley.upstream.address import FetchPolicy, Policy
from halley.vendors import load_vendors
from halley.vendors.contract import Vendor

PYTHON_MIN = (3, 11)
SQLITE_MIN = (3, 35, 0)
"""The first with `RETURNING`."""
DISK_BYTES_MIN = 200 * 1024 * 1024
DISK_BYTES_GOOD = 2 * 1024 * 1024 * 1024
BUILT_AT = "2026-11-01T00:00:00Z"
"""No sound clock is before this."""
TIMEOUT_S = 3.0
LOOKUP_TIMEOUT_S = 5.0
NAMED_MAX = 3
"""Of many things that are amiss in the same way, so many are named."""


class Finding(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


class _Sealed(NamedTuple):
    """What the webhooks of a project are signed with, as it is stored."""

    id: str
    project: str
    account: str
    secret: bytes


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    finding: Finding
    detail: str
    remedy: str = ""


def check_all(settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    """Look at everything."""
    vendors = load_vendors()
    looks: tuple[Callable[[], Check], ...] = (
        _python,
        _sqlite,
        _clock,
        lambda: _data_folder(settings.data_dir),
        lambda: _disk(settings.data_dir),
        lambda: _secret(settings),
        lambda: _database(settings),
        lambda: _webhook_secrets(settings),
        lambda: _shared_secret(settings),
        lambda: _worker(settings),
        lambda: _simulators(settings),
        lambda: _objects(settings),
        lambda: _port(settings),
        lambda: _trusted_proxies(settings),
        lambda: _public_url(settings),
        lambda: _fetch_allow(settings),
    )
    return [*(look() for look in looks), *_config(settings, environ), *_channels(settings, vendors, environ)]


def _good(name: str, detail: str) -> Check:
    return Check(name=name, finding=Finding.GOOD, detail=detail)


def _doubtful(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, finding=Finding.DOUBTFUL, detail=detail, remedy=remedy)


def _bad(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, finding=Finding.BAD, detail=detail, remedy=remedy)


def _python() -> Check:
    if sys.version_info < PYTHON_MIN:
        return _bad("python", platform.python_version(), "install Python 3.11 or later")
    return _good("python", platform.python_version())


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        return _bad("sqlite", sqlite3.sqlite_version, "use a Python that was built with SQLite 3.35 or later")
    return _good("sqlite", sqlite3.sqlite_version)


def _clock() -> Check:
    now = SystemClock().now()
    if now < parse_time(BUILT_AT):
        return _bad(
            "clock", rfc3339(now, digits=0), "set the machine's clock: time is in every id, price and signature"
        )
    return _good("clock", rfc3339(now, digits=0))


def _config(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    problems = _start_problems(settings, environ)
    for problem in problems:
        yield _bad("config", problem, "mend it; a start and a reload refuse it")
    if not problems and settings.config is None:
        yield _good("config", "no halley.toml; environment and defaults hold")
    elif not problems:
        channels, prices = len(settings.channels), len(settings.prices)
        yield _good("config", f"{settings.config}: {channels} channels, {prices} prices")


def _start_problems(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Start with channels and prices as `halley serve` does, on an empty folder of our own that is gone afterwards."""
    from halley.app import open_world

    try:
        with TemporaryDirectory(prefix="halley-doctor-") as folder:
            own = msgspec.structs.replace(
                settings, data_dir=Path(folder), configured_database=None, configured_objects=None, fetch_allow=()
            )
            asyncio.run(_enter(open_world(own, environ=environ)))
    except SettingsError as error:
        return error.problems
    except (OSError, sqlite3.Error) as error:
        return (f"channels and prices cannot be tried in the folder for temporary files: {error}",)
    return ()


async def _enter(opened: AbstractAsyncContextManager[object]) -> None:
    async with opened:
        pass


def _data_folder(folder: Path) -> Check:
    name = "data folder"
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        return _bad(name, f"{nearest} is a file", "move it away, or set `HALLEY_DATA_DIR`")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return _bad(name, f"{nearest} cannot be written", "give its owner the right, or set `HALLEY_DATA_DIR`")
    if not folder.exists():
        return _good(name, f"{folder} is made at the first start")
    holder = current_holder(folder)
    return _good(name, f"{folder}, in use by {holder}" if holder else f"{folder}, not in use")


def _disk(folder: Path) -> Check:
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(nearest).free
    detail, remedy = f"{free / 2**30:.1f} GiB free", "make room, or move `HALLEY_DATA_DIR`"
    if free < DISK_BYTES_MIN:
        return _bad("disk", detail, remedy)
    return _doubtful("disk", detail, remedy) if free < DISK_BYTES_GOOD else _good("disk", detail)


def _secret(settings: Settings) -> Check:
    path = secret_path(settings)
    try:
        found = read_secrets(settings)
    except (SettingsError, OSError) as error:
        return _bad("secret", str(error), "restore it from a backup; without it stored credentials cannot be read")
    if settings.configured_secrets:
        return _good("secret", f"from `HALLEY_SECRET`, {len(found)} of them")
    if not found and _is_file(settings.database_path):
        return _bad("secret", f"{path} is gone", "restore it, or set `HALLEY_SECRET`; else a start makes a new one")
    if not found:
        return _good("secret", "made at the first start")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return _bad("secret", f"{path} can be read by others", f"chmod 600 {path}")
    return _good("secret", str(path))


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _database(settings: Settings) -> Check:
    path = settings.database_path
    where = str(path) if path else f"PostgreSQL at {_server(settings.database_url.reveal())}"
    if path is not None and not path.exists():
        return _good("database", f"{where} is made at the first start")
    problem = _database_problem(settings)
    if problem is not None:
        return _bad("database", f"{where}: {problem}", "`halley migrate`, or mend the connection")
    return _good("database", f"{where}, revision {migrate.latest()}")


def _server(url: str) -> str:
    """Tell the host, or the folder of the socket, as the driver reads the URL."""
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(url).get("host") or os.environ.get("PGHOST") or "its usual socket")


def _database_problem(settings: Settings) -> str | None:
    import psycopg

    try:
        check_schema(settings)
    except (SchemaMismatch, sqlite3.Error, psycopg.Error) as error:
        return str(error).strip()
    return None


def _webhook_secrets(settings: Settings) -> Check:
    """Open what projects' webhooks are signed with: whoever loses `HALLEY_SECRET` loses these, and hears of it late."""
    name, path = "webhook secrets", settings.database_path
    if (path is not None and not path.exists()) or _database_problem(settings) is not None:
        return _good(name, "not looked at: there is no database to ask")
    sealed, vault = _sealed_secrets(settings), _vault(settings)
    lost = [each for each in sealed if vault is None or not _opens(vault, each)]
    if lost:
        named = ", ".join(f"`{each.project}` of `{each.account}`" for each in lost[:NAMED_MAX])
        more = f" and {len(lost) - NAMED_MAX} more" if len(lost) > NAMED_MAX else ""
        remedy = "give the old secret behind the new one in `HALLEY_SECRET`, or run `halley webhooks rotate`"
        return _bad(name, f"{len(lost)} of {len(sealed)} cannot be opened: project {named}{more}", remedy)
    older = sum(vault is not None and not vault.is_current(each.secret) for each in sealed)
    return _good(name, f"{len(sealed)}" + (f", {older} of them sealed with an older secret" if older else ""))


def _shared_secret(settings: Settings) -> Check:
    """See that what other living processes sealed opens here."""
    name = "shared secret"
    if settings.database_path is not None or _database_problem(settings) is not None:
        return _good(name, "not needed: this process is alone on its database")
    # Without a secret a start makes a new one, which opens nothing.
    vault = _vault(settings) or Vault(os.urandom(SECRET_LENGTH_MIN))
    problems = asyncio.run(_locked_out(settings, vault))
    if problems:
        return _bad(name, problems[0], "give this process the `HALLEY_SECRET` of the others; a start is refused")
    return _good(name, "opens what other processes sealed")


async def _locked_out(settings: Settings, vault: Vault) -> list[str]:
    from halley.pipeline.reload import locked_out

    async with open_services(settings) as services:
        return await services.db.read(lambda tx: list(locked_out(tx, vault, "", services.clock.now())))


def _sealed_secrets(settings: Settings) -> list[_Sealed]:
    query = (
        "SELECT projects.id, projects.name, accounts.name, webhook_secret FROM projects"
        " JOIN accounts ON accounts.id = projects.account_id WHERE webhook_secret IS NOT NULL ORDER BY projects.id"
    )
    if settings.database_path is None:
        import psycopg

        with psycopg.connect(settings.database_url.reveal(), connect_timeout=int(TIMEOUT_S)) as connection:
            return [_Sealed(*row) for row in connection.execute(query)]
    with closing(sqlite3.connect(settings.database_path)) as connection:
        return [_Sealed(*row) for row in connection.execute(query)]


def _vault(settings: Settings) -> Vault | None:
    """The vault of the secrets there are; None where there are none, or they cannot be read."""
    try:
        found = read_secrets(settings)
    except (SettingsError, OSError):
        return None
    return Vault(secret.reveal().encode() for secret in found) if found else None


def _opens(vault: Vault, sealed: _Sealed) -> bool:
    try:
        vault.open(sealed.secret, context=f"project:{sealed.id}")
    except ValueError:
        return False
    return True


def _worker(settings: Settings) -> Check:
    if settings.lacks_worker:
        problem = "off, and with SQLite nobody would work on tasks and webhooks"
        return _bad("worker", problem, "leave `HALLEY_WORKER` on, or use PostgreSQL and `halley worker`")
    return _good("worker", "runs in the serving process" if settings.worker else "left to `halley worker`")


def _simulators(settings: Settings) -> Check:
    name, found = "simulators", damaged(settings)
    if found is None or found[0] == settings.database_path:
        return _good(name, "answer test keys" if settings.sandbox else "off")
    path, problem, remedy = found
    return _bad(name, f"{path}: {problem}", remedy)


def _objects(settings: Settings) -> Check:
    path = settings.objects_path
    if path is None:
        return _good("files", settings.objects_url)
    if path.exists() and not os.access(path, os.W_OK | os.X_OK):
        return _bad("files", f"{path} cannot be written", "give its owner the right, or set `HALLEY_OBJECTS_URL`")
    return _good("files", str(path))


def _port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    status = _liveness(settings.bound_url)
    if status is not None:
        good = status == http.client.OK
        return _good("port", f"a gateway answers at {settings.bound_url}") if good else _taken(where)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        return _taken(f"{where} ({error.strerror})")
    return _good("port", f"{where} is free")


def _taken(where: str) -> Check:
    return _bad("port", f"{where} cannot be listened on, and no gateway answers there", "choose another `HALLEY_PORT`")


def _liveness(url: str) -> int | None:
    """Ask for a sign of life; None where nobody listens, 0 for what does not speak HTTP."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
    except OSError:
        return None
    try:
        connection.request("GET", "/health/liveness")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _trusted_proxies(settings: Settings) -> Check:
    name, proxies = "trusted proxies", settings.trusted_proxies
    detail = ", ".join(str(each) for each in proxies) or "none"
    if proxies and _is_loopback(settings.host) and not any(each.is_loopback for each in proxies):
        detail = f"{detail} cannot reach {settings.host}, where only this machine can call"
        return _doubtful(name, detail, "set `HALLEY_HOST` to this machine's own address, or to `0.0.0.0`")
    return _good(name, detail)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _public_url(settings: Settings) -> Check:
    if settings.public_url is None:
        detail = "not set: links name the address asked for, and vendors are polled"
        return _doubtful("public URL", detail, "set `HALLEY_PUBLIC_URL` once others than this machine call")
    parts = urlsplit(settings.public_url)
    if not _resolves(parts.hostname or ""):
        return _bad("public URL", f"the name `{parts.hostname}` is not found", "mend the DNS or `HALLEY_PUBLIC_URL`")
    if parts.scheme == "http":
        return _doubtful("public URL", f"{settings.public_url} is not encrypted", "put TLS in front and say https")
    return _good("public URL", settings.public_url)


def _resolves(host: str) -> bool:
    pool = ThreadPoolExecutor(1)
    try:
        return bool(pool.submit(socket.getaddrinfo, host, 443).result(LOOKUP_TIMEOUT_S))
    except (OSError, TimeoutError):
        return False
    finally:
        pool.shutdown(wait=False)


def _fetch_allow(settings: Settings) -> Check:
    try:
        Policy(FetchPolicy(allow=settings.fetch_allow))
    except ValueError as error:
        return _bad("fetch allow", str(error), "mend `HALLEY_FETCH_ALLOW`")
    return _good("fetch allow", ", ".join(settings.fetch_allow) or "public addresses only")


def _channels(settings: Settings, vendors: Mapping[str, Vendor], environ: Mapping[str, str]) -> Iterator[Check]:
    for channel in settings.channels:
        if channel.vendor in vendors:
            yield _channel(channel, vendors[channel.vendor])
    configured = {channel.vendor for channel in settings.channels}
    for vendor in vendors.values():
        name = next((each for each in vendor.environment if environ.get(each)), None)
        if name is not None and vendor.name not in configured:
            yield _good(f"channel {vendor.name}", f"lit up by `{name}`")
    named = settings.channels or settings.unset
    if not named and not any(environ.get(each) for vendor in vendors.values() for each in vendor.environment):
        names = ", ".join(f"`{vendor.environment[0]}`" for vendor in vendors.values() if vendor.environment)
        yield _doubtful("channels", "none: only test keys are answered, by simulators", f"set one of {names}")


def _channel(channel: ChannelConfig, vendor: Vendor) -> Check:
    name = f"channel {channel.name}"
    has_key = channel.api_key is not None or vendor.auth_header.lower() in channel.headers
    if vendor.environment and not has_key:
        return _bad(name, "it has no `api_key`", 'give it one, e.g. `api_key = "${NAME}"`')
    models = f"{vendor.title}, models {', '.join(channel.models)}"
    return _good(name, models if has_key else f"{models}, without a key")
