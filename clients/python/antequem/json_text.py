"""JSON from outside: bounded in size and depth, no member twice, no numbers that JSON does not have."""

from __future__ import annotations

import json
from typing import Any, Union

from .errors import FormatError

MAX_DEPTH = 32
#: Longer texts of digits make Python slow; no number of ours has more.
_MAX_DIGITS = 400


def parse_json(text: Union[str, bytes], most: int, code: str) -> Any:
    """Parses a JSON text of at most `most` bytes or characters, nested at most 32 deep.

    Raises FormatError `code`; where a member stands twice, `receipt-ambiguous`.
    """
    if len(text) > most:
        raise FormatError(code, f"the text has {len(text)} characters; {most} are the most")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise FormatError(code, "the text is not UTF-8") from None
    _check_depth(text, code)
    try:
        return json.loads(
            text, object_pairs_hook=_members, parse_constant=_no_constant, parse_int=_whole, parse_float=_number
        )
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(code, f"the text is not JSON: {error}") from None


def _check_depth(text: str, code: str) -> None:
    depth = 0
    quoted = False
    escaped = False
    for unit in text:
        if quoted:
            if escaped:
                escaped = False
            elif unit == "\\":
                escaped = True
            elif unit == '"':
                quoted = False
        elif unit == '"':
            quoted = True
        elif unit in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError(code, f"nested deeper than {MAX_DEPTH}")
        elif unit in "}]":
            depth -= 1


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in (other for other, _ in pairs[:i]))
        raise FormatError("receipt-ambiguous", f"the member {twice[:100]!r} stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number with too many digits")
    return int(digits)


def _number(digits: str) -> Union[int, float]:
    """1.0 and 1e3 are whole numbers to JSON, which knows one kind."""
    value = float(digits[:_MAX_DIGITS])
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
