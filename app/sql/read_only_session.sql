-- read_only_session --
-- The settings under which a query of the user's is run in a warehouse of theirs; {seconds} is how long it may take.
SET LOCAL statement_timeout = '{seconds}s';
SET LOCAL lock_timeout = '10s';
SET LOCAL idle_in_transaction_session_timeout = '1h';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL standard_conforming_strings = on;
SET LOCAL transaction_read_only = on;
