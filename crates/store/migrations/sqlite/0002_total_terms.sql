-- What v0.1 left out of the terms: teams beyond the fourth, resources beyond the fourth that an identity enforces, and the mark of removals that
-- concern more identities than they are listed by, and holds. Kinds: 1 a person, 7 an identity, 12 a hold, 43 a removal.

CREATE TEMPORARY TABLE missing (kind INTEGER NOT NULL, id BLOB NOT NULL, term TEXT NOT NULL, PRIMARY KEY (kind, id, term)) WITHOUT ROWID;

INSERT OR IGNORE INTO missing (kind, id, term)
SELECT r.kind, r.id, 'team=' || team.value
FROM record r, json_each(CAST(r.body AS TEXT), '$.teams') team
WHERE r.shard = 0 AND r.kind = 1;

INSERT OR IGNORE INTO missing (kind, id, term)
SELECT r.kind, r.id, 'enforces=' || json_extract(entitlement.value, '$.resource')
FROM record r, json_each(CAST(r.body AS TEXT), '$.charter.scope') entitlement, json_each(entitlement.value, '$.actions') action
WHERE r.shard = 0 AND r.kind = 7 AND action.value IN ('enforce', '*');

INSERT OR IGNORE INTO missing (kind, id, term)
SELECT r.kind, r.id, 'identities=more'
FROM record r
WHERE r.shard = 0 AND r.kind = 43 AND json_extract(CAST(r.body AS TEXT), '$.blast.count') > 8;

INSERT OR IGNORE INTO missing (kind, id, term)
SELECT r.kind, r.id, term.value
FROM record r, json_each(json_array(
  'state=' || iif(json_extract(CAST(r.body AS TEXT), '$.placed_by') IS NULL, 'released', 'held'),
  'kind=' || json_extract(CAST(r.body AS TEXT), '$.scope.type'),
  'placed_by=' || json_extract(CAST(r.body AS TEXT), '$.placed_by')
)) term
WHERE r.shard = 0 AND r.kind = 12 AND term.value IS NOT NULL;

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
