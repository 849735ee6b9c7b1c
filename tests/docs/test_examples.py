"""The examples in the documents work: shell lines and SDK programs run, files load, figures come out."""

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from tests.clients.clients import ENVIRONMENTS
from tests.clients.served import KEY, Served, served
from tests.docs.pages import NAMES, PAGES, ROOT, Fence, fences

from halley.catalogue import load_catalogue
from halley.catalogue.conditions import parse_key
from halley.catalogue.meters import estimate
from halley.catalogue.units import METERS
from halley.kernel.money import total
from halley.kernel.order import ImageInput, ImageOrder, ImageRole
from halley.settings import load_settings
from halley.vendors import load_vendors

README = ROOT / "README.md"
WRITTEN_URL = "http://127.0.0.1:8000"
WRITTEN_KEY = "sk-test-…"
RUN_S_MAX = 120
NODE = "node"
PROGRAMS = [(fence, word.partition("=")[2]) for fence in fences(README) for word in fence.words if "client=" in word]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with served({}) as running:
        yield running


def run(command: list[str], text: str, *, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a program that is given on standard input; what it prints."""
    ran = subprocess.run(
        command, input=text, cwd=folder, capture_output=True, text=True, timeout=RUN_S_MAX, env=environ, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_shell_lines_of_the_readme_work_when_pasted(gateway: Served, tmp_path: Path):
    blocks = [fence.code for fence in fences(README) if fence.language == "sh" and "test" in fence.words]
    assert len(blocks) > 2
    script = "set -eu\n" + "\n".join(blocks).replace(WRITTEN_URL, gateway.url)
    printed = run(["bash"], script, folder=tmp_path, environ={"PATH": "/usr/bin:/bin", "KEY": KEY})
    assert printed.count("simulated answer") >= 4
    assert "data: [DONE]" in printed
    assert "Hello there" in printed.partition('"text":')[2], "what was said is heard"
    assert f"{gateway.url}/assets/" in printed.partition('"created":')[2], "a picture in OpenAI's format"
    assert '"state":"succeeded"' in printed
    assert '"status":"Ready"' in printed
    assert '"status":"succeeded"' in printed
    assert '"code":"outcome_unknown"' in printed, "the stream that was cut ends with an error"
    with Image.open(tmp_path / "lighthouse.jpg") as picture:
        assert picture.size == (1024, 768)


def test_the_pasted_lines_leave_sound_books(gateway: Served):
    gateway.assert_books_are_sound()


@pytest.mark.parametrize(("fence", "client"), PROGRAMS, ids=[f"{client}-{n}" for n, (_, client) in enumerate(PROGRAMS)])
def test_the_sdk_programs_of_the_readme_run(gateway: Served, fence: Fence, client: str):
    program = fence.code.replace(WRITTEN_URL, gateway.url).replace(WRITTEN_KEY, KEY)
    folder = ENVIRONMENTS / client
    assert folder.exists(), f"{folder} is missing: run `scripts/clients.sh`, as `make test` does"
    command = [NODE, "--input-type=module", "-"] if client == NODE else [str(folder / "bin" / "python"), "-"]
    printed = run(command, program, folder=folder)
    assert re.search(rf"{gateway.url}/assets/|image/|simulated", printed)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_on_a_page_compiles(page: Path):
    for fence in fences(page):
        if fence.language == "python":
            compile(fence.code, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_toml_on_a_page_is_toml(page: Path):
    for fence in fences(page):
        if fence.language == "toml":
            tomllib.loads(fence.code)


def test_the_configuration_of_the_readme_loads(tmp_path: Path):
    [text] = [fence.code for fence in fences(README) if fence.language == "toml"]
    file = tmp_path / "halley.toml"
    file.write_text(text)
    keys = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "a-key")
    settings = load_settings({}, {"HALLEY_CONFIG": str(file), **keys})
    vendors = load_vendors()
    assert {channel.vendor for channel in settings.channels} <= vendors.keys()
    assert settings.channels[0].name == "openai-main"
    for price in settings.prices:
        assert {parse_key(key).meter for key in price.meters} <= METERS.keys()


def test_the_worked_example_of_the_ledger_comes_out():
    source = ImageInput(role=ImageRole.INPUT, source="https://example.com/a.png", pointer="/input_image")
    order = ImageOrder(dialect="flux", model="flux-2-pro", body={}, width=2048, height=1024, images=(source,))
    prices = load_catalogue(load_vendors().values()).seed_prices()["flux-2-pro"]
    held = total(estimate(order), prices)
    used = total({**estimate(order), "input_megapixel": 1_050_000}, prices)
    page = (ROOT / "docs" / "dev" / "ledger.md").read_text()
    for amount in (held, used, 1_000_000_000 - held, 1_000_000_000 - used):
        assert f"{amount:,}" in page
