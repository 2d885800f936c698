-- Notes of use, with their MACs: by what they are about (core/src/store/use_note.rs), then by identity, so that what is written on one day stands
-- together, and what is folded or dropped by its age is found without an index of its own.

CREATE TABLE use_note (
  shard SMALLINT NOT NULL,
  part INTEGER NOT NULL,
  identity BYTEA NOT NULL,
  body BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (shard, part, identity)
);
