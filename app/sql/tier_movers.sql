-- tier_movers --
-- One row per account that two runs put in different tiers, the largest change of its probability (0..1) first.
--   $1, $2  the runs
--   $3      rows at most
SELECT
    a.account_id,
    a.churn_probability AS p_a,
    b.churn_probability AS p_b,
    a.risk_tier AS tier_a,
    b.risk_tier AS tier_b
FROM predictions AS a
JOIN predictions AS b ON b.account_id = a.account_id
WHERE a.run_id = $1
  AND b.run_id = $2
  AND a.risk_tier <> b.risk_tier
ORDER BY abs(b.churn_probability - a.churn_probability) DESC, a.account_id
LIMIT $3
