"""Secrets at rest: AES-256-GCM under a key of the operator's, or one drawn into the data directory.

A sealed text is `1.<key id>.<base64 of nonce and ciphertext>`. What it belongs to is authenticated with it, so that a
sealed secret cannot be moved to another record. The first key seals; all of them open, so that a key can be changed.
"""

from __future__ import annotations

import binascii
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from blackboard.errors import BlackboardError, UsageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
DRAWN: Final = "secret.key"
HINT: Final = "draw one with: openssl rand -base64 32"


class SecretUnreadable(BlackboardError):
    """A secret was sealed under a key that is not known here, or is not what was sealed."""

    slug = "secret-unreadable"


def key_id(key: bytes) -> str:
    """Says which key it was, not the key."""
    return sha256(b"blackboard key id\0" + key).hexdigest()[:8]


def parse_keys(text: str, where: str) -> list[bytes]:
    """Keys as an operator writes them: 32 bytes in base64 each, with blanks or commas between. Raises UsageError."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            key = b64decode(
                word + "=" * (-len(word) % 4), altchars=b"-_" if set(word) & set("-_") else None, validate=True
            )
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise UsageError(f"{where} holds a key that is not {KEY_BYTES} bytes in base64", hint=HINT)
        found.append(key)
    if not found:
        raise UsageError(f"{where} holds no key", hint=HINT)
    return found


class Sealer:
    """Seals and opens. A file is read when it is first needed, and a key drawn into it then, if that is allowed."""

    def __init__(self, keys: Sequence[bytes] = (), *, file: Path | None = None, draw: bool = False) -> None:
        """`keys`, or where they are; `draw`: whether one is made there where there is none."""
        self._keys = {key_id(key): key for key in keys}
        self._file = file
        self._draws = draw

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self._keys)})"

    def check(self) -> None:
        """Raises UsageError where the keys cannot be read."""
        self._all()

    def seal(self, secret: bytes, about: str) -> str:
        """Under the first key; it opens for the same `about` alone."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        id, key = next(iter(self._all(draw=True).items()))
        nonce = secrets.token_bytes(NONCE_BYTES)
        return f"1.{id}.{b64encode(nonce + AESGCM(key).encrypt(nonce, secret, about.encode())).decode()}"

    def open(self, sealed: str, about: str) -> bytes:
        """What was sealed. Raises SecretUnreadable."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        form, _, rest = sealed.partition(".")
        id, _, text = rest.partition(".")
        key = self._all().get(id)
        if form != "1" or key is None:
            raise SecretUnreadable(
                f"a secret is sealed under the key {id[:8]}, which is not known here",
                hint="every process needs the same BLACKBOARD_SECRET_KEY, or the same data directory",
            )
        try:
            data = b64decode(text, validate=True)
            return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about.encode())
        except (InvalidTag, binascii.Error, ValueError):
            raise SecretUnreadable("a secret is not what was sealed") from None

    def current(self, sealed: str) -> bool:
        """Whether it is sealed under the key that seals now."""
        return sealed.split(".")[1:2] == [next(iter(self._all(draw=True)))]

    def _all(self, *, draw: bool = False) -> dict[str, bytes]:
        if self._keys or self._file is None:
            return self._keys
        try:
            text = self._file.expanduser().read_text("ascii")
        except FileNotFoundError:
            if self._draws and not draw:
                return {}
            if self._draws:
                _draw(self._file)
                return self._all()
            raise UsageError("BLACKBOARD_SECRET_KEY_FILE names no file", hint=HINT) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the file of the secret key cannot be read: {type(error).__name__}") from error
        self._keys = {key_id(each): each for each in parse_keys(text, "the file of the secret key")}
        return self._keys


def _draw(place: Path) -> None:
    """Put a new key there, unless another process was faster; it is whole from the moment it is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, place)
    finally:
        draft.unlink()


def sealer_of(secret_key: str, secret_key_file: str, data_dir: Path) -> Sealer:
    """As it is set up: keys in the environment, in a file, or drawn into the data directory. Raises UsageError."""
    if secret_key:
        return Sealer(parse_keys(secret_key, "BLACKBOARD_SECRET_KEY"))
    if secret_key_file:
        return Sealer(file=Path(secret_key_file))
    return Sealer(file=data_dir / DRAWN, draw=True)
