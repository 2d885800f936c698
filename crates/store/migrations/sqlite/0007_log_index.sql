-- The index of the log, derived from it: segments of pages (docs/adr/0024-log-index.md). Pages are staged under the number of a build, whose segment
-- counts once it is live. The list's version is changed with the list, so that it changes only by whoever saw the newest one.

CREATE TABLE log_index (
  shard INTEGER NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
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

CREATE TABLE log_index_page (
  shard INTEGER NOT NULL,
  build INTEGER NOT NULL,
  page INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (shard, build, page)
) STRICT;

INSERT INTO log_index (shard, version) VALUES (0, 0);
