-- What a service has more of with every round is found by an index, whatever became of it.

-- All transactions of a round, abandoned ones too: they may have cost something.
DROP INDEX evm_transactions_attempts;
CREATE INDEX evm_transactions_by_round ON evm_transactions (target, round);
-- All attempts at a nonce: what one day cost, and what may still be taken from the account.
CREATE INDEX evm_transactions_by_nonce ON evm_transactions (chain, sender, nonce);
