-- The index of the log, derived from it: segments of pages (docs/adr/0024-log-index.md). Pages are staged under the number of a build, whose segment
-- counts once it is live. The list's version is changed with the list, so that it changes only by whoever saw the newest one.

CREATE TABLE log_index (
  shard SMALLINT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
);

CREATE TABLE log_index_segment (
  shard SMALLINT NOT NULL,
  build BIGINT NOT NULL,
  live BOOLEAN NOT NULL,
  start BIGINT NOT NULL,
  stop BIGINT NOT NULL,
  header BYTEA NOT NULL,
  PRIMARY KEY (shard, build)
);

CREATE TABLE log_index_page (
  shard SMALLINT NOT NULL,
  build BIGINT NOT NULL,
  page INTEGER NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (shard, build, page)
);

INSERT INTO log_index (shard, version) VALUES (0, 0);
