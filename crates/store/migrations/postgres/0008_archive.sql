-- Entries that are read seldom, compressed a full tile at a time: 256 of them from 256 times the bundle's number on.

CREATE TABLE archive (
  bundle BIGINT NOT NULL PRIMARY KEY,
  bytes BYTEA NOT NULL
);

-- They are compressed already.
ALTER TABLE archive ALTER COLUMN bytes SET STORAGE EXTERNAL;
