CREATE TABLE archive (
  bundle INTEGER NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE due (
  shard INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  subject BLOB NOT NULL,
  due_at INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  lease_until INTEGER,
  PRIMARY KEY (shard, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
  -- The shard in the bits from 48 on, and the entry's number.
  place INTEGER NOT NULL PRIMARY KEY,
  -- The last 8 bytes of the commit's id, beside its first entry.
  commit_key INTEGER,
  leaf BLOB NOT NULL
) STRICT;

CREATE TABLE head (
  shard INTEGER NOT NULL PRIMARY KEY,
  size INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  -- The last fencing token given out; it only grows.
  fences INTEGER NOT NULL
) STRICT;

CREATE TABLE last_use (
  shard INTEGER NOT NULL,
  subject BLOB NOT NULL,
  at INTEGER NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (shard, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_index (
  shard INTEGER NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE log_index_page (
  shard INTEGER NOT NULL,
  build INTEGER NOT NULL,
  page INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (shard, build, page)
) STRICT;

CREATE TABLE log_index_segment (
  shard INTEGER NOT NULL,
  build INTEGER NOT NULL,
  live INTEGER NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  header BLOB NOT NULL,
  PRIMARY KEY (shard, build)
) STRICT;

CREATE TABLE migration (number INTEGER NOT NULL PRIMARY KEY, checksum BLOB NOT NULL) STRICT;

CREATE TABLE once (
  shard INTEGER NOT NULL,
  key BLOB NOT NULL,
  until INTEGER,
  PRIMARY KEY (shard, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE personal (
  shard INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  field BLOB NOT NULL,
  subject BLOB NOT NULL,
  salt BLOB NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (shard, idx, field)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE sealed (
  shard INTEGER NOT NULL PRIMARY KEY,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  checkpoint BLOB NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE TABLE search (
  kind INTEGER NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  next INTEGER NOT NULL
) STRICT;

CREATE TABLE search_changed (
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (kind, id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_place (
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_segment (
  build INTEGER NOT NULL PRIMARY KEY,
  kind INTEGER NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  dead_bits BLOB NOT NULL,
  header BLOB NOT NULL
) STRICT;

CREATE TABLE spend (
  shard INTEGER NOT NULL,
  budget BLOB NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  PRIMARY KEY (shard, budget, since)
) STRICT, WITHOUT ROWID;

CREATE TABLE term (
  shard INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  term BLOB NOT NULL,
  id BLOB NOT NULL,
  PRIMARY KEY (shard, kind, term, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tile (
  shard INTEGER NOT NULL,
  level INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (shard, level, idx)
) STRICT;

CREATE TABLE use_note (
  shard INTEGER NOT NULL,
  part INTEGER NOT NULL,
  identity BLOB NOT NULL,
  body BLOB NOT NULL,
  mac BLOB NOT NULL,
  PRIMARY KEY (shard, part, identity)
) STRICT, WITHOUT ROWID;

CREATE INDEX due_next ON due (shard, kind, due_at, subject);

CREATE INDEX entry_commit ON entry (commit_key) WHERE commit_key IS NOT NULL;

CREATE INDEX once_forgotten ON once (until) WHERE until IS NOT NULL;

CREATE INDEX personal_subject ON personal (shard, subject);

CREATE INDEX record_droppable ON record (drop_after) WHERE drop_after IS NOT NULL;

CREATE INDEX spend_until ON spend (shard, until);
