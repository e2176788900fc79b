// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Anchor
/// @notice Gives a 32-byte root the time of the block it was first seen in. Anyone may anchor any root: that a root
/// stands here says when it was known, not whose it is; the sender is in the event.
/// @dev No owner, no upgrade, no fee, no constructor arguments: one address on every chain.
contract Anchor {
    struct Moment {
        uint64 time;
        uint64 blockNumber;
    }

    /// @notice `root` was handed in by `sender` in this block, for the first time or again.
    /// @param sender the direct caller: an account or a contract
    /// @param root the root handed in
    event Anchored(address indexed sender, bytes32 indexed root);

    /// @notice A field of the path runs past its end, or a step lacks its suffix.
    /// @param offset where in the path the field's length byte stands or would stand
    error PathCut(uint256 offset);

    /// @notice The path was walked to its end, but nobody has anchored where it leads.
    /// @param root where the path leads
    error RootNotAnchored(bytes32 root);

    mapping(bytes32 root => Moment) private moments;

    /// @notice Records the time and number of this block for `root`, once: a repeat changes nothing and does not
    /// revert. Emits `Anchored` every time.
    /// @param root the root to anchor
    function anchor(bytes32 root) external {
        Moment storage moment = moments[root];
        if (moment.time == 0) {
            moment.time = uint64(block.timestamp);
            moment.blockNumber = uint64(block.number);
        }
        emit Anchored(msg.sender, root);
    }

    /// @notice Emits `Anchored` and stores nothing: the cheapest form, for proofs from the log alone.
    /// `anchoredAt` and `existedBefore` do not see it.
    /// @param root the root to announce
    function announce(bytes32 root) external {
        emit Anchored(msg.sender, root);
    }

    /// @notice When `root` was first anchored.
    /// @param root the root to look up
    /// @return time seconds since the Unix epoch of that block; zero if never anchored
    /// @return blockNumber number of that block; zero if never anchored
    function anchoredAt(bytes32 root) external view returns (uint64 time, uint64 blockNumber) {
        Moment storage moment = moments[root];
        return (moment.time, moment.blockNumber);
    }

    /// @notice Proves that `digest` existed before the block returned: walks from it along `path` to an anchored root.
    /// Reverts unless the path is consumed exactly and ends in one.
    /// @param digest where the path starts, commonly the SHA-256 of some content
    /// @param path for each step `u8 length, prefix, u8 length, suffix`; a step leads from x to
    /// SHA-256(prefix, x, suffix). Empty: `digest` is the root itself.
    /// @return time seconds since the Unix epoch of the block that first anchored the root
    /// @return blockNumber number of that block
    function existedBefore(bytes32 digest, bytes calldata path)
        external
        view
        returns (uint64 time, uint64 blockNumber)
    {
        bytes32 x = digest;
        uint256 offset = 0;
        while (offset < path.length) {
            uint256 prefixEnd = fieldEnd(path, offset);
            uint256 suffixEnd = fieldEnd(path, prefixEnd);
            x = sha256(bytes.concat(path[offset + 1:prefixEnd], x, path[prefixEnd + 1:suffixEnd]));
            offset = suffixEnd;
        }
        Moment storage moment = moments[x];
        (time, blockNumber) = (moment.time, moment.blockNumber);
        if (time == 0) revert RootNotAnchored(x);
    }

    /// @dev End of the field whose length byte stands at `offset`.
    function fieldEnd(bytes calldata path, uint256 offset) private pure returns (uint256 end) {
        if (offset >= path.length) revert PathCut(offset);
        end = offset + 1 + uint8(path[offset]);
        if (end > path.length) revert PathCut(offset);
    }
}
