"""Errors, each with a stable `code` to switch on."""

from __future__ import annotations

from typing import Optional


class AntequemError(Exception):
    """What went wrong. `code` is stable; the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FormatError(AntequemError):
    """Input does not have the form it should have."""


class ServiceError(AntequemError):
    """The service answered with a problem (RFC 9457), or with another error of HTTP."""

    def __init__(self, code: str, message: str, status: int, retry_after: Optional[float] = None) -> None:
        super().__init__(code, message)
        self.status = status
        #: What `Retry-After` asked for, in seconds; None without one.
        self.retry_after = retry_after


class UnreachableError(AntequemError):
    """No answer came, so it is unknown whether the request took effect."""
