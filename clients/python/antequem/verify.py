"""The verifier: a receipt, the content and the sources of trust in, a verdict out (docs/verdict-codes.md).

Every claim is derived from hashed bytes and from the sources given. Status and times in a receipt are hints. This verifier
checks EVM anchors by a node. It does not check OpenTimestamps anchors, nor the proofs that lead from a block's hash to an
anchor (the standard library has no Keccak): `antequem verify` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256 as _sha256
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

from .errors import FormatError
from .formats import (
    checkpoint_leaf,
    commitment,
    encode_entry,
    format_time,
    hash_leaf,
    link_leaf,
    log_id,
    root_from_path,
)
from .node import EvmBlock, Node, NodeError
from .note import Checkpoint, VerifierKey, check_signature, parse_checkpoint, parse_key
from .receipt import Anchor, Beacon, EvmAnchor, Receipt, parse_receipt

FORMAT = "antequem-verdict/v1"

#: `Anchored(address indexed sender, bytes32 indexed root)` of contracts/Anchor.sol.
_ANCHORED_TOPIC = "0xee1610244dfc4b116b1433dd4459fd7b1d3d2bf737a05fc3f6d8f173005d7147"
#: Chains that anybody can start anew under the same id.
_DEVELOPMENT_CHAINS = ("eip155:31337", "eip155:1337")
#: How far the clocks of a service and its database may differ, and so the service's and the truth.
_CLOCK_TOLERANCE_MS = 60_000
#: A block can be stamped this long before its transactions were sent.
_SLOT_MS = 15_000
#: What was given is not what the receipt is about, without contradicting it; or times do not fit. Then nothing is proven.
_WITHHOLDING = (
    "content-re-ended",
    "signature-by-another-key",
    "signature-not-found",
    "key-not-for-this-log",
    "times-contradict",
)
#: A node has something else in this place. That refutes nothing, but no other node outvotes it.
_OTHERWISE = ("anchor-moved", "beacon-not-on-chain")
_DECISIVE = ("content", "position", "checkpoint", "round")


@dataclass(frozen=True)
class Moment:
    """A block and its time."""

    time: str
    chain: str
    number: int
    hash: str

    def to_json(self) -> dict[str, Any]:
        return {"time": self.time, "chain": self.chain, "block": {"number": self.number, "hash": self.hash}}


@dataclass(frozen=True)
class Claim:
    """One thing that the receipt claims, and what became of it.

    claim: content, position, checkpoint, round, not-before, received-at or anchor.
    status: verified, refuted or unverified. grounds: bytes, key, rpc or none.
    """

    claim: str
    status: str
    code: str
    says: str
    grounds: str = "none"
    chain: Optional[str] = None
    time: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        named = {"chain": self.chain, "time": self.time}
        return {
            "claim": self.claim,
            "status": self.status,
            **{name: value for name, value in named.items() if value is not None},
            "grounds": self.grounds,
            "code": self.code,
            "says": self.says,
        }


@dataclass(frozen=True)
class Verdict:
    #: proven, refuted or unproven.
    result: str
    #: The earliest block proven to hold the round's root: the content was known before its time.
    existed_before: Optional[Moment]
    #: The latest block proven to have gone into the round: the round is not older. The entry may be.
    not_before: Optional[Moment]
    claims: Sequence[Claim]

    @property
    def exit_code(self) -> int:
        """0 proven, 1 refuted, 2 consistent but not proven."""
        return {"proven": 0, "refuted": 1}.get(self.result, 2)

    def to_json(self) -> dict[str, Any]:
        """`antequem-verdict/v1`."""
        return {
            "format": FORMAT,
            "result": self.result,
            "existedBefore": None if self.existed_before is None else self.existed_before.to_json(),
            "notBefore": None if self.not_before is None else self.not_before.to_json(),
            "claims": [claim.to_json() for claim in self.claims],
        }


def verify(
    receipt: Union[str, bytes, Mapping[str, Any]],
    payload: Optional[bytes] = None,
    *,
    digest: Optional[bytes] = None,
    key: Optional[str] = None,
    nodes: Sequence[Node] = (),
    now: Optional[float] = None,
) -> Verdict:
    """The verdict on a receipt.

    receipt: its JSON text, or that parsed. payload: the content it should be about, or `digest`, its SHA-256 (32 bytes).
    key: the log's verifier key, if you got it from somebody you trust. nodes: nodes of chains that you trust.
    now: the time here, in seconds since the Unix epoch; refutes entries from the future.
    Raises FormatError: `receipt-invalid` or `receipt-ambiguous` where it is no receipt, `verifier-key` where the key is none.
    """
    read = parse_receipt(receipt)
    verifier_key = None if key is None else parse_key(key)
    content = _content(read, payload, digest)
    checkpoint, signed = _checkpoint(read, verifier_key)
    position = _position(read, checkpoint, signed)
    claims = [content, position, signed]
    if read.round is None:
        says = "The receipt was made before the round of its entry closed; a later one says more."
        claims += [Claim("round", "unverified", "round-pending", says), _received_at(read, None, [], now)]
        return _verdict(claims, [], None)
    closed = _round(read, checkpoint)
    claims.append(closed)
    if position.status == "refuted" or closed.status == "refuted":
        claims.append(_received_at(read, None, [], now))
        claims += [_not_shown(anchor) for anchor in read.anchors]
        return _verdict(claims, [], None)
    by_chain, failures = _sort(nodes)
    bounds, not_before, same_instance = _not_before(read, by_chain, failures)
    findings = [_anchor(anchor, read.round.root.hex(), by_chain, failures, same_instance) for anchor in read.anchors]
    if not findings:
        findings = [(Claim("anchor", "unverified", "no-anchor", "The receipt has no anchor yet."), None)]
    bounds, not_before, findings = _reconcile(bounds, not_before, findings)
    moments = [moment for _, moment in findings if moment is not None]
    claims += [*bounds, _received_at(read, read.round.closed_at_ms, moments, now), *(claim for claim, _ in findings)]
    return _verdict(claims, moments, not_before)


def _verdict(claims: Sequence[Claim], moments: Sequence[Moment], not_before: Optional[Moment]) -> Verdict:
    refuted = any(claim.status == "refuted" and claim.claim in _DECISIVE for claim in claims)
    proven = None if refuted or not moments else min(moments, key=lambda moment: moment.time)
    first = None if any(claim.code in _WITHHOLDING for claim in claims) else proven
    anchor_refuted = proven is None and any(claim.claim == "anchor" and claim.status == "refuted" for claim in claims)
    result = "proven" if first is not None else "refuted" if refuted or anchor_refuted else "unproven"
    return Verdict(result, first, None if refuted else not_before, claims)


def _reconcile(
    bounds: Sequence[Claim], not_before: Optional[Moment], findings: Sequence[tuple[Claim, Optional[Moment]]]
) -> tuple[Sequence[Claim], Optional[Moment], Sequence[tuple[Claim, Optional[Moment]]]]:
    """Where a round was anchored before a block that it names, one of the two times is wrong: neither is claimed."""
    times = [moment.time for _, moment in findings if moment is not None]
    if not_before is None or not times or min(times) >= not_before.time:
        return bounds, not_before, findings
    says = (
        f"The times contradict each other: by its anchor the round existed before {min(times)}, by a block that it names "
        f"it was formed after {not_before.time}. One of the two blocks has a wrong time: ask another node for both."
    )

    def contradictory(claim: Claim) -> Claim:
        if claim.status != "verified":
            return claim
        return Claim(claim.claim, "unverified", "times-contradict", says, chain=claim.chain, time=claim.time)

    open_findings = [
        (contradictory(claim), None if claim.status == "verified" else moment) for claim, moment in findings
    ]
    return [contradictory(claim) for claim in bounds], None, open_findings


def _other_line_ends(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The same text with its lines ended otherwise."""

    def last_end(form: str, body: bytes) -> Iterator[tuple[str, bytes]]:
        if not body.endswith(b"\n"):
            yield f"{form}with a newline at its end", body + b"\n"
            yield f"{form}with a newline (CRLF) at its end", body + b"\r\n"
        else:
            yield f"{form}without its last newline", body[: -2 if body.endswith(b"\r\n") else -1]

    yield from last_end("", text)
    unix = text.replace(b"\r\n", b"\n")
    windows = unix.replace(b"\n", b"\r\n")
    for name, body in (("with line ends of Unix (LF)", unix), ("with line ends of Windows (CRLF)", windows)):
        if body != text:
            yield name, body
            yield from last_end(f"{name} and ", body)


