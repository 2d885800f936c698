-- Terms by which it is found who answers for what: cloud accounts by their owner, identities and applications by the team that answers for removals.
-- Kinds: 3 an application, 7 an identity, 21 a cloud account.

CREATE TEMPORARY TABLE missing (kind INTEGER NOT NULL, id BLOB NOT NULL, term TEXT NOT NULL, PRIMARY KEY (kind, id, term)) WITHOUT ROWID;

INSERT INTO missing (kind, id, term)
SELECT r.kind, r.id, 'owner=' || json_extract(CAST(r.body AS TEXT), '$.owner')
FROM record r
WHERE r.shard = 0 AND r.kind = 21;

INSERT INTO missing (kind, id, term)
SELECT r.kind, r.id, 'removal_group=' || json_extract(CAST(r.body AS TEXT), iif(r.kind = 7, '$.charter.removal_group', '$.removal_group'))
FROM record r
WHERE r.shard = 0 AND r.kind IN (3, 7)
  AND json_extract(CAST(r.body AS TEXT), iif(r.kind = 7, '$.charter.removal_group', '$.removal_group')) IS NOT NULL;

DELETE FROM missing WHERE EXISTS (
  SELECT 1 FROM term t WHERE t.shard = 0 AND t.kind = missing.kind AND t.term = CAST(missing.term AS BLOB) AND t.id = missing.id
);

INSERT INTO term (shard, kind, term, id) SELECT 0, kind, CAST(term AS BLOB), id FROM missing;

UPDATE record SET terms = (
  SELECT CAST(json_group_array(term) AS BLOB) FROM (
    SELECT held.value AS term FROM json_each(CAST(record.terms AS TEXT)) held
    UNION SELECT missing.term FROM missing WHERE missing.kind = record.kind AND missing.id = record.id
  )
)
WHERE shard = 0 AND (kind, id) IN (SELECT kind, id FROM missing);

DROP TABLE missing;
