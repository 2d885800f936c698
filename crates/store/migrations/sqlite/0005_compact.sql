-- What is kept, in a third of the bytes. What was there is moved by the program, a batch a transaction; 0006 drops what is empty then.
-- Ids are 17 bytes, records are packed, MACs are cut to 16 bytes, terms are 8 bytes of a digest and keys 16, and an entry's hash is that of its leaf.

ALTER TABLE entry RENAME TO old_entry;
ALTER TABLE record RENAME TO old_record;
ALTER TABLE term RENAME TO old_term;
ALTER TABLE once RENAME TO old_once;
ALTER TABLE due RENAME TO old_due;
ALTER TABLE last_use RENAME TO old_last_use;

CREATE TABLE entry (
  -- The shard in the bits from 48 on, and the entry's number.
  place INTEGER NOT NULL PRIMARY KEY,
  -- The last 8 bytes of the commit's id, beside its first entry.
  commit_key INTEGER,
  leaf BLOB NOT NULL
) STRICT;

CREATE INDEX entry_commit ON entry (commit_key) WHERE commit_key IS NOT NULL;

CREATE TABLE record (
  shard INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  created INTEGER NOT NULL,
  position INTEGER NOT NULL,
  mac BLOB NOT NULL,
  drop_after INTEGER,
  terms BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (shard, kind, id)
) STRICT;

CREATE INDEX record_droppable ON record (drop_after) WHERE drop_after IS NOT NULL;

CREATE TABLE term (
  shard INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  term BLOB NOT NULL,
  id BLOB NOT NULL,
  PRIMARY KEY (shard, kind, term, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE once (
  shard INTEGER NOT NULL,
  key BLOB NOT NULL,
  until INTEGER,
  PRIMARY KEY (shard, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX once_forgotten ON once (until) WHERE until IS NOT NULL;

CREATE TABLE due (
  shard INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  subject BLOB NOT NULL,
  due_at INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  lease_until INTEGER,
  PRIMARY KEY (shard, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX due_next ON due (shard, kind, due_at, subject);

CREATE TABLE last_use (
  shard INTEGER NOT NULL,
  subject BLOB NOT NULL,
  at INTEGER NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (shard, subject)
) STRICT, WITHOUT ROWID;
