-- realised --
-- One row per matured account of a scoring run whose outcome is known: its probability (0..1) and whether it churned.
--   $1  run
--   $2  dataset
--   $3  horizon in days; NULL where the dataset has none
--   $4  lead in days
--   $5  now: a score is matured once as_of + lead + horizon is not after it
-- What is observed at an instant happened before it, so with a horizon the window is (as_of + lead, as_of + lead +
-- horizon]: churned if a churn was observed inside it, stayed if "stayed" was observed at or after its end; a churn in
-- the lead or after the window decides nothing.
-- Without one: the newest outcome observed after as_of. Of several usable reports the newest wins, and a newer report
-- for the same account and instant takes the place of the older. A label of the newest revision for the very row
-- that was scored (account and as_of) counts where nothing was reported; its query is put in below. Accounts whose
-- outcome stood in the data as they were scored (the query of `known`) are in no figure: those known to have churned
-- were not scored, so the others would all have stayed.
WITH scored AS (
    SELECT
        account_id,
        as_of,
        churn_probability,
        as_of + make_interval(days => $4::int) AS opens_at,
        as_of + make_interval(days => $4::int + $3::int) AS ends_at
    FROM predictions
    WHERE run_id = $1
      AND NOT EXISTS (
          SELECT 1
          FROM ({known}) AS known
          WHERE known.account_id = predictions.account_id
            AND known.as_of = predictions.as_of
      )
),
reports AS (
    SELECT DISTINCT ON (account_id, observed_at) id, account_id, observed_at, churned
    FROM outcomes
    WHERE dataset_id = $2
    ORDER BY account_id, observed_at, id DESC
),
reported AS (
    SELECT DISTINCT ON (scored.account_id) scored.account_id, reports.churned
    FROM scored
    JOIN reports USING (account_id)
    WHERE CASE
        WHEN scored.ends_at IS NULL THEN reports.observed_at > scored.as_of
        WHEN reports.churned THEN reports.observed_at > scored.opens_at AND reports.observed_at <= scored.ends_at
        ELSE reports.observed_at >= scored.ends_at
    END
    ORDER BY
        scored.account_id,
        CASE WHEN scored.ends_at IS NULL THEN reports.observed_at END DESC,
        reports.id DESC
)
SELECT scored.churn_probability, coalesce(reported.churned, labels.churned) AS churned
FROM scored
LEFT JOIN reported USING (account_id)
LEFT JOIN ({labels}) AS labels ON labels.account_id = scored.account_id AND labels.as_of = scored.as_of
WHERE (scored.ends_at IS NULL OR scored.ends_at <= $5)
  AND coalesce(reported.churned, labels.churned) IS NOT NULL
ORDER BY scored.account_id