def _content(receipt: Receipt, payload: Optional[bytes], digest: Optional[bytes]) -> Claim:
    if payload is None and digest is None:
        says = "Neither the content nor its digest was given: this verdict speaks of the digest in the receipt alone."
        return Claim("content", "unverified", "content-not-given", says)
    expected = receipt.entry.digest
    given = [*([] if payload is None else [_sha256(payload).digest()]), *([] if digest is None else [digest])]
    what = "The given digest" if payload is None else "The SHA-256 digest of the given content"
    if all(each == expected for each in given):
        return Claim("content", "verified", "content-matches", f"{what} is the one in the receipt.", "bytes")
    if payload is not None and (digest is None or digest == expected):
        for form, body in _other_line_ends(payload):
            if _sha256(body).digest() == expected:
                says = (
                    "The given content is not byte for byte what the receipt is about, but it matches "
                    f"{form}: its line ends were changed. Verify it in that form."
                )
                return Claim("content", "unverified", "content-re-ended", says, "bytes")
    says = f"{what} is not the one in the receipt: the receipt is about something else."
    return Claim("content", "refuted", "content-differs", says, "bytes")


def _checkpoint(receipt: Receipt, key: Optional[VerifierKey]) -> tuple[Optional[Checkpoint], Claim]:
    log = receipt.entry.log
    try:
        checkpoint = parse_checkpoint(receipt.checkpoint)
    except FormatError:
        says = "The checkpoint in the receipt cannot be read as a signed note of a log."
        return None, Claim("checkpoint", "refuted", "checkpoint-unreadable", says, "bytes")
    if key is None:
        says = f"No key was given, so it was not checked that the log {log} signed the checkpoint."
        return checkpoint, Claim("checkpoint", "unverified", "key-not-given", says)
    if key.name != log:
        says = f"The given key is that of {key.name}, but the receipt is from the log {log}: ask for the key of that log."
        return checkpoint, Claim("checkpoint", "unverified", "key-not-for-this-log", says, "key")
    try:
        holds = check_signature(checkpoint, key)
    except ImportError:
        says = "The signature was not checked: the standard library has no Ed25519. Install the package `cryptography`."
        return checkpoint, Claim("checkpoint", "unverified", "signature-not-checked", says)
    if holds is None:
        others = ", ".join(key_id.hex() for name, key_id, _ in checkpoint.signatures if name == log)
        if not others:
            says = f"The checkpoint has no signature by the log {log}: ask the log's operator for a new receipt."
            return checkpoint, Claim("checkpoint", "unverified", "signature-not-found", says, "key")
        says = (
            f"The checkpoint is signed by another key of the log {log} ({others}) than the given one "
            f"({key.key_id.hex()}): was the key rotated? Ask the log's operator for the key with that id."
        )
        return checkpoint, Claim("checkpoint", "unverified", "signature-by-another-key", says, "key")
    if not holds:
        says = "The signature of the checkpoint does not hold under the given key."
        return checkpoint, Claim("checkpoint", "refuted", "signature-broken", says, "key")
    says = f"The checkpoint was signed with the given key of the log {log}."
    return checkpoint, Claim("checkpoint", "verified", "signature-holds", says, "key")


