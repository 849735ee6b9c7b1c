"""Class 11: templates, expressions and code in prompts, names and prices: they are text, or they are refused."""

import pytest
from tests.clients.served import Served
from tests.field.tenants import Tenants
from tests.field.vendor import RecordingVendor

from halley.console.protocol import CommandFailed

TEMPLATES = [
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{prompt.__class__.__mro__}",
    "{0}",
    "%(secret)s %s %n",
    "$HOME ${HALLEY_SECRET} os.environ/HALLEY_SECRET",
    "${BFL_API_KEY}",
    "{{ config.items() }}",
    "__import__('os').system('id')",
    "{% raw %}",
    "${jndi:ldap://127.0.0.1/x}",
    "\x1b[31mred\x07",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_prompt_reaches_the_vendor_and_comes_back_as_it_was(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str, text: str
):
    prompt = f"{unique} {text}"
    task, _ = gateway.draw(prompt, key=tenants.alice)
    sent = next(each.json for each in vendor.seen if each.method == "POST" and unique.encode() in each.body)
    assert sent["prompt"] == prompt
    assert gateway.result(task, key=tenants.alice)["result"]["prompt"] == prompt


@pytest.mark.usefixtures("vendor")
def test_an_ending_in_the_prompt_of_a_live_key_is_text(gateway: Served, tenants: Tenants, unique: str):
    prompt = f"{unique} [[halley outcome=vendor_error]]"
    task, _ = gateway.draw(prompt, key=tenants.alice)
    assert gateway.result(task, key=tenants.alice)["status"] == "Ready"


def test_an_ending_in_the_header_of_a_live_key_is_refused(gateway: Served, tenants: Tenants):
    headers = {"halley-test": "outcome=success"}
    reply = gateway.ask("POST", "/flux/v1/flux-dev", {"prompt": "a"}, key=tenants.alice, headers=headers)
    assert reply.status in (400, 422)


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_for_a_name_is_the_name(gateway: Served, text: str):
    name = text.encode("ascii", "ignore").decode().replace("\x1b", "").replace("\x07", "")
    gateway.new_account(name)
    assert name in [row["name"] for row in gateway.console("accounts.list")]


@pytest.mark.parametrize(
    "price", ["1+1", "__import__('os').getcwd()", "${HOME}", "1e9999", "-1", "0x10", "NaN", "{{1}}"]
)
def test_a_price_that_is_no_number_is_refused_and_the_old_ones_stay(
    gateway: Served, tenants: Tenants, price: str, unique: str
):
    config = gateway.data.parent / "halley.toml"
    before = config.read_text()
    config.write_text(f'{before}\n[[prices]]\nmodel = "flux-pro-1.1"\ncall = "{price}"\n')
    try:
        with pytest.raises(CommandFailed):
            gateway.console("reload")
    finally:
        config.write_text(before)
    task, _ = gateway.draw(unique, key=tenants.alice)
    assert gateway.ask("GET", f"/v1/tasks/{task}", key=tenants.alice).headers["halley-cost"] == "0.04"
