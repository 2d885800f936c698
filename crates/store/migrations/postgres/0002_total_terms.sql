-- What v0.1 left out of the terms: teams beyond the fourth, resources beyond the fourth that an identity enforces, the mark of removals that
-- concern more identities than they are listed by, and holds. Kinds: 1 a person, 7 an identity, 12 a hold, 43 a removal.

-- A text of JSON may hold the escape of NUL, which no text of PostgreSQL does: it is left out, unless its backslash is escaped itself.
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT kind, id, regexp_replace(convert_from(body, 'UTF8'), '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g')::json AS body
FROM record
WHERE shard = 0 AND kind IN (1, 7, 12, 43);

CREATE TEMPORARY TABLE missing (kind SMALLINT NOT NULL, id BYTEA NOT NULL, term TEXT NOT NULL, PRIMARY KEY (kind, id, term)) ON COMMIT DROP;

INSERT INTO missing (kind, id, term)
SELECT t.kind, t.id, 'team=' || team
FROM told t, json_array_elements_text(t.body -> 'teams') team
WHERE t.kind = 1
ON CONFLICT DO NOTHING;

INSERT INTO missing (kind, id, term)
SELECT t.kind, t.id, 'enforces=' || (entitlement ->> 'resource')
FROM told t, json_array_elements(t.body -> 'charter' -> 'scope') entitlement, json_array_elements_text(entitlement -> 'actions') action
WHERE t.kind = 7 AND action IN ('enforce', '*')
ON CONFLICT DO NOTHING;

INSERT INTO missing (kind, id, term)
SELECT t.kind, t.id, 'identities=more'
FROM told t
WHERE t.kind = 43 AND (t.body -> 'blast' ->> 'count')::bigint > 8
ON CONFLICT DO NOTHING;

INSERT INTO missing (kind, id, term)
SELECT t.kind, t.id, term
FROM told t, unnest(ARRAY[
  'state=' || CASE WHEN t.body ->> 'placed_by' IS NULL THEN 'released' ELSE 'held' END,
  'kind=' || (t.body -> 'scope' ->> 'type'),
  'placed_by=' || (t.body ->> 'placed_by')
]) term
WHERE t.kind = 12 AND term IS NOT NULL
ON CONFLICT DO NOTHING;

DELETE FROM missing WHERE EXISTS (
  SELECT 1 FROM term t WHERE t.shard = 0 AND t.kind = missing.kind AND t.term = convert_to(missing.term, 'UTF8') AND t.id = missing.id
);

INSERT INTO term (shard, kind, term, id) SELECT 0, kind, convert_to(term, 'UTF8'), id FROM missing;

UPDATE record SET terms = convert_to((
  SELECT json_agg(term)::text FROM (
    SELECT held AS term FROM json_array_elements_text(convert_from(record.terms, 'UTF8')::json) held
    UNION SELECT missing.term FROM missing WHERE missing.kind = record.kind AND missing.id = record.id
  ) all_terms
), 'UTF8')
WHERE shard = 0 AND (kind, id) IN (SELECT kind, id FROM missing);
