-- levels --
-- A row per level of one text column of {rows}, the commonest first; n_levels counts all there are.
--   {column}  the column;  :limit  how many
SELECT left(level, 200) AS level, n, count(*) OVER () AS n_levels, max(n) OVER () AS n_commonest
FROM (SELECT {column} AS level, count(*) AS n FROM ({rows}) AS r WHERE {column} IS NOT NULL GROUP BY 1) AS counted
ORDER BY n DESC, level COLLATE "C"
LIMIT :limit
