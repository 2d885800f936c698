-- Entries that are read seldom, compressed a full tile at a time: 256 of them from 256 times the bundle's number on.

CREATE TABLE archive (
  bundle INTEGER NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;
