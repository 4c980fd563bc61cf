-- type_names --
-- A row per type in the array $1 of oids: its name, 'enum' for any enumeration and 'text' for any kind of text.
-- Domains do not come here: the description of a query names the type below.
SELECT
    oid,
    CASE WHEN typtype = 'e' THEN 'enum' WHEN typcategory = 'S' THEN 'text' ELSE typname::text END AS name
FROM pg_catalog.pg_type
WHERE oid = ANY ($1::oid[])
