import hashlib
import subprocess
import sys

import pytest

from halley.tokens.encodings import EncodingName, read_ranks

# As tiktoken publishes them.
DIGESTS: dict[EncodingName, str] = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_ranks_are_the_published_ones(name: EncodingName) -> None:
    assert hashlib.sha256(read_ranks(name)).hexdigest() == DIGESTS[name]


def test_nothing_is_read_before_the_first_count() -> None:
    program = "import sys, halley.tokens; print('tiktoken' in sys.modules, 'lzma' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"