def _position(receipt: Receipt, checkpoint: Optional[Checkpoint], signed: Claim) -> Claim:
    entry = receipt.entry

    def refute(code: str, says: str) -> Claim:
        return Claim("position", "refuted", code, says, "bytes")

    if checkpoint is None:
        return refute("checkpoint-unreadable", signed.says)
    if checkpoint.origin != entry.log or checkpoint.size != receipt.tree_size:
        return refute("checkpoint-differs", "The checkpoint in the receipt is of another log or size than its proof.")
    leaf = hash_leaf(encode_entry(entry.received_at_ms, entry.previous, commitment(entry.digest, entry.nonce)))
    if root_from_path(leaf, entry.index, receipt.tree_size, receipt.path) != checkpoint.root:
        return refute(
            "position-broken",
            "The proof in the receipt does not lead from the entry to the checkpoint: "
            f"it does not stand at index {entry.index}.",
        )
    # The hash of the entry before is at hand for the first entry, and where that entry is the left sibling.
    before = log_id(entry.log) if entry.index == 0 else receipt.path[0] if entry.index % 2 == 1 else entry.previous
    if before != entry.previous:
        return refute("previous-differs", "The entry does not name the hash of the entry before it in the log.")
    stands = f"The entry stands at index {entry.index} of the log {entry.log}, in its tree of {checkpoint.size} {'entry' if checkpoint.size == 1 else 'entries'}"
    if signed.status == "verified":
        return Claim("position", "verified", "position-by-key", f"{stands}, signed with the given key.", "key")
    says = f"{stands}; that this tree is the log's own rests on the receipt alone, no key confirms it."
    return Claim("position", "verified", "position-by-bytes", says, "bytes")


