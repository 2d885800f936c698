-- Notes of use, with their MACs: by what they are about (core/src/store/use_note.rs), then by identity, so that what is written on one day stands
-- together, and what is folded or dropped by its age is found without an index.

CREATE TABLE use_note (
  shard INTEGER NOT NULL,
  part INTEGER NOT NULL,
  identity BLOB NOT NULL,
  body BLOB NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (shard, part, identity)
) STRICT, WITHOUT ROWID;
