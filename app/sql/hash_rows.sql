-- hash_rows --
-- One value: SHA-256 over {rows}, whatever their order. Each row is hashed as the text of a composite, in which null
-- and empty differ; the sorted hashes of each bucket (first byte of the hash) are hashed, then those of the buckets.
--   {names}  the columns, in an order that does not depend on the file's
SELECT encode(sha256(coalesce(string_agg(digest, ''::bytea ORDER BY bucket), ''::bytea)), 'hex')
FROM (
    SELECT get_byte(h, 0) AS bucket, sha256(string_agg(h, ''::bytea ORDER BY h)) AS digest
    FROM (SELECT sha256(convert_to(ROW({names})::text, 'UTF8')) AS h FROM ({rows}) AS r) AS hashed
    GROUP BY 1
) AS buckets
