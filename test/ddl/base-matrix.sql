-- The schema of the cases that test/t/DdlCases.pm makes: tables of all kinds,
-- which share their columns and the names of constraints, and other objects.

CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE comp AS (x int, y text);
CREATE TYPE used_comp AS (x int);
CREATE TYPE row_of AS (id bigint, k int);
CREATE DOMAIN dplain AS int;
CREATE DOMAIN dchk AS int CHECK (value > 0);
CREATE DOMAIN dnn AS int NOT NULL;
CREATE DOMAIN dvol AS int DEFAULT (random() * 9)::int;
CREATE DOMAIN dconst AS int DEFAULT 7;
CREATE DOMAIN dover AS dchk;
CREATE DOMAIN dused AS int;
CREATE DOMAIN dnotvalid AS int;
CREATE SEQUENCE sq;
CREATE SCHEMA IF NOT EXISTS m2;

CREATE FUNCTION f_imm(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION f_vol(int) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION f_stable() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION f_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';

-- What all tables of the matrix have
CREATE TABLE like_this (
	id bigint NOT NULL,
	k int,
	a int,
	b text,
	c varchar(50),
	n int NOT NULL,
	e timestamp,
	d numeric(10, 2),
	g int GENERATED ALWAYS AS (a * 2) STORED,
	p bigint,
	w int DEFAULT 5,
	CONSTRAINT ck_valid CHECK (a > 0),
	CONSTRAINT ck_known CHECK (k IS NOT NULL),
	CONSTRAINT ck_c CHECK (c <> 'forbidden')
);

CREATE TABLE ref (LIKE like_this INCLUDING ALL, PRIMARY KEY (id));

CREATE TABLE plain (LIKE like_this INCLUDING ALL, CONSTRAINT plain_u UNIQUE (id));
CREATE TABLE empty (LIKE like_this INCLUDING ALL, CONSTRAINT empty_u UNIQUE (id));
CREATE UNLOGGED TABLE ul (LIKE like_this INCLUDING ALL, CONSTRAINT ul_u UNIQUE (id));

CREATE TABLE prt (LIKE like_this INCLUDING ALL, CONSTRAINT prt_u UNIQUE (id, k)) PARTITION BY RANGE (k);
CREATE TABLE prt1 PARTITION OF prt FOR VALUES FROM (0) TO (1000);
CREATE TABLE prt2 PARTITION OF prt FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (k);
CREATE TABLE prt2a PARTITION OF prt2 FOR VALUES FROM (1000) TO (1500);
CREATE TABLE prt2_def PARTITION OF prt2 DEFAULT;
CREATE TABLE prt_def PARTITION OF prt DEFAULT;

CREATE TABLE inh (LIKE like_this INCLUDING ALL, CONSTRAINT inh_u UNIQUE (id));
CREATE TABLE kid (own int) INHERITS (inh);
CREATE TABLE grandkid () INHERITS (kid);

CREATE TABLE refing (
	LIKE like_this INCLUDING ALL,
	CONSTRAINT refing_u UNIQUE (id),
	CONSTRAINT fk FOREIGN KEY (p) REFERENCES ref (id)
);
CREATE TABLE selfref (
	LIKE like_this INCLUDING ALL,
	CONSTRAINT selfref_u UNIQUE (id),
	CONSTRAINT fk FOREIGN KEY (p) REFERENCES selfref (id)
);
CREATE TABLE prtr (LIKE like_this INCLUDING ALL, CONSTRAINT prtr_u UNIQUE (id, k)) PARTITION BY RANGE (k);
CREATE TABLE prtr1 PARTITION OF prtr FOR VALUES FROM (0) TO (1000);
CREATE TABLE prtr2 PARTITION OF prtr FOR VALUES FROM (1000) TO (2000);
CREATE TABLE prefr (
	LIKE like_this INCLUDING ALL,
	CONSTRAINT prefr_u UNIQUE (id),
	CONSTRAINT fk FOREIGN KEY (p, k) REFERENCES prtr (id, k)
);
CREATE TABLE fkp (
	LIKE like_this INCLUDING ALL,
	CONSTRAINT fkp_u UNIQUE (id, k),
	CONSTRAINT fk FOREIGN KEY (p) REFERENCES ref (id)
) PARTITION BY RANGE (k);
CREATE TABLE fkp1 PARTITION OF fkp FOR VALUES FROM (0) TO (1000);

CREATE TABLE bare (id bigint, k int, a int);
CREATE TABLE published (id bigint PRIMARY KEY, a int);

-- rows, and what belongs to every table of the matrix
DO $$
DECLARE
	tab text;
BEGIN
	FOREACH tab IN ARRAY '{ref,plain,ul,prt,inh,kid,grandkid,refing,selfref,prtr,prefr,fkp}'::text[]
	LOOP
		EXECUTE format($f$
			INSERT INTO %s (id, k, a, b, c, n, e, d, p)
			SELECT g, g, g, 'b' || g, 'c' || g, g, now(), g, g FROM generate_series(1, 20) AS g
			$f$, tab);
	END LOOP;
	INSERT INTO prt (id, k, a, n) SELECT g, k, 1, 1
		FROM generate_series(30, 33) AS g, unnest('{1100,1600,9999}'::int[]) AS k;
	INSERT INTO prtr (id, k, a, n) SELECT g, 1100, 1, 1 FROM generate_series(30, 33) AS g;
	INSERT INTO bare SELECT g, g, g FROM generate_series(1, 9) AS g;
	FOREACH tab IN ARRAY '{ref,plain,empty,ul,prt,inh,refing,selfref,prtr,prefr,fkp}'::text[]
	LOOP
		EXECUTE format($f$
			ALTER TABLE %1$s ADD CONSTRAINT ck_nv CHECK (w > -1) NOT VALID;
			CREATE INDEX %1$s_b ON %1$s (b);
			CREATE INDEX %1$s_w ON %1$s (w) WHERE w > 0;
			CREATE INDEX %1$s_lower ON %1$s (lower(c));
			CREATE TRIGGER tg BEFORE UPDATE ON %1$s FOR EACH ROW EXECUTE FUNCTION f_trigger();
			CREATE POLICY pol ON %1$s USING (true);
			$f$, tab);
	END LOOP;
	FOREACH tab IN ARRAY '{plain,empty,ul,ref,refing,prt1,inh}'::text[]
	LOOP
		EXECUTE format('CREATE UNIQUE INDEX %1$s_ui ON %1$s (id, n)', tab);
		EXECUTE format('CREATE UNIQUE INDEX %1$s_un ON %1$s (a)', tab);
		EXECUTE format('CREATE RULE ru AS ON UPDATE TO %s WHERE false DO INSTEAD NOTHING', tab);
	END LOOP;
END
$$;
ALTER TABLE plain ADD CONSTRAINT fk_nv FOREIGN KEY (p) REFERENCES ref (id) NOT VALID;

CREATE TABLE ident (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, s serial);
INSERT INTO ident (a) VALUES (1);
CREATE TABLE usesd (v dused, w dused);
INSERT INTO usesd VALUES (1, 2);
CREATE TABLE usesd_array (v dused[]);
CREATE TABLE usesd_prt (v dused, k int) PARTITION BY RANGE (k);
CREATE TABLE usesd_prt1 PARTITION OF usesd_prt FOR VALUES FROM (0) TO (9);
CREATE TABLE usesd_unrelated (v int);
CREATE TABLE uses_comp (v used_comp);
CREATE TABLE uses_mood (v mood DEFAULT 'ok');
INSERT INTO uses_mood VALUES ('sad');
CREATE TABLE uses_notvalid (v dnotvalid);
INSERT INTO uses_notvalid VALUES (5);
ALTER DOMAIN dnotvalid ADD CONSTRAINT dnv CHECK (value > 1) NOT VALID;
CREATE TABLE rowtype_owner (x int);
CREATE TABLE rowtype_user (r rowtype_owner);
CREATE TABLE typed OF row_of;

CREATE VIEW vw AS SELECT id, c FROM ref;
CREATE VIEW vw2 AS SELECT * FROM vw;
CREATE MATERIALIZED VIEW mv AS SELECT id, a FROM plain;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE MATERIALIZED VIEW mv_plain AS SELECT id, a FROM plain;
CREATE MATERIALIZED VIEW mv_empty AS SELECT id, a FROM plain WITH NO DATA;
CREATE STATISTICS st ON a, b FROM plain;

-- partitioned tables to attach to, and tables to be attached
CREATE TABLE rng (id bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE rng1 PARTITION OF rng FOR VALUES FROM (0) TO (1000);
CREATE TABLE rngd (id bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE rngd1 PARTITION OF rngd FOR VALUES FROM (0) TO (1000);
CREATE TABLE rngd_def PARTITION OF rngd DEFAULT;
CREATE TABLE rngdp (id bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE rngdp_def PARTITION OF rngdp DEFAULT;
ALTER TABLE rngdp_def ADD CONSTRAINT elsewhere CHECK (k IS NOT NULL AND k >= 100000);
CREATE TABLE rngdd (id bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE rngdd_def PARTITION OF rngdd DEFAULT PARTITION BY RANGE (k);
CREATE TABLE rngdd_def1 PARTITION OF rngdd_def FOR VALUES FROM (50000) TO (60000);
CREATE TABLE rngdd_def2 PARTITION OF rngdd_def DEFAULT;
CREATE TABLE rngi (id bigint NOT NULL, k int NOT NULL, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE INDEX rngi_k ON rngi (k);
CREATE TABLE rngf (id bigint REFERENCES ref (id), k int) PARTITION BY RANGE (k);
CREATE TABLE rngc (id bigint, k int, CONSTRAINT ck_id CHECK (id > 0)) PARTITION BY RANGE (k);
CREATE TABLE rngn (id bigint NOT NULL, k int NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE rngx (id bigint, k int) PARTITION BY RANGE ((k + 1));
CREATE TABLE rng2 (id bigint, k int) PARTITION BY RANGE (k, id);
CREATE TABLE lst (id bigint, k int) PARTITION BY LIST (k);
CREATE TABLE lst1 PARTITION OF lst FOR VALUES IN (1, 2, NULL);
CREATE TABLE lstd (id bigint, k int) PARTITION BY LIST (k);
CREATE TABLE lstd_def PARTITION OF lstd DEFAULT;
CREATE TABLE hsh (id bigint, k int) PARTITION BY HASH (k);
CREATE TABLE hsh0 PARTITION OF hsh FOR VALUES WITH (MODULUS 2, REMAINDER 0);

CREATE TABLE np (id bigint, k int);
CREATE TABLE np_empty (id bigint, k int);
CREATE TABLE np_proved (id bigint, k int, CHECK (k IS NOT NULL AND k >= 5000 AND k < 6000));
CREATE TABLE np_null (id bigint, k int, CHECK (k >= 5000 AND k < 6000));
CREATE TABLE np_marked (id bigint, k int NOT NULL, CHECK (k >= 5000 AND k < 6000));
CREATE TABLE np_tight (id bigint, k int NOT NULL, CHECK (k BETWEEN 5100 AND 5200));
CREATE TABLE np_id (id bigint NOT NULL, k int NOT NULL, CONSTRAINT ck_id CHECK (id > 0));
CREATE TABLE np_pk (id bigint NOT NULL, k int NOT NULL, PRIMARY KEY (id, k));
CREATE TABLE np_index (id bigint NOT NULL, k int NOT NULL);
CREATE UNIQUE INDEX np_index_u ON np_index (id, k);
CREATE INDEX np_index_k ON np_index (k);
CREATE TABLE np_fk (id bigint REFERENCES ref (id), k int);
CREATE TABLE np_order (k int, id bigint, CHECK (k IS NOT NULL AND k >= 5000 AND k < 6000));
CREATE TABLE np_type (id bigint, k bigint);
CREATE TABLE np_more (id bigint, k int, extra int);
CREATE TABLE np_less (id bigint);
CREATE TABLE np_prt (id bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE np_prt1 PARTITION OF np_prt FOR VALUES FROM (5000) TO (5500);
CREATE TABLE np_prt2 PARTITION OF np_prt FOR VALUES FROM (5500) TO (6000);
CREATE TABLE np_nv (id bigint, k int);
ALTER TABLE np_nv ADD CONSTRAINT nv CHECK (k IS NOT NULL AND k >= 5000 AND k < 6000) NOT VALID;
CREATE TABLE np_list (id bigint, k int, CHECK (k IS NOT NULL AND k IN (7, 8)));
DO $$
DECLARE
	tab text;
BEGIN
	FOR tab IN SELECT relname FROM pg_class
		WHERE relnamespace = 'm'::regnamespace AND relname ~ '^np' AND relkind = 'r' AND relispartition = false
			AND relname NOT IN ('np_empty', 'np_less', 'np_list')
	LOOP
		EXECUTE format('INSERT INTO %I (id, k) SELECT g, 5150 + g FROM generate_series(1, 9) AS g', tab);
	END LOOP;
	INSERT INTO np_prt SELECT g, 5400 + 20 * g FROM generate_series(1, 9) AS g;
	INSERT INTO np_list SELECT g, 7 FROM generate_series(1, 9) AS g;
	INSERT INTO rng SELECT g, g FROM generate_series(1, 9) AS g;
	INSERT INTO rngd SELECT g, k FROM generate_series(1, 9) AS g, unnest('{5,90000}'::int[]) AS k;
	INSERT INTO rngdp SELECT g, 100000 + g FROM generate_series(1, 9) AS g;
	INSERT INTO rngdd SELECT g, k FROM generate_series(1, 9) AS g, unnest('{55000,90000}'::int[]) AS k;
	INSERT INTO lstd SELECT g, 99 FROM generate_series(1, 9) AS g;
END
$$;
ANALYZE;
