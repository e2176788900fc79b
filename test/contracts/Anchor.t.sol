// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Anchor} from "../../contracts/Anchor.sol";

interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function warp(uint256 timestamp) external;
    function roll(uint256 blockNumber) external;
    function prank(address sender) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function record() external;
    function accesses(address target) external returns (bytes32[] memory reads, bytes32[] memory writes);
}

contract AnchorTest {
    Vm private constant VM = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    uint256 private constant MAX_STEPS = 128;

    Anchor private target;

    function setUp() public {
        target = new Anchor();
        VM.warp(1_800_000_000);
        VM.roll(1_000);
    }

    function testFuzz_anchorStoresTheFirstMomentOnly(bytes32 root, uint64 time, uint64 number, uint32 later) public {
        if (time == 0) time = 1;
        VM.warp(time);
        VM.roll(number);
        target.anchor(root);
        VM.warp(uint256(time) + later);
        VM.roll(uint256(number) + later);
        target.anchor(root);
        requireMoment(root, time, number);
    }

    function testFuzz_anchorEmitsEveryTime(address sender, bytes32 root) public {
        VM.recordLogs();
        VM.prank(sender);
        target.anchor(root);
        VM.prank(sender);
        target.anchor(root);
        requireLogs(2, sender, root);
    }

    function testFuzz_announceEmitsAndStoresNothing(address sender, bytes32 root) public {
        VM.recordLogs();
        VM.record();
        VM.prank(sender);
        target.announce(root);
        requireLogs(1, sender, root);
        (bytes32[] memory reads, bytes32[] memory writes) = VM.accesses(address(target));
        require(reads.length == 0 && writes.length == 0, "announce touched storage");
        requireMoment(root, 0, 0);
        requireNotAnchored(root, "", root);
    }

    function testFuzz_anchorWritesOneSlot(bytes32 root) public {
        VM.record();
        target.anchor(root);
        (, bytes32[] memory writes) = VM.accesses(address(target));
        require(writes.length == 1, "time and number did not share one write");
    }

    function testFuzz_anchorsDoNotMix(bytes32 root, bytes32 other) public {
        if (root == other) return;
        target.anchor(root);
        requireMoment(other, 0, 0);
        requireNotAnchored(other, "", other);
    }

    function testFuzz_theEmptyPathNamesTheRoot(bytes32 root) public {
        target.anchor(root);
        requireExisted(root, "");
    }

    function testFuzz_pathLeadsToItsRoot(bytes32 digest, bytes[] memory fields) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        requireNotAnchored(digest, path, root);
        target.anchor(root);
        requireExisted(digest, path);
    }

    function testFuzz_flippedBitOfThePathReverts(bytes32 digest, bytes[] memory fields, uint256 bit) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        if (path.length == 0) return;
        target.anchor(root);
        bit = bit % (path.length * 8);
        path[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        requireReverts(digest, path);
    }

    function testFuzz_flippedBitOfTheDigestReverts(bytes32 digest, bytes[] memory fields, uint8 bit) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        target.anchor(root);
        requireReverts(digest ^ bytes32(uint256(1) << bit), path);
    }

    function testFuzz_byteTooManyIsCut(bytes32 digest, bytes[] memory fields, bytes1 surplus) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        target.anchor(root);
        // A zero is a whole empty prefix: it is the suffix after it that is missing.
        requireCut(digest, bytes.concat(path, surplus), surplus == 0 ? path.length + 1 : path.length);
    }

    function testFuzz_byteTooFewIsCut(bytes32 digest, bytes[] memory fields) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        if (path.length == 0) return;
        target.anchor(root);
        uint256 suffixAt = path.length - 1 - field(fields, 2 * (stepCount(fields) - 1) + 1).length;
        bytes memory short = new bytes(path.length - 1);
        for (uint256 i = 0; i < short.length; i++) short[i] = path[i];
        requireCut(digest, short, suffixAt);
    }

    function testFuzz_anyCutBeforeTheEndReverts(bytes32 digest, bytes[] memory fields, uint256 length) public {
        (bytes memory path, bytes32 root) = walk(digest, fields);
        if (path.length == 0) return;
        target.anchor(root);
        bytes memory short = new bytes(length % path.length);
        for (uint256 i = 0; i < short.length; i++) short[i] = path[i];
        requireReverts(digest, short);
    }

    function test_longestFieldsAndPath() public {
        bytes[] memory fields = new bytes[](2 * MAX_STEPS);
        for (uint256 i = 0; i < fields.length; i++) {
            fields[i] = new bytes(255);
            fields[i][254] = bytes1(uint8(i));
        }
        (bytes memory path, bytes32 root) = walk(bytes32(uint256(1)), fields);
        require(path.length == 2 * MAX_STEPS * 256, "not the longest path");
        target.anchor(root);
        requireExisted(bytes32(uint256(1)), path);
    }

    /// Fields alternate between prefix and suffix; an odd one out is left.
    function walk(bytes32 digest, bytes[] memory fields) private pure returns (bytes memory path, bytes32 x) {
        x = digest;
        for (uint256 i = 0; i < stepCount(fields); i++) {
            bytes memory prefix = field(fields, 2 * i);
            bytes memory suffix = field(fields, 2 * i + 1);
            path = abi.encodePacked(path, uint8(prefix.length), prefix, uint8(suffix.length), suffix);
            x = sha256(abi.encodePacked(prefix, x, suffix));
        }
    }

    function stepCount(bytes[] memory fields) private pure returns (uint256) {
        uint256 steps = fields.length / 2;
        return steps < MAX_STEPS ? steps : MAX_STEPS;
    }

    /// What the fuzzer gave, cut to what a length byte can say.
    function field(bytes[] memory fields, uint256 index) private pure returns (bytes memory cut) {
        bytes memory whole = fields[index];
        if (whole.length <= 255) return whole;
        cut = new bytes(255);
        for (uint256 i = 0; i < 255; i++) cut[i] = whole[i];
    }

    function requireMoment(bytes32 root, uint256 expectedTime, uint256 expectedNumber) private view {
        (uint64 time, uint64 number) = target.anchoredAt(root);
        require(time == expectedTime && number == expectedNumber, "not the expected time and number");
    }

    function requireExisted(bytes32 digest, bytes memory path) private view {
        (uint64 time, uint64 number) = target.existedBefore(digest, path);
        require(time == block.timestamp && number == block.number, "not the time and number of the anchor");
    }

    function requireNotAnchored(bytes32 digest, bytes memory path, bytes32 root) private view {
        requireRevert(digest, path, abi.encodeWithSelector(Anchor.RootNotAnchored.selector, root));
    }

    function requireCut(bytes32 digest, bytes memory path, uint256 offset) private view {
        requireRevert(digest, path, abi.encodeWithSelector(Anchor.PathCut.selector, offset));
    }

    function requireRevert(bytes32 digest, bytes memory path, bytes memory expected) private view {
        (bool ok, bytes memory reason) =
            address(target).staticcall(abi.encodeCall(Anchor.existedBefore, (digest, path)));
        require(!ok, "did not revert");
        require(keccak256(reason) == keccak256(expected), "not the expected error");
    }

    function requireReverts(bytes32 digest, bytes memory path) private view {
        (bool ok, bytes memory reason) =
            address(target).staticcall(abi.encodeCall(Anchor.existedBefore, (digest, path)));
        require(!ok, "did not revert");
        bytes4 selector = bytes4(reason);
        require(
            selector == Anchor.PathCut.selector || selector == Anchor.RootNotAnchored.selector, "not one of our errors"
        );
    }

    function requireLogs(uint256 count, address sender, bytes32 root) private {
        Vm.Log[] memory logs = VM.getRecordedLogs();
        require(logs.length == count, "not the expected number of events");
        for (uint256 i = 0; i < count; i++) {
            require(logs[i].emitter == address(target) && logs[i].data.length == 0, "not the contract's event");
            require(logs[i].topics.length == 3 && logs[i].topics[0] == Anchor.Anchored.selector, "not Anchored");
            require(logs[i].topics[1] == bytes32(uint256(uint160(sender))), "not the sender");
            require(logs[i].topics[2] == root, "not the root");
        }
    }
}
