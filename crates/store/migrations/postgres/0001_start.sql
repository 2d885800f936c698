-- Keys begin with the shard. Ids, terms and keys are bytes; times are microseconds since 1970.

CREATE TABLE head (
  shard SMALLINT NOT NULL PRIMARY KEY,
  size BIGINT NOT NULL,
  last_at BIGINT NOT NULL
);

INSERT INTO head (shard, size, last_at) VALUES (0, 0, 0);

-- Fencing tokens: they only grow, and an aborted transaction gives none back.
CREATE SEQUENCE fence;

CREATE TABLE entry (
  shard SMALLINT NOT NULL,
  idx BIGINT NOT NULL,
  id BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  leaf BYTEA NOT NULL,
  PRIMARY KEY (shard, idx)
);

CREATE UNIQUE INDEX entry_id ON entry (shard, id);

-- Beside the log, so that it can be erased.
CREATE TABLE personal (
  shard SMALLINT NOT NULL,
  idx BIGINT NOT NULL,
  field BYTEA NOT NULL,
  subject BYTEA NOT NULL,
  salt BYTEA NOT NULL,
  value BYTEA NOT NULL,
  PRIMARY KEY (shard, idx, field)
);

CREATE INDEX personal_subject ON personal (shard, subject);

CREATE TABLE record (
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  id BYTEA NOT NULL,
  revision BIGINT NOT NULL,
  created BIGINT NOT NULL,
  position BIGINT NOT NULL,
  mac BYTEA NOT NULL,
  drop_after BIGINT,
  terms BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (shard, kind, id)
);

CREATE INDEX record_drop_after ON record (shard, drop_after) WHERE drop_after IS NOT NULL;

CREATE TABLE term (
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  term BYTEA NOT NULL,
  id BYTEA NOT NULL,
  PRIMARY KEY (shard, kind, term, id)
);

CREATE TABLE once (
  shard SMALLINT NOT NULL,
  space BYTEA NOT NULL,
  key BYTEA NOT NULL,
  until BIGINT,
  PRIMARY KEY (shard, space, key)
);

CREATE INDEX once_until ON once (shard, until) WHERE until IS NOT NULL;

CREATE TABLE spend (
  shard SMALLINT NOT NULL,
  budget BYTEA NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL,
  spent BIGINT NOT NULL,
  PRIMARY KEY (shard, budget, since)
);

CREATE INDEX spend_until ON spend (shard, until);

CREATE TABLE due (
  shard SMALLINT NOT NULL,
  kind SMALLINT NOT NULL,
  subject BYTEA NOT NULL,
  due_at BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT,
  PRIMARY KEY (shard, kind, subject)
);

CREATE INDEX due_at ON due (shard, kind, due_at, subject);

CREATE TABLE sealed (
  shard SMALLINT NOT NULL PRIMARY KEY,
  size BIGINT NOT NULL,
  frontier BYTEA NOT NULL,
  checkpoint BYTEA NOT NULL,
  at BIGINT NOT NULL
);

CREATE TABLE tile (
  shard SMALLINT NOT NULL,
  level SMALLINT NOT NULL,
  idx BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (shard, level, idx)
);

CREATE TABLE last_used (
  shard SMALLINT NOT NULL,
  subject BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (shard, subject)
);
