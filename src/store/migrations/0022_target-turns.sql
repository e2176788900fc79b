-- Which process works on a target: a claim that ends by itself, so that no connection is held while a node is asked.

CREATE TABLE target_turns (
  target text PRIMARY KEY REFERENCES targets,
  -- Counts up: what a process recorded under an older one is void.
  turn   bigint NOT NULL,
  -- By the clock of the database.
  until  timestamptz NOT NULL
);
