"""Seals what the house keeps secret and signs what it hands out, with keys derived from `HALLEY_SECRET`.

The secret can be rotated: the newest seals and signs, older ones still open and verify. Nothing is stored here.
"""

import hmac
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from halley.kernel.ids import base32

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_LENGTH_MIN = 32
"""Characters of one secret."""
SECRETS_MAX = 8
"""Secrets at once; each costs a comparison per verified signature."""
MAC_BYTES = 16
"""128 bits of HMAC-SHA256, which no one guesses and which keep links short."""

_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_BYTES_MIN = _KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES
_DERIVATION = b"halley/1/"
"""Stands before the purpose of each derived key; a second scheme would count on."""


class Vault:
    """Seals, opens and signs with one secret or several, the newest first."""

    def __init__(self, secret: bytes | Iterable[bytes]) -> None:
        given = (secret,) if isinstance(secret, bytes) else tuple(secret)
        _check_secrets(given)
        self._rings = tuple(_Ring(each) for each in given)
        self._mac_keys: dict[str, tuple[bytes, ...]] = {}

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt for rest. It opens only with the same context, so a sealed value cannot be moved to another row."""
        ring = self._rings[0]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return ring.key_id + nonce + ring.cipher().encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made. Raises `ValueError` when it was changed or moved, or its secret is gone."""
        if len(sealed) < _SEALED_BYTES_MIN:
            message = f"`{context}` is not a sealed value: {len(sealed)} bytes are fewer than {_SEALED_BYTES_MIN}"
            raise ValueError(message)
        key_id, rest = sealed[:_KEY_ID_BYTES], sealed[_KEY_ID_BYTES:]
        matching = [ring for ring in self._rings if ring.key_id == key_id]
        if not matching:
            message = f"`{context}` was sealed with a secret that `HALLEY_SECRET` lacks; append it there after a comma"
            raise ValueError(message)
        return _decrypted(matching[0].cipher(), rest, context)

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest secret sealed this; if not, open and seal it again before the old secret is dropped."""
        return sealed[:_KEY_ID_BYTES] == self._rings[0].key_id

    def mac(self, purpose: str, data: str) -> str:
        """Sign in 26 base32 characters. Each purpose has a key of its own: a signature for one is no other's."""
        return _mac(self._keys(purpose)[0], data)

    def macs(self, purpose: str, data: str) -> tuple[str, ...]:
        """What each of the secrets signs, the newest first: for finding again what an older one may have signed."""
        return tuple(_mac(key, data) for key in self._keys(purpose))

    def verify_mac(self, purpose: str, data: str, mac: str) -> bool:
        """Whether any of the secrets signed this; the time taken does not depend on what was sent."""
        offered = mac.encode(errors="replace")
        verdicts = [hmac.compare_digest(_mac(key, data).encode(), offered) for key in self._keys(purpose)]
        return any(verdicts)

    def _keys(self, purpose: str) -> tuple[bytes, ...]:
        keys = self._mac_keys.get(purpose)
        if keys is None:
            keys = tuple(derived_key(ring.secret, f"mac/{purpose}") for ring in self._rings)
            self._mac_keys[purpose] = keys
        return keys


class _Ring:
    """One secret and what encrypts with it."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.key_id = derived_key(secret, "key-id")[:_KEY_ID_BYTES]
        self._cipher: AESGCM | None = None

    def cipher(self) -> "AESGCM":
        if self._cipher is None:
            # Measured: the import costs 8 MB, and a gateway without stored credentials never needs it.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(derived_key(self.secret, "seal"))
        return self._cipher


def derived_key(secret: bytes, purpose: str) -> bytes:
    """Derive 32 bytes by HKDF-SHA256 (RFC 5869) without salt; one block of output is all that is ever needed."""
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(pseudorandom, _DERIVATION + purpose.encode() + b"\x01", "sha256")


def _check_secrets(given: tuple[bytes, ...]) -> None:
    if not 1 <= len(given) <= SECRETS_MAX:
        message = f"`HALLEY_SECRET` must hold 1 to {SECRETS_MAX} secrets separated by commas, not {len(given)}"
        raise ValueError(message)
    for place, secret in enumerate(given, start=1):
        if len(secret) < SECRET_LENGTH_MIN:
            # The secret itself is not named: messages end up in logs.
            message = f"Secret {place} of `HALLEY_SECRET` has {len(secret)} characters, not {SECRET_LENGTH_MIN} or more"
            raise ValueError(message)


def _mac(key: bytes, data: str) -> str:
    return base32(int.from_bytes(hmac.digest(key, data.encode(), "sha256")[:MAC_BYTES]))


def _decrypted(cipher: "AESGCM", rest: bytes, context: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
    except InvalidTag as error:
        message = f"`{context}` does not open: the sealed value was changed or belongs to something else"
        raise ValueError(message) from error