def _round(receipt: Receipt, checkpoint: Optional[Checkpoint]) -> Claim:
    closed = receipt.round
    assert closed is not None
    leaf = b"" if checkpoint is None else checkpoint_leaf(log_id(checkpoint.origin), checkpoint.size, checkpoint.root)
    if checkpoint is None or root_from_path(hash_leaf(leaf), closed.index, closed.size, closed.path) != closed.root:
        says = f"The proof in the receipt does not lead from the checkpoint to the root of round {closed.number}."
        return Claim("round", "refuted", "round-broken", says, "bytes")
    beacons = [(beacon.chain, beacon.height, beacon.hash) for beacon in closed.beacons]
    link = hash_leaf(link_leaf(closed.number, closed.closed_at_ms, closed.previous_root, beacons))
    if root_from_path(link, 0, closed.size, closed.link_path) != closed.root:
        says = "Number, time of close, predecessor or beacons of the round are not those that its root was made from."
        return Claim("round", "refuted", "link-broken", says, "bytes")
    says = (
        f"The checkpoint went into the root of round {closed.number}, "
        f"which by the operator's clock closed at {closed.closed_at}."
    )
    return Claim("round", "verified", "round-holds", says, "bytes")


def _received_at(receipt: Receipt, closed_at: Optional[int], moments: Sequence[Moment], now: Optional[float]) -> Claim:
    """The time of receipt is the operator's word: it can be refuted, never verified."""
    at, ms = receipt.entry.received_at, receipt.entry.received_at_ms

    def say(status: str, code: str, says: str, grounds: str = "none") -> Claim:
        return Claim("received-at", status, code, says, grounds, time=at)

    if closed_at is not None and ms > closed_at:
        return say(
            "refuted", "received-after-close", f"The round of the entry closed before it was received at {at}.", "bytes"
        )
    limit = format_time(max(0, ms - _CLOCK_TOLERANCE_MS - _SLOT_MS))
    earlier = next((moment for moment in moments if moment.time < limit), None)
    if earlier is not None:
        says = f"The entry was anchored at {earlier.time}, before it was received at {at}."
        return say("refuted", "received-after-anchor", says, "rpc")
    if now is not None and ms > now * 1000 + _CLOCK_TOLERANCE_MS:
        says = f"By the clock of this machine {at} lies in the future: check this clock; if it is right, the service's was ahead."
        return say("unverified", "received-ahead-of-clock", says)
    return say("unverified", "operators-word", f"That the entry was received at {at} is only the operator's word.")


def _sort(nodes: Sequence[Node]) -> tuple[dict[str, list[Node]], list[str]]:
    by_chain: dict[str, list[Node]] = {}
    failures = []
    for node in nodes:
        try:
            by_chain.setdefault(node.chain_id(), []).append(node)
        except NodeError as error:
            failures.append(str(error))
    return by_chain, failures


