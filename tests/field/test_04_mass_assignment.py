"""Class 4: a request that sets what is not its caller's to set."""

import pytest
from tests.clients.served import FLUX, Served
from tests.field.tenants import SCHNELL, Tenants

from halley.console.protocol import CommandFailed

GREEDY = {
    "role": "admin",
    "group": "vip",
    "quota": 1_000_000,
    "balance": 1_000_000,
    "account_id": "acct_other",
    "project_id": "proj_other",
    "livemode": False,
    "price": 0,
    "cost": 0,
    "charge": 0,
    "models": ["*"],
    "budget_nanos": None,
    "state": "succeeded",
    "is_admin": True,
}


def test_fields_of_an_order_change_neither_price_nor_owner_nor_mode(gateway: Served, tenants: Tenants, unique: str):
    before = quota(gateway, tenants.alice)
    task = gateway.order({**GREEDY, "prompt": unique}, key=tenants.alice)
    assert gateway.ended(task, key=tenants.alice)["livemode"] is True
    after = quota(gateway, tenants.alice)
    assert after["username"] == before["username"]
    assert [(key["name"], key["remain_quota"]) for key in after["keys"]] == [
        (key["name"], key["remain_quota"]) for key in before["keys"]
    ]
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).headers["halley-cost"] == "0.04"
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.bob).status == 404


def test_replicate_orders_take_no_fields_beside_their_own(gateway: Served, tenants: Tenants):
    for name, value in GREEDY.items():
        reply = gateway.ask("POST", SCHNELL, {"input": {"prompt": "a"}, name: value}, key=tenants.alice)
        assert reply.status == 422, name


@pytest.mark.parametrize("place", ["query", "header"])
def test_queries_and_headers_change_neither_price_nor_mode(gateway: Served, tenants: Tenants, place: str, unique: str):
    query = "&".join(f"{name}={value}" for name, value in GREEDY.items())
    headers = {f"x-{name.replace('_', '-')}": str(value) for name, value in GREEDY.items()}
    path = f"{FLUX}?{query}" if place == "query" else FLUX
    reply = gateway.ask(
        "POST", path, {"prompt": unique}, key=tenants.alice, headers=headers if place == "header" else {}
    )
    ended = gateway.ended(reply.json["id"], key=tenants.alice)
    assert ended["livemode"] is True
    assert gateway.ask("GET", f"/v1/tasks/{reply.json['id']}", key=tenants.alice).headers["halley-cost"] == "0.04"


def test_a_file_keeps_its_owner_whatever_its_metadata_say(gateway: Served, tenants: Tenants):
    form = (
        b'--x\r\ncontent-disposition: form-data; name="content"; filename="a"\r\n\r\nbytes\r\n'
        b'--x\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n{"project_id": "x", "livemode": false}\r\n'
        b'--x\r\ncontent-disposition: form-data; name="account_id"\r\n\r\nacct_other\r\n--x--\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    made = gateway.ask("POST", "/replicate/v1/files", form, key=tenants.alice, headers=headers)
    if made.status == 201:
        assert gateway.ask("GET", f"/replicate/v1/files/{made.json['id']}", key=tenants.alice).status == 200
        assert gateway.ask("GET", f"/replicate/v1/files/{made.json['id']}", key=tenants.bob).status == 404
    else:
        assert made.status in (400, 422)


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("keys.create", {"account": "alice", "role": "admin"}),
        ("keys.create", {"account": "alice", "key": "sk-chosen-by-me-0123456789"}),
        ("keys.create", {"account": "alice", "budget_nanos": -1}),
        ("accounts.create", {"name": "mallory", "kind": "prepaid", "id": "acct_alice"}),
        ("accounts.create", {"name": "mallory", "kind": "prepaid", "balance": 5}),
        ("accounts.credit", {"account": "alice", "amount_nanos": -5}),
        ("accounts.credit", {"account": "alice", "amount_nanos": 2**70}),
        ("accounts.credit", {"account": "alice", "amount_nanos": 1.5}),
        ("ledger.verify", {"repair": True}),
    ],
)
def test_commands_take_no_arguments_beside_their_own(gateway: Served, command: str, arguments: dict[str, object]):
    before = credits_of(gateway)
    with pytest.raises(CommandFailed):
        gateway.console(command, **arguments)
    assert credits_of(gateway) == before


def test_no_route_of_the_api_makes_keys_or_credit(gateway: Served, tenants: Tenants):
    for path in ("/v1/keys", "/v1/accounts", "/v1/credit", "/user/quota", "/api/token", "/api/user/self", "/console"):
        assert gateway.ask("POST", path, GREEDY, key=tenants.alice).status in (404, 405)
        assert gateway.ask("PUT", path, GREEDY, key=tenants.alice).status in (404, 405)


def quota(gateway: Served, key: str):
    return gateway.ask("GET", "/user/quota", key=key).json


def credits_of(gateway: Served) -> dict[str, object]:
    return {row["name"]: row["live"]["credited_nanos"] for row in gateway.console("accounts.list")}
