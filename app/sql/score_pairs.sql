-- score_pairs --
-- One row per account that both runs scored: its probability (0..1) and tier in each.
--   $1, $2  the runs
SELECT
    a.churn_probability AS p_a,
    b.churn_probability AS p_b,
    a.risk_tier AS tier_a,
    b.risk_tier AS tier_b
FROM predictions AS a
JOIN predictions AS b ON b.account_id = a.account_id
WHERE a.run_id = $1
  AND b.run_id = $2
ORDER BY a.account_id