def _not_before(
    receipt: Receipt, by_chain: Mapping[str, Sequence[Node]], failures: Sequence[str]
) -> tuple[list[Claim], Optional[Moment], set[int]]:
    closed = receipt.round
    assert closed is not None
    if not closed.beacons:
        says = "The round names no block of a chain, so there is no earliest time for it."
        return [Claim("not-before", "unverified", "no-beacon", says)], None, set()
    claims = []
    latest: Optional[Moment] = None
    same_instance: set[int] = set()
    for beacon in closed.beacons:
        claim, moment = _unasked("not-before", beacon.chain, failures), None
        for node in by_chain.get(beacon.chain, ()):
            claim, moment = _beacon(beacon, node)
            if moment is not None and beacon.height > 0:
                same_instance.add(id(node))
            if claim.status != "unverified" or claim.code in _OTHERWISE:
                break
        claims.append(claim)
        if moment is not None and (latest is None or moment.time > latest.time):
            latest = moment
    return claims, latest, same_instance


def _beacon(beacon: Beacon, node: Node) -> tuple[Claim, Optional[Moment]]:
    chain = beacon.chain
    named = f"block {beacon.height} of {chain}"

    def say(status: str, code: str, says: str, grounds: str = "rpc", time: Optional[str] = None) -> Claim:
        return Claim("not-before", status, code, says, grounds, chain, time)

    try:
        final = node.finalized() >= beacon.height
        block = node.block(beacon.height) if final else None
    except NodeError as error:
        return say("unverified", "source-failed", f"{error}.", "none"), None
    told = block is not None and block.hash == f"0x{beacon.hash.hex()}"
    if not told and chain in _DEVELOPMENT_CHAINS:
        says = f"{_first(node)} has a different {named}, or none: the chain may have been started again."
        return say("unverified", "other-chain-instance", says), None
    if not final:
        return say("unverified", "beacon-not-final", f"By {node} {named} is not final yet."), None
    if block is None:
        return say("unverified", "source-failed", f"{_first(node)} no longer has {named}.", "none"), None
    if not told:
        says = (
            f"By {node} the {named} that the round names is not on that chain: it was reorganized away, or the node "
            "follows another chain. So it gives the round no earliest time."
        )
        return say("unverified", "beacon-not-on-chain", says), None
    time = format_time(block.time)
    says = f"The round was formed after {named} of {time}, whose hash it names."
    return say("verified", "beacon-confirmed", says, time=time), Moment(time, chain, block.number, block.hash)


def _anchor(
    anchor: Anchor,
    root: str,
    by_chain: Mapping[str, Sequence[Node]],
    failures: Sequence[str],
    same_instance: set[int],
) -> tuple[Claim, Optional[Moment]]:
    if not isinstance(anchor, EvmAnchor):
        if anchor.type == "opentimestamps":
            says = "This verifier does not check OpenTimestamps anchors: `antequem verify` and any OpenTimestamps client do."
            return Claim("anchor", "unverified", "bitcoin-source-missing", says), None
        says = f"The receipt has an anchor of the type {anchor.type[:64]!r}, which this verifier does not know."
        return Claim("anchor", "unverified", "anchor-unknown", says), None
    findings = [_ask(anchor, root, node, id(node) in same_instance) for node in by_chain.get(anchor.chain, ())]
    for finding in findings:
        if finding[0].status == "refuted" or finding[0].code in _OTHERWISE:
            return finding
    for status in ("verified", "unverified"):
        for finding in findings:
            if finding[0].status == status:
                return finding
    return _unasked("anchor", anchor.chain, failures), None


