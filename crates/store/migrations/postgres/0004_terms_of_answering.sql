-- Terms by which it is found who answers for what: cloud accounts by their owner, identities and applications by the team that answers for removals.
-- Kinds: 3 an application, 7 an identity, 21 a cloud account.

-- A text of JSON may hold the escape of NUL, which no text of PostgreSQL does: it is left out, unless its backslash is escaped itself.
CREATE TEMPORARY TABLE answering ON COMMIT DROP AS
SELECT kind, id, regexp_replace(convert_from(body, 'UTF8'), '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g')::json AS body
FROM record
WHERE shard = 0 AND kind IN (3, 7, 21);

CREATE TEMPORARY TABLE unanswered (kind SMALLINT NOT NULL, id BYTEA NOT NULL, term TEXT NOT NULL, PRIMARY KEY (kind, id, term)) ON COMMIT DROP;

INSERT INTO unanswered (kind, id, term)
SELECT kind, id, term
FROM (
  SELECT kind, id, CASE kind
    WHEN 21 THEN 'owner=' || (body ->> 'owner')
    WHEN 7 THEN 'removal_group=' || (body -> 'charter' ->> 'removal_group')
    ELSE 'removal_group=' || (body ->> 'removal_group')
  END AS term
  FROM answering
) named
WHERE term IS NOT NULL;

DELETE FROM unanswered WHERE EXISTS (
  SELECT 1 FROM term t WHERE t.shard = 0 AND t.kind = unanswered.kind AND t.term = convert_to(unanswered.term, 'UTF8') AND t.id = unanswered.id
);

INSERT INTO term (shard, kind, term, id) SELECT 0, kind, convert_to(term, 'UTF8'), id FROM unanswered;

UPDATE record SET terms = convert_to((
  SELECT json_agg(term)::text FROM (
    SELECT held AS term FROM json_array_elements_text(convert_from(record.terms, 'UTF8')::json) held
    UNION SELECT unanswered.term FROM unanswered WHERE unanswered.kind = record.kind AND unanswered.id = record.id
  ) all_terms
), 'UTF8')
WHERE shard = 0 AND (kind, id) IN (SELECT kind, id FROM unanswered);
