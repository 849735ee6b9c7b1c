import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from halley.catalogue import load_catalogue
from halley.catalogue.model import read_models
from halley.kernel.operation import KINDS, Kind, Operation
from halley.vendors import load_vendors
from halley.vendors.contract import Vendor

VENDORS = load_vendors()
WANTED = (
    *("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.4-pro", "gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-5-nano"),
    *("gpt-5-codex", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "gpt-4o-audio-preview"),
    *("gpt-audio", "o1", "o3", "o4-mini", "gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "gpt-4o-image"),
    *("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002", "gemini-embedding-001"),
    *("gpt-image-1", "gpt-image-1.5", "gpt-image-2", "dall-e-2", "dall-e-3", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
    *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "omni-moderation-latest", "gpt-realtime"),
    *("gpt-realtime-mini", "gpt-4o-realtime-preview", "claude-opus-4-5", "claude-sonnet-4-6", "claude-haiku-4-5"),
    *("claude-3-5-sonnet-20241022", "claude-3-5-haiku-latest", "gemini-2.5-pro", "gemini-2.5-flash"),
    *("gemini-2.5-flash-lite", "gemini-3-flash-preview", "gemini-2.0-flash", "llama-3.3-70b-instruct"),
    *("deepseek-v3.2", "qwen3-reranker-8b", "sonar-pro", "grok-4.7", "kimi-k3", "glm-5.3", "qwen3-max"),
)


def vendor_with(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, catalogue: str) -> Vendor:
    """A vendor whose package holds this catalogue."""
    package = folder / f"plugin_{name}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "catalogue.toml").write_text(catalogue, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return msgspec.structs.replace(VENDORS["bfl"], name=name, simulator=f"plugin_{name}.simulator:create_app")


def model(**fields: Any) -> str:
    source = {"source": "https://prices.example", "checked": "2026-11-22"}
    rows = {"id": "tiny", "kind": "image", **source, **fields}
    spelled = "\n".join(f"{name} = {_toml(value)}" for name, value in rows.items())
    return f"[[models]]\n{spelled}\n"


def _toml(value: str | list[str] | dict[str, str]) -> str:
    match value:
        case str():
            return f'"{value}"'
        case list():
            return str(value)
        case dict():
            return "{ " + ", ".join(f'"{key}" = "{price}"' for key, price in value.items()) + " }"


def test_every_model_that_ships_has_a_price_a_cost_and_a_description() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert set(catalogue.seed_prices()) == set(catalogue.models)
    for rows in catalogue.models.values():
        for row in rows.values():
            assert row.cost, f"{row.id} at {row.vendor}"
            assert row.description, f"{row.id} at {row.vendor}"


def test_a_name_of_another_vendor_leads_to_the_public_model() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert catalogue.public_id("black-forest-labs/flux-1.1-pro") == "flux-pro-1.1"
    assert catalogue.public_id("flux-pro-1.1") == "flux-pro-1.1"
    assert catalogue.public_id("nobody/knows") == "nobody/knows"
    row = catalogue.at_vendor("flux-pro-1.1", "replicate")
    assert row is not None
    assert row.vendor_model == "black-forest-labs/flux-1.1-pro"


def test_what_nobody_offers_is_not_there() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert catalogue.at_vendor("sdxl", "bfl") is None
    assert catalogue.cost("sdxl", "bfl") == {}


def test_models_are_listed_once_with_all_their_names() -> None:
    catalogue = load_catalogue(VENDORS.values())
    views = {view.id: view for view in catalogue.views()}
    assert list(views) == sorted(catalogue.models)
    assert "black-forest-labs/flux-dev" in views["flux-dev"].aliases


def test_a_model_with_two_prices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    priced = model(price={"image": "1"}, cost={"image": "1"})
    vendors = [vendor_with(tmp_path, monkeypatch, name, priced) for name in ("alpha", "beta")]
    with pytest.raises(ValueError, match=r"`tiny` must have its price in exactly one .*alpha.*beta"):
        load_catalogue(vendors)


def test_a_model_without_a_price_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="`tiny` must have its price"):
        load_catalogue([vendor_with(tmp_path, monkeypatch, "gamma", model(cost={"image": "1"}))])


@pytest.mark.parametrize("field", ["price", "cost"])
def test_a_price_under_conditions_alone_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    prices = {"price": {"image": "1"}, "cost": {"image": "1"}} | {field: {"image@quality=hd": "2"}}
    with pytest.raises(ValueError, match="Model `tiny`: `image` has a price under conditions only"):
        load_catalogue([vendor_with(tmp_path, monkeypatch, f"conditional_{field}", model(**prices))])


def test_an_alias_of_two_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = model(aliases=["small"], price={"image": "1"}) + model(id="mini", aliases=["small"], price={"image": "1"})
    with pytest.raises(ValueError, match="`small` is an alias of both `tiny` and `mini`"):
        load_catalogue([vendor_with(tmp_path, monkeypatch, "delta", both)])


