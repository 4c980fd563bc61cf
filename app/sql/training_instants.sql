-- training_instants --
-- A row per instant of {rows}, the rows of a revision, the newest first (one row, of null, in undated data).
--   :now   the instant by which a row is matured; :days  lead, horizon and grace, null where the dataset names no horizon
SELECT as_of,
       count(*) AS n_rows,
       count(churned) AS n_labelled,
       coalesce(as_of + make_interval(days => CAST(:days AS int)) > coalesce(CAST(:now AS timestamptz), now()), false)
           AS immature
FROM ({rows}) AS r
GROUP BY as_of
ORDER BY as_of DESC
