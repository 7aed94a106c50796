-- Looks every millisecond whether the table can be used.
\sleep 1 ms
SELECT aid FROM pgbench_accounts WHERE aid = 1;
