-- The demo's own tables.  "book" says what memories must contain: a column
-- that is null there has never been written.
CREATE TABLE memories (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id		integer NOT NULL CHECK (user_id > 0),
	content		text NOT NULL DEFAULT '' CHECK (length(content) < 10000),
	created_at	timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN memories.content IS 'what there is to remember';
COMMENT ON COLUMN memories.user_id IS 'whose it is';

INSERT INTO memories (user_id, content)
SELECT 1 + id % 1000, 'memory ' || id || ' ' || md5(id::text)
FROM generate_series(1, :rows) AS id;

CREATE INDEX memories_user_id ON memories (user_id, created_at);
CREATE INDEX memories_content ON memories (left(content, 20));
VACUUM ANALYZE memories;

CREATE TABLE book (
	id			bigint PRIMARY KEY,
	content		text,
	user_id		integer,
	gone		boolean NOT NULL DEFAULT false
);

-- Calls of the driver, and transactions of the applications: Unix time.
CREATE TABLE demo_call (
	migration	text,
	call		text,
	started		numeric,
	ended		numeric
);
CREATE TABLE demo_transaction (
	app			text,
	finished	numeric,
	us			bigint		-- null: failed
);
