-- Last uses with their MACs. The table of before stays, for a replica of an earlier version that is still running: nobody reads it any more, and
-- what such a replica notes is lost, as a crash would have lost it.

CREATE TABLE last_use (
  shard SMALLINT NOT NULL,
  subject BYTEA NOT NULL,
  at BIGINT NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (shard, subject)
);
