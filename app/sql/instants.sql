-- instants --
-- A row per instant of {rows}, the rows of a revision, the newest first; none in undated data.
--   :limit  how many
SELECT as_of,
       count(*) AS n_rows,
       count(churned) AS n_labelled,
       count(*) FILTER (WHERE churned) AS n_churned
FROM ({rows}) AS r
WHERE as_of IS NOT NULL
GROUP BY as_of
ORDER BY as_of DESC
LIMIT :limit
