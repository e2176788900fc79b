"""C2SP signed-note and tlog-checkpoint: the signed head of a log."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Optional, Sequence

from .errors import FormatError
from .formats import sha256

_ED25519 = b"\x01"
_CHECKPOINT = re.compile(r"([^\s+]{1,400})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n")
_SIGNATURE = re.compile(r"— ([^+\s]{1,400}) ([A-Za-z0-9+/=]{8,8192})")
_KEY = re.compile(r"([^+\s]{1,400})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{4,4000})")


@dataclass(frozen=True)
class Checkpoint:
    #: The text that is signed.
    text: str
    origin: str
    size: int
    root: bytes
    #: Name, key id (4 bytes) and signature of each line.
    signatures: Sequence[tuple[str, bytes, bytes]]


@dataclass(frozen=True)
class VerifierKey:
    name: str
    key_id: bytes
    #: 32 bytes, Ed25519.
    public_key: bytes


def parse_checkpoint(note: str) -> Checkpoint:
    """Takes a signed checkpoint apart. Says nothing of whether signatures hold. Raises FormatError `note-invalid`."""
    blank = note.rfind("\n\n")
    if len(note) > 262_144 or blank < 0 or not note.endswith("\n"):
        raise FormatError("note-invalid", "not a signed note")
    if any(ord(unit) < 0x20 and unit != "\n" or unit == "\x7f" or 0xD800 <= ord(unit) < 0xE000 for unit in note):
        raise FormatError("note-invalid", "not a signed note: a control character or half a surrogate pair")
    text = note[: blank + 1]
    head = _CHECKPOINT.fullmatch(text)
    if head is None or int(head[2]) >= 2**53:
        raise FormatError("note-invalid", "not a checkpoint (origin, size, root)")
    lines = note[blank + 2 : -1].split("\n")
    if len(lines) > 64:
        raise FormatError("note-invalid", "more than 64 signatures")
    signatures = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise FormatError("note-invalid", "not a signature line")
        signed = _base64(match[2])
        if len(signed) < 5:
            raise FormatError("note-invalid", "a signature is too short")
        signatures.append((match[1], signed[:4], signed[4:]))
    return Checkpoint(text, head[1], int(head[2]), _base64(head[3]), signatures)


def parse_key(text: str) -> VerifierKey:
    """`name+hex8(key id)+base64(0x01 ‖ public key)`. Raises FormatError `verifier-key`."""
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise FormatError("verifier-key", "not a verifier key (name+8 hex digits+base64)")
    typed = _base64(match[3])
    key_id = bytes.fromhex(match[2])
    if typed[:1] != _ED25519 or len(typed) != 33:
        raise FormatError("verifier-key", "the verifier key is not an Ed25519 key (0x01 and 32 bytes)")
    if sha256(match[1].encode(), b"\n", typed)[:4] != key_id:
        raise FormatError("verifier-key", f"the key id {match[2]} is not that of this name and key")
    return VerifierKey(match[1], key_id, typed[1:])


def check_signature(checkpoint: Checkpoint, key: VerifierKey) -> Optional[bool]:
    """Whether the key signed the checkpoint; None where no line has the key's name and id.

    Raises ImportError where the package `cryptography` is not installed.
    """
    own = [signature for name, key_id, signature in checkpoint.signatures if name == key.name and key_id == key.key_id]
    if not own:
        return None
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(key.public_key)
        for signature in own:
            public.verify(signature, checkpoint.text.encode())
    except InvalidSignature:
        return False
    return True


def _base64(text: str) -> bytes:
    """One spelling alone: padded, unused bits zero."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("note-invalid", "not base64") from None
    if base64.b64encode(data).decode() != text:
        raise FormatError("note-invalid", "base64 in another spelling")
    return data
