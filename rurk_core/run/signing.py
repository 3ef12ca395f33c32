"""Who vouches for an exported experiment: Ed25519 signatures, with the package cryptography.

A key is made at the first signature and stays in the user's configuration, readable by its owner alone. The public
half is one word, ``ed25519:`` and 43 letters, that is handed on by another way than the file is.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from ..errors import RurkError, UsageError, need
from ..store.atomic import FOLDER, private
from ..store.names import explain

PREFIX = "ed25519:"


def key_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rurk" / "signing-key"


def own_key() -> str:
    """The public half of this user's key, which is made if there is none."""
    return _text(_private().public_key().public_bytes_raw())


def sign(data: bytes) -> dict[str, str]:
    """``{"key", "signature"}`` of ``data`` by this user's key."""
    found = _private()
    return {"key": _text(found.public_key().public_bytes_raw()), "signature": _encoded(found.sign(data))}


def vouched(data: bytes, signature: Any, trusted: str) -> str:
    """The key that signed ``data``, which is the trusted one.

    Args:
        trusted: a public key, or the path of a file with one a line.

    Raises:
        UsageError: it is not signed, by another key, or the signature is of something else.
    """
    need("cryptography", "Checking a signature")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    allowed = _keys(trusted)
    if not isinstance(signature, dict):
        raise UsageError("The experiment is not signed, so nothing says that it comes from somebody you trust.")
    key = str(signature.get("key"))[:60]
    if key not in allowed:
        raise UsageError(f"The experiment is signed by {key}, which is not the key you trust.")
    try:
        Ed25519PublicKey.from_public_bytes(_raw(key)).verify(_decoded(str(signature.get("signature"))), data)
    except (InvalidSignature, ValueError):
        raise UsageError(f"The signature of {key} is not of this content: the file was changed after it.") from None
    return key


def _keys(trusted: str) -> set[str]:
    texts = [trusted.strip()]
    if not trusted.startswith(PREFIX):
        try:
            texts = Path(trusted).expanduser().read_text()[:100_000].split()
        except (OSError, ValueError):
            raise UsageError(f"'{trusted[:80]}' is neither a public key ({PREFIX}…) nor a file with some.") from None
    keys = {text for text in texts if text.startswith(PREFIX)}
    if not keys:
        raise UsageError(f"There is no public key ({PREFIX}…) in {trusted[:80]}.")
    for key in keys:
        _raw(key)
    return keys


def _private() -> Any:
    need("cryptography", "Signing")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = key_file()
    try:
        if not path.exists():
            path.parent.mkdir(FOLDER, parents=True, exist_ok=True)
            with open(path, "x", opener=private) as file:
                file.write(_encoded(Ed25519PrivateKey.generate().private_bytes_raw()))
        return Ed25519PrivateKey.from_private_bytes(_decoded(path.read_text()))
    except OSError as error:
        raise RurkError(explain(error, "The key that signs", path)) from None
    except ValueError:
        raise RurkError(f"The key that signs, {path}, is damaged; move it away to have a new one made.") from None


def _raw(key: str) -> bytes:
    try:
        raw = _decoded(key.removeprefix(PREFIX))
        if len(raw) == 32:
            return raw
    except ValueError:
        pass
    raise UsageError(f"'{key[:60]}' is not a public key; they look like {PREFIX} and 43 letters.")


def _text(raw: bytes) -> str:
    return PREFIX + _encoded(raw)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """Raises ValueError where it is not of these letters."""
    text = text.strip()
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
