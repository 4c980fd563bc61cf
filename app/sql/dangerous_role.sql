-- dangerous_role --
-- What the role of this session, or one that it could become, may do beside reading tables; NULL where it is harmless.
SELECT CASE WHEN bool_or(rolsuper) THEN 'is a superuser' ELSE 'is a member of ' || min(rolname) END
FROM pg_catalog.pg_roles
WHERE (
    rolsuper
    OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
)
  AND pg_has_role(session_user, oid, 'MEMBER')
HAVING count(*) > 0
