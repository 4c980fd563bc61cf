-- column_types --
-- A row per column of a table or view that this role may read, in order: its name and the name of its type, 'enum' for
-- any enumeration; domains count as the type below.
--   :schema, :table
SELECT a.attname AS name, CASE WHEN t.typtype = 'e' THEN 'enum' ELSE t.typname END AS type
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
JOIN pg_type AS declared ON declared.oid = a.atttypid
JOIN pg_type AS t ON t.oid = CASE WHEN declared.typtype = 'd' THEN declared.typbasetype ELSE declared.oid END
WHERE n.nspname = :schema
  AND c.relname = :table
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND a.attnum > 0
  AND NOT a.attisdropped
  AND has_schema_privilege(n.oid, 'USAGE')
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY a.attnum
