-- The index of records by words and orders (docs/adr/0025-search.md): segments whose pages stand with those of the log's index, where each record's
-- document stands, and which records changed since.

CREATE TABLE search (
  kind INTEGER NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  next INTEGER NOT NULL
) STRICT;

CREATE TABLE search_segment (
  build INTEGER NOT NULL PRIMARY KEY,
  kind INTEGER NOT NULL,
  start INTEGER NOT NULL,
  stop INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  dead_bits BLOB NOT NULL,
  header BLOB NOT NULL
) STRICT;

CREATE TABLE search_place (
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- A row for each revision: what commits only ever adds.
CREATE TABLE search_changed (
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (kind, id, revision)
) STRICT, WITHOUT ROWID;

INSERT INTO search (kind, version, next) VALUES (1, 0, 0), (3, 0, 0), (4, 0, 0), (5, 0, 0), (6, 0, 0), (7, 0, 0), (19, 0, 0), (20, 0, 0), (21, 0, 0), (22, 0, 0), (23, 0, 0);

INSERT INTO search_changed (kind, id, revision)
SELECT r.kind, r.id, r.revision FROM record r JOIN search s ON s.kind = r.kind WHERE r.shard = 0;
