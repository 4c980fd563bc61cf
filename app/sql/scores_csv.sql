-- scores_csv --
-- One row per account of a run, the riskiest first; probability 0..1, reasons in words, the strongest first.
--   $1  run
--   $2  tier or NULL for all
--   $3  smallest churn probability or NULL
--   $4  whether the version was provisional
SELECT
    account_id,
    churn_probability,
    risk_tier,
    model_version,
    run_id,
    as_of,
    scored_at,
    $4::boolean AS provisional,
    (
        SELECT string_agg(reason ->> 'text', '; ' ORDER BY place)
        FROM json_array_elements(reasons) WITH ORDINALITY AS listed (reason, place)
    ) AS reasons
FROM predictions
WHERE run_id = $1
  AND ($2::text IS NULL OR risk_tier = $2::text)
  AND ($3::float8 IS NULL OR churn_probability >= $3::float8)
ORDER BY predictions.churn_probability DESC, predictions.id
