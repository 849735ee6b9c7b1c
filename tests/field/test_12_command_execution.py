"""Class 12: no text of a request becomes a command, a file name or a process."""

from pathlib import Path

import pytest
from tests.clients.served import Served, image
from tests.field.tenants import Tenants

COMMANDS = [
    "$(touch {mark})",
    "`touch {mark}`",
    "; touch {mark} ;",
    "| touch {mark}",
    "&& touch {mark}",
    "'; touch {mark}; '",
    '"; touch {mark}; "',
    "\n touch {mark} \n",
    "-o {mark}",
    "@{mark}",
    "> {mark}",
]
NAMES = [
    "../../../mark",
    "..\\..\\mark",
    "/var/mark",
    "a;touch mark",
    "$(touch mark)",
    "-rf",
    "con.png",
    ".",
    "%2e%2e%2fmark",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_a_prompt_that_is_a_command_ends_in_pixels_only(gateway: Served, tenants: Tenants, tmp_path: Path, text: str):
    mark = tmp_path / "mark"
    _, link = gateway.draw(text.format(mark=mark), key=tenants.alice_test)
    assert image(gateway.ask("GET", link, key=None).body) == ("JPEG", (256, 256))
    assert not mark.exists()
    assert gateway.children == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_names_no_file_of_ours(gateway: Served, tenants: Tenants, name: str):
    form = (
        f'--x\r\ncontent-disposition: form-data; name="content"; filename="{name}"\r\n\r\nbytes of {name}\r\n--x--\r\n'
    ).encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    made = gateway.ask("POST", "/replicate/v1/files", form, key=tenants.alice_test, headers=headers)
    if made.status == 201:
        sent = gateway.ask("GET", f"/replicate/v1/files/{made.json['id']}/download", key=tenants.alice_test)
        assert sent.body == f"bytes of {name}".encode()
        assert "/" not in made.json["name"]
    else:
        assert made.status in (400, 422)
    assert [path for path in gateway.data.rglob("*mark*") if path.is_file()] == []
    assert not Path("/var/mark").exists()
