-- Proofs are compressed, with the signed transaction, which they repeat, as a dictionary (evm/packed-proof.ts). Those of older
-- releases stay as they are.

ALTER TABLE evm_evidence ADD COLUMN packed bytea;
ALTER TABLE evm_evidence ALTER COLUMN packed SET STORAGE EXTERNAL;
DO $$
DECLARE former text;
BEGIN
  FOR former IN SELECT conname FROM pg_constraint WHERE conrelid = 'evm_evidence'::regclass AND contype = 'c'
                  AND conkey && ARRAY(SELECT attnum FROM pg_attribute
                                      WHERE attrelid = 'evm_evidence'::regclass AND attname IN ('header', 'transaction_proof')) LOOP
    EXECUTE format('ALTER TABLE evm_evidence DROP CONSTRAINT %I', former);
  END LOOP;
END $$;
-- The rows that are there obey stricter ones: to read them all would take long.
ALTER TABLE evm_evidence
  ADD CHECK (num_nonnulls(index, log_index) IN (0, 2)) NOT VALID,
  ADD CHECK (CASE WHEN index IS NULL THEN num_nonnulls(packed, header, transaction_nodes, transaction_proof, receipt_proof) = 0
                  WHEN packed IS NULL THEN num_nonnulls(transaction_proof, receipt_proof) = 2 AND num_nonnulls(header, transaction_nodes) = 1
                  ELSE num_nonnulls(header, transaction_proof, receipt_proof) = 0 END) NOT VALID;

-- What was sent stays as it was signed, and has to: proofs cannot be read without it. (guard_evm_transaction)

-- Bytes that nothing searches need no statistics. Those of hashes and contents were most of what the catalogs grew by. Tables of
-- others in the same schema stay as they are.
DO $$
DECLARE bytes record;
BEGIN
  FOR bytes IN
    SELECT c.oid::regclass AS name, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
      AND a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype)
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)) LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', bytes.name, bytes.attname);
  END LOOP;
END $$;
