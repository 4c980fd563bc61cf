-- count_rows --
-- One row: how much there is in {rows}, the rows of a revision.
SELECT sum(n)::bigint AS n_rows, count(*) AS n_accounts, sum(n_labelled)::bigint AS n_labelled,
       sum(n_churned)::bigint AS n_churned
FROM (
    SELECT count(*) AS n, count(churned) AS n_labelled, count(*) FILTER (WHERE churned) AS n_churned
    FROM ({rows}) AS r
    GROUP BY account_id
) AS accounts