@pytest.mark.parametrize(
    "wrong",
    [
        model(price={"parsec": "1"}),
        model(price={"image@": "1"}),
        model(colour="red"),
        '[[models]]\nid = "x"\n',
        model(kind="poem"),
        model(operations=["openai.poems"]),
        model(source=""),
        model(deprecated="soon"),
        "models = [",
    ],
    ids=["meter", "condition", "unknown field", "no kind", "kind", "operation", "no source", "date", "no TOML"],
)
def test_a_row_that_cannot_be_read_is_refused(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        read_models(vendor_with(tmp_path, monkeypatch, f"wrong{abs(hash(wrong))}", wrong))


def test_a_row_may_say_what_the_file_says_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = model(price={"image": "1"}) + '[[models]]\nid = "mini"\nkind = "chat"\n'
    text = 'source = "https://all.example"\nchecked = "2026-01-02"\n' + rows
    own, shared = read_models(vendor_with(tmp_path, monkeypatch, "epsilon", text))
    assert (own.source, own.checked) == ("https://prices.example", "2026-11-22")
    assert (shared.source, shared.checked) == ("https://all.example", "2026-01-02")


def test_a_vendor_bills_its_price_unless_its_row_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = model(price={"image": "2"}) + model(id="mini", price={"image": "2"}, cost={"image": "1"})
    found = read_models(vendor_with(tmp_path, monkeypatch, "zeta", rows))
    assert [row.cost["image"] for row in found] == [2_000_000_000_000_000, 1_000_000_000_000_000]


def test_limits_and_restrictions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = model(price={"call": "1"}, kind="chat", operations=["openai.responses"], inputs=["text", "image"])
    text += "context_tokens = 1_000\noutput_tokens_max = 100\n"
    (found,) = read_models(vendor_with(tmp_path, monkeypatch, "eta", text))
    assert (found.context_tokens, found.output_tokens_max) == (1_000, 100)
    assert found.operations == (Operation.RESPONSES,)
    assert found.inputs == ("text", "image")


def test_a_vendor_names_the_file_of_its_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = vendor_with(tmp_path, monkeypatch, "theta", "models = []")
    folder = tmp_path / "plugin_theta" / "catalogues"
    folder.mkdir()
    (folder / "other.toml").write_text(model(price={"image": "1"}), encoding="utf-8")
    found = read_models(msgspec.structs.replace(vendor, catalogue="plugin_theta:catalogues/other.toml"))
    assert [row.id for row in found] == ["tiny"]


def test_a_vendor_without_simulator_and_catalogue_has_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = vendor_with(tmp_path, monkeypatch, "iota", "models = []")
    assert read_models(msgspec.structs.replace(vendor, simulator="")) == []


@pytest.mark.parametrize(
    "vendor", [vendor for vendor in VENDORS.values() if vendor.answers], ids=lambda each: each.name
)
def test_every_model_that_ships_can_be_ordered_at_its_vendor(vendor: Vendor) -> None:
    assert vendor.answers is not None
    served = vendor.answers.paths.keys()
    for row in read_models(vendor):
        assert set(row.operations) <= served, row.id
        assert row.kind in {KINDS[operation] for operation in row.operations or served}, row.id


def test_every_model_that_ships_has_a_source_and_a_date() -> None:
    for vendor in VENDORS.values():
        for row in read_models(vendor):
            assert row.source.startswith("https://"), f"{row.id} at {row.vendor}"
            assert row.checked >= "2026-01-01", f"{row.id} at {row.vendor}"


def test_the_catalogues_hold_what_people_ask_for() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert len(catalogue.models) >= 250
    assert {KINDS[operation] for operation in Operation} == {
        row.kind for rows in catalogue.models.values() for row in rows.values()
    }
    for name in WANTED:
        assert catalogue.public_id(name) in catalogue.models, name


@pytest.mark.parametrize("name", ["gpt-5.4-pro", "gpt-5-codex", "o3-pro"])
def test_models_of_one_operation_say_so(name: str) -> None:
    row = load_catalogue(VENDORS.values()).at_vendor(name, "openai")
    assert row is not None
    assert row.operations == (Operation.RESPONSES,)


def test_a_dated_snapshot_is_the_same_model() -> None:
    catalogue = load_catalogue(VENDORS.values())
    assert catalogue.public_id("gpt-4o-2024-11-20") == "gpt-4o"
    assert catalogue.public_id("claude-haiku-4-5-20251001") == "claude-haiku-4-5"
    assert catalogue.public_id("gpt-4o-2024-05-13") == "gpt-4o-2024-05-13"


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS.keys())
def test_of_a_vendor_that_sells_searches_every_chat_model_has_their_price(vendor: Vendor) -> None:
    chats = [row for row in read_models(vendor) if row.kind is Kind.CHAT and row.price]
    lacking = [row.id for row in chats if "web_search" not in row.price]
    # Groq sells them for its own models with a browser alone; Perplexity's models search of themselves.
    sells = len(lacking) < len(chats) and vendor.name not in ("groq", "perplexity")
    assert not (sells and lacking), lacking


def test_hosted_tools_cost_the_same_whichever_chat_model_runs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = """
source = "https://example.com"
checked = "2026-11-24"

[tools]
web_search = "0.01"
"web_search@a=b" = "0.02"
audio_second = "0.001"

[[models]]
id = "plain"
kind = "chat"
price = { input_token = "1" }

[[models]]
id = "own"
kind = "chat"
price = { input_token = "1", web_search = "0.025" }
cost = { input_token = "2" }

[[models]]
id = "elsewhere"
kind = "chat"

[[models]]
id = "vectors"
kind = "embedding"
price = { input_token = "1" }
"""
    rows = {row.id: row for row in read_models(vendor_with(tmp_path, monkeypatch, "iota", sheet))}
    assert set(rows["plain"].price) == {"input_token", "web_search", "web_search@a=b", "audio_second"}
    assert set(rows["own"].price) == {"input_token", "web_search", "audio_second"}
    assert rows["own"].price["web_search"] == 25_000_000 * 1_000_000
    assert rows["own"].cost["web_search"] == 10_000_000 * 1_000_000
    assert (rows["elsewhere"].price, rows["elsewhere"].cost) == ({}, {})
    assert set(rows["vectors"].price) == {"input_token"}
