-- store_outcomes --
-- Appends reports in the order given, and answers one row: how many accounts among them were never scored here.
--   :dataset, :actor; :accounts, :churned, :observed are arrays of one length
WITH given AS (
    SELECT *
    FROM unnest(CAST(:accounts AS text[]), CAST(:churned AS boolean[]), CAST(:observed AS timestamptz[]))
        WITH ORDINALITY AS report (account_id, churned, observed_at, place)
),
stored AS (
    INSERT INTO outcomes (dataset_id, account_id, churned, observed_at, reported_by)
    SELECT :dataset, account_id, churned, observed_at, :actor
    FROM given
    ORDER BY place
)
SELECT count(DISTINCT account_id)
FROM given
WHERE NOT EXISTS (
    SELECT 1
    FROM predictions
    WHERE predictions.account_id = given.account_id
      AND predictions.run_id IN (
          SELECT id FROM scoring_runs WHERE dataset_id = :dataset AND published_at IS NOT NULL
      )
)
