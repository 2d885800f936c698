-- What is kept, in a third of the bytes. What was there is moved by the program, a batch a transaction; 0006 drops what is empty then.
-- Ids are 17 bytes, records are packed, MACs are cut to 16 bytes, terms are 8 bytes of a digest and keys 16, and an entry's hash is that of its leaf.
-- Columns stand in the order that leaves no gaps between them.

ALTER TABLE entry RENAME TO old_entry;
ALTER TABLE record RENAME TO old_record;
ALTER TABLE term RENAME TO old_term;
ALTER TABLE once RENAME TO old_once;
ALTER TABLE due RENAME TO old_due;
ALTER TABLE last_use RENAME TO old_last_use;

CREATE TABLE entry (
  -- The shard in the bits from 48 on, and the entry's number.
  place BIGINT NOT NULL PRIMARY KEY,
  -- The last 8 bytes of the commit's id, beside its first entry.
  commit_key BIGINT,
  leaf BYTEA NOT NULL
);

CREATE INDEX entry_commit ON entry (commit_key) WHERE commit_key IS NOT NULL;

CREATE TABLE record (
  revision BIGINT NOT NULL,
  created BIGINT NOT NULL,
  position BIGINT NOT NULL,
  drop_after BIGINT,
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  id BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  terms BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (shard, kind, id)
);

CREATE INDEX record_droppable ON record (drop_after) WHERE drop_after IS NOT NULL;

CREATE TABLE term (
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  term BYTEA NOT NULL,
  id BYTEA NOT NULL,
  PRIMARY KEY (shard, kind, term, id)
);

CREATE TABLE once (
  until BIGINT,
  shard SMALLINT NOT NULL,
  key BYTEA NOT NULL,
  PRIMARY KEY (shard, key)
);

CREATE INDEX once_forgotten ON once (until) WHERE until IS NOT NULL;

CREATE TABLE due (
  due_at BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT,
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  subject BYTEA NOT NULL,
  PRIMARY KEY (shard, kind, subject)
);

CREATE INDEX due_next ON due (shard, kind, due_at, subject);

CREATE TABLE last_use (
  at BIGINT NOT NULL,
  shard SMALLINT NOT NULL,
  subject BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (shard, subject)
);
