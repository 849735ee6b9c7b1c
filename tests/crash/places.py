"""Every place at which the gateway can be told to die, and the act that makes it pass there.

The tests hold this table against the source and against what a run really passed.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from tests.crash import acts
from tests.crash.acts import Act

import halley

AROUND_A_UNIT = ("writer.in_unit", "writer.before_commit", "writer.after_commit")
AROUND_A_CALL = ("vendor.before", "vendor.after")
When = Literal["start", "first start", "stop", "after a crash"]

BY_ACT: Mapping[str, Act] = {
    "reserve": acts.order_images,
    "accept": acts.order_images,
    "lease": acts.order_images,
    "look_again": acts.order_what_takes_longer,
    "make_due": acts.order_images,
    "end.succeeded": acts.order_images,
    "lease_webhooks": acts.order_images,
    "delivered": acts.order_images,
    "undelivered": acts.be_late_with_a_webhook,
    "finish": acts.order_and_wait,
    "refuse": acts.order_what_is_refused,
    "end.failed": acts.order_what_fails,
    "lose": acts.lose_a_reply,
    "set_channel": acts.order_where_one_channel_refuses,
    "begin": acts.cancel,
    "take_over": acts.cancel_again_after_a_crash,
    "end.cancelled": acts.cancel,
    "forget": acts.cancel_what_can_not_be,
    "insert_file": acts.order_with_own_file,
    "delete_file": acts.order_with_own_file,
    "webhook_secret": acts.ask_for_the_webhook_secret,
    "keys.create": acts.make_and_revoke_a_key,
    "keys.revoke": acts.make_and_revoke_a_key,
    "accounts.create": acts.make_and_credit_an_account,
    "accounts.credit": acts.make_and_credit_an_account,
    "accounts.adjust": acts.make_and_credit_an_account,
    "accounts.update": acts.give_an_account_another_limit,
    "webhooks.redeliver": acts.send_a_webhook_again,
    "webhooks.redeliver_failed": acts.send_given_up_webhooks_again,
    "webhooks.rotate": acts.replace_a_webhook_secret,
    "reload": acts.reload,
    "keys.update": acts.limit_a_key,
    "prices.import": acts.import_prices,
    "hold_answer": acts.chat,
    "hold_what_is_left": acts.chat_with_little_left,
    "settle_answer": acts.chat,
    "answer": acts.chat,
    "submit": acts.order_images,
    "poll": acts.order_images,
    "callback_secret": acts.order_after_a_reload,
    "cancel": acts.cancel,
    "upload": acts.order_with_own_file,
    "put": acts.order_images,
}
BY_MOMENT: Mapping[str, When] = {
    "begin_boot": "start",
    "see_boot": "start",
    "put_off": "start",
    "void_answers": "start",
    "expire_idempotency": "start",
    "prune_outbox": "start",
    "expire_files": "start",
    "welcome": "first start",
    "strand": "after a crash",
    "found": "after a crash",
    "find": "after a crash",
    "end_boot": "stop",
}
CALLS = frozenset({"submit", "answer", "poll", "callback_secret", "cancel", "upload", "find"})
ASSETS = {"put": ("asset.before_put", "asset.after_put")}
NOT_DRIVEN: Mapping[str, str] = {
    "to_unknown": "a deadline of minutes must pass; the unit is one guarded move, as `strand` is",
    "expire_assets": "30 days must pass; it loses nothing that is still promised",
    "expire_bodies": "a day must pass; as above",
    "expire_responses": "30 days must pass, or a response be deleted; as above",
    "keep_response": "the row stands alone, and its response has not been shown to anybody",
    "delete_response": "as above; one guarded update, as `delete_file` is",
    "release": "only what runs five seconds after a stop was asked for is handed back; its lease ends by itself",
    "release_webhooks": "as above",
    "resolve": "driven in test_operators_word_survives_a_crash",
    "tasks.resolve": "as above",
    "hold_nothing": "nothing is held: what dies before it is an answer whose end nobody was told, as one on its way",
}


def places_of(name: str) -> tuple[str, ...]:
    """The full names of the places around a unit, a call or a file."""
    if name in ASSETS:
        return ASSETS[name]
    around = AROUND_A_CALL if name in CALLS else AROUND_A_UNIT
    return tuple(f"{place}.{name}" for place in around)


def named_in_the_source() -> set[str]:
    """Every unit, operation and place that the source names."""
    root = Path(halley.__file__).parent
    trees = [ast.parse(path.read_text()) for path in sorted(root.rglob("*.py")) if "testing" not in path.parts]
    constants = dict(constant for tree in trees for node in tree.body for constant in _constant(node))
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {name for call in calls for text in _names(call) for name in (constants.get(text, text),) if name}


def _constant(node: ast.stmt) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if name.isupper():
            yield name, text
        case _:
            return


def _names(call: ast.Call) -> Iterator[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called == "write" and ast.unparse(call.func).endswith("db.write"):
        yield from _texts(call.args[0])
    if called == "write_surely":
        yield from _texts(call.args[1])
    if called == "Group":
        yield from _texts(call.args[0])
    if called == "hit" and isinstance(call.args[0], ast.Constant) and str(call.args[0].value).startswith("vendor."):
        yield str(call.args[0].value).rpartition(".")[2]
    if called == "call_vendor":
        yield from (text for one in call.keywords if one.arg == "operation" for text in _texts(one.value))


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be; the ends of a task are spelled out."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from (*_texts(one), *_texts(other))
        case ast.JoinedStr() if ast.unparse(node) == "f'end.{how.to}'":
            yield from ("end.succeeded", "end.failed", "end.cancelled")
        case ast.Name(id=name) if name.isupper():
            yield name  # looked up among the constants
        case ast.Name(id="name"):
            return  # handed on: whoever calls `write_surely` names it
        case _:
            raise AssertionError(f"the name of a place must be plain to see: {ast.unparse(node)}")
