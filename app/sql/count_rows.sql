-- count_rows --
-- One row: how much there is in {rows}, the rows of a revision.
SELECT count(*) AS n_rows,
       count(DISTINCT account_id) AS n_accounts,
       count(churned) AS n_labelled,
       count(*) FILTER (WHERE churned) AS n_churned
FROM ({rows}) AS r
