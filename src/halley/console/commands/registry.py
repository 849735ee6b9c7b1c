"""The table of commands, and the one way to run one: arguments are checked, and faults become answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from halley.console.commands import accounts, keys, ledger, prices, tasks, usage, webhooks, world
from halley.console.protocol import CommandFailed, Problem, Progress, Request
from halley.console.services import Services, database_mark
from halley.kernel.faults import Fault
from halley.settings import SettingsError


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command: its arguments and its function, whose result can be written as JSON."""

    args: type[msgspec.Struct]
    run: Callable[[Any, Any, Progress], Awaitable[Any]]
    """(services, arguments, progress); `services` is a whole `World` for those that need one."""
    needs_world: bool = False


COMMANDS: Mapping[str, Command] = {
    "accounts.create": Command(args=accounts.CreateAccount, run=accounts.create),
    "accounts.credit": Command(args=accounts.CreditAccount, run=accounts.credit),
    "accounts.adjust": Command(args=accounts.AdjustAccount, run=accounts.adjust),
    "accounts.update": Command(args=accounts.UpdateAccount, run=accounts.update),
    "accounts.list": Command(args=accounts.ListAccounts, run=accounts.list_all),
    "keys.create": Command(args=keys.CreateKey, run=keys.create),
    "keys.list": Command(args=keys.ListKeys, run=keys.list_all),
    "keys.update": Command(args=keys.UpdateKey, run=keys.update),
    "keys.revoke": Command(args=keys.RevokeKey, run=keys.revoke),
    "ledger.show": Command(args=ledger.ShowLedger, run=ledger.show),
    "ledger.lost": Command(args=ledger.ListLost, run=ledger.lost),
    "ledger.verify": Command(args=ledger.VerifyLedger, run=ledger.verify),
    "prices.list": Command(args=prices.ListPrices, run=prices.list_all),
    "prices.import": Command(args=prices.ImportPrices, run=prices.import_map),
    "tasks.list": Command(args=tasks.ListTasks, run=tasks.list_all),
    "tasks.show": Command(args=tasks.ShowTask, run=tasks.show),
    "tasks.resolve": Command(args=world.ResolveTask, run=world.resolve, needs_world=True),
    "usage.sum": Command(args=usage.SumUsage, run=usage.sum_up),
    "usage.show": Command(args=usage.ShowUsage, run=usage.show),
    "webhooks.list": Command(args=webhooks.ListWebhooks, run=webhooks.list_all),
    "webhooks.redeliver_failed": Command(args=webhooks.RedeliverFailed, run=webhooks.redeliver_failed),
    "webhooks.redeliver": Command(args=webhooks.Redeliver, run=webhooks.redeliver),
    "webhooks.rotate": Command(args=world.NewWebhookSecret, run=world.new_webhook_secret, needs_world=True),
    "reload": Command(args=world.Reload, run=world.reload, needs_world=True),
}


async def run_command(services: Services, request: Request, progress: Progress) -> Any:
    """Run a command. Raises `CommandFailed` for whatever the operator can mend."""
    # The mark asks the system for the current folder, so not on the loop.
    if request.database and request.database != await asyncio.to_thread(database_mark, services.settings):
        raise _failed(
            "other_database", "The server of this data folder uses another database: give the same database URL"
        )
    command = COMMANDS.get(request.command)
    if command is None:
        close = get_close_matches(request.command, COMMANDS, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else "; is the running server of another release?"
        raise _failed("unknown_command", f"There is no command `{request.command}`{hint}")
    try:
        args = msgspec.json.decode(request.args, type=command.args)
    except msgspec.MsgspecError as error:
        raise _failed("invalid_request", f"`{request.command}`: {error}") from error
    try:
        return await command.run(services, args, progress)
    except Fault as fault:
        raise _failed(fault.code, fault.message, fault.param) from fault
    except SettingsError as error:
        raise _failed("invalid_settings", str(error)) from error


def _failed(code: str, message: str, param: str | None = None) -> CommandFailed:
    return CommandFailed(Problem(code=code, message=message, param=param))
