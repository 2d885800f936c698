-- Last uses with their MACs, which are made of those of before right after this.

CREATE TABLE last_use (
  shard INTEGER NOT NULL,
  subject BLOB NOT NULL,
  at INTEGER NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (shard, subject)
) STRICT, WITHOUT ROWID;
