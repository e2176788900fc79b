"""Client and verifier for Antequem. Needs Python 3.9 and nothing besides its standard library."""

from .client import Client, Entry, Log
from .errors import AntequemError, FormatError, ServiceError
from .node import Node
from .receipt import Receipt, parse_receipt
from .verify import Claim, Moment, Verdict, verify

__all__ = [
    "AntequemError",
    "Claim",
    "Client",
    "Entry",
    "FormatError",
    "Log",
    "Moment",
    "Node",
    "Receipt",
    "ServiceError",
    "Verdict",
    "parse_receipt",
    "verify",
]
