-- Looks every millisecond whether the table can be used.
\sleep 1 ms
SELECT id FROM memories WHERE id = 1;
