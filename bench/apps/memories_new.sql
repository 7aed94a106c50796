-- The new application: knows "content_text" only.  Each write also goes into the
-- book, in the same transaction: what the table must contain in the end.
\set id random(1, :rows)
\set n random(1, 1000000000)
\set user random(1, 1000)
\set kind random(1, 20)
\if :kind <= 8
SELECT user_id FROM memories WHERE id = :id;
\elif :kind <= 15
WITH w AS (UPDATE memories SET content_text = 'new ' || :n WHERE id = :id RETURNING id)
INSERT INTO book (id, content) SELECT id, 'new ' || :n FROM w
ON CONFLICT (id) DO UPDATE SET content = excluded.content;
\elif :kind <= 17
WITH w AS (UPDATE memories SET user_id = :user WHERE id = :id RETURNING id)
INSERT INTO book (id, user_id) SELECT id, :user FROM w
ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id;
\elif :kind <= 19
WITH w AS (INSERT INTO memories (user_id, content_text) VALUES (:user, 'new ' || :n) RETURNING id)
INSERT INTO book (id, content, user_id) SELECT id, 'new ' || :n, :user FROM w;
\else
WITH w AS (DELETE FROM memories WHERE id = :id RETURNING id)
INSERT INTO book (id, gone) SELECT id, true FROM w
ON CONFLICT (id) DO UPDATE SET gone = true;
\endif