def _ask(anchor: EvmAnchor, root: str, node: Node, same_instance: bool) -> tuple[Claim, Optional[Moment]]:
    """Whether the root is in a final block by this anchor's transaction: from the node's answers alone."""
    chain = anchor.chain

    def say(status: str, code: str, says: str, time: Optional[str] = None) -> Claim:
        return Claim("anchor", status, code, says, "none" if code == "source-failed" else "rpc", chain, time)

    try:
        transaction = node.transaction(anchor.transaction)
        if transaction is None:
            return _missing(anchor, node, same_instance, say), None
        block = node.block(transaction.block_number)
        if block is None or block.hash != transaction.block_hash:
            says = f"{_first(node)} contradicts itself about block {transaction.block_number} of {chain}."
            return say("unverified", "source-failed", says), None
        named = f"block {block.number} of {chain}"
        time = format_time(block.time)
        if anchor.block is not None and anchor.block[1] == block.hash and anchor.block != (block.number, block.hash, time):
            says = f"By {node} the block that the receipt names is {named} of {time}: the receipt gives it another number or time."
            return say("refuted", "anchor-block-differs", says), None
        if anchor.block is not None and anchor.block[1] != block.hash:
            says = (
                f"By {node} the transaction is in {named} of {time}, not in the block that the receipt names: "
                "was the chain reorganized? Fetch the receipt again (`antequem upgrade`)."
            )
            return say("unverified", "anchor-moved", says), None
        if not transaction.succeeded:
            return say("refuted", "anchor-transaction-failed", f"By {node} the transaction failed in {named}."), None
        if not any(_is_anchored(log.address, log.topics, log.data, anchor.contract, root) for log in transaction.logs):
            says = f"By {node} the contract {anchor.contract} did not anchor the round's root in that transaction of {named}."
            return say("refuted", "anchor-event-missing", says), None
        if node.finalized() < block.number:
            says = f"The round's root is in {named}, which is not final yet by {node}."
            return say("unverified", "anchor-not-final", says), None
    except NodeError as error:
        return say("unverified", "source-failed", f"{error}, so the anchor on {chain} is not confirmed."), None
    says = f"By {node} the round's root is in {named}, which is final: the digest was known before its time, {time}."
    return say("verified", "anchor-final", says, time), Moment(time, chain, block.number, block.hash)


def _missing(anchor: EvmAnchor, node: Node, same_instance: bool, say: Any) -> Claim:
    chain = anchor.chain
    if anchor.block is None:
        says = f"{_first(node)} knows no block of {chain} with the transaction that was sent."
        claim: Claim = say("unverified", "anchor-not-included", says)
        return claim
    number, block_hash, _ = anchor.block
    named = f"block {number} of {chain}"
    block: Optional[EvmBlock] = node.block(number)
    if block is not None and block.hash == block_hash:
        if anchor.transaction in block.transactions:
            says = f"{_first(node)} has {named} with the transaction, but no longer what it did."
            claim = say("unverified", "source-without-index", says)
        else:
            claim = say("refuted", "anchor-transaction-missing", f"By {node} the transaction is not in {named}.")
        return claim
    if chain in _DEVELOPMENT_CHAINS and not same_instance:
        says = f"{_first(node)} has a different {named}, or none: the chain may have been started again."
        claim = say("unverified", "other-chain-instance", says)
    elif block is None:
        claim = say("unverified", "source-behind", f"{_first(node)} has not reached {named} yet.")
    else:
        says = (
            f"By {node} {named} is another one: the chain was reorganized, or the node serves another one. "
            "Fetch the receipt again (`antequem upgrade`)."
        )
        claim = say("unverified", "anchor-moved", says)
    return claim


def _is_anchored(address: str, topics: Sequence[str], data: str, contract: str, root: str) -> bool:
    return (
        address == contract
        and len(topics) == 3
        and topics[0] == _ANCHORED_TOPIC
        and topics[2] == f"0x{root}"
        and data == "0x"
    )


def _unasked(claim: str, chain: str, failures: Sequence[str]) -> Claim:
    if not chain.startswith("eip155:"):
        says = f"This verifier asks no source for {chain}, so its block is not confirmed."
        return Claim(claim, "unverified", "bitcoin-source-missing", says, chain=chain)
    if failures:
        says = f"{failures[0]}, so {chain} was not asked."
        return Claim(claim, "unverified", "source-failed", says, chain=chain)
    return Claim(
        claim, "unverified", "no-source", f"No node of {chain} was given, so nothing there is confirmed.", chain=chain
    )


def _not_shown(anchor: Anchor) -> Claim:
    says = "The anchor was not looked into: the receipt does not lead from the entry to the root that it is of."
    return Claim("anchor", "unverified", "round-not-shown", says, chain=getattr(anchor, "chain", None))


def _first(node: Node) -> str:
    return f"The{str(node)[3:]}"
