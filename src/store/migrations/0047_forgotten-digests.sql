-- Digests of entries that were erased many at a time, as far as their hints are not taken out of the index yet: at the end of
-- a run of retention, all together, since each row of the index has hints of many ages.
CREATE TABLE forgotten_digests (
  id     bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log    integer NOT NULL,
  first  bigint  NOT NULL,
  behind bigint  NOT NULL,
  -- How many hints there are.
  count  integer NOT NULL,
  -- The runs that have them.
  oldest bigint  NOT NULL,
  newest bigint  NOT NULL
);
