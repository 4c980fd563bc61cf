-- count_matured --
-- One row about a scoring run: accounts whose outcome was not known as they were scored, and those of them whose
-- horizon is not over. Parameters and the query `known` as in realised.sql.
SELECT
    count(*) AS n_open,
    count(*) FILTER (WHERE as_of + make_interval(days => $2::int + $3::int) > $4) AS n_immature
FROM predictions
WHERE run_id = $1
  AND NOT EXISTS (
      SELECT 1
      FROM ({known}) AS known
      WHERE known.account_id = predictions.account_id
        AND known.as_of = predictions.as_of
  )
