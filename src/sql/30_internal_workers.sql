/* Functions that the statements of the background workers use. */

CREATE FUNCTION migspec.tid_block(row_ctid tid) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migspec_tid_block';
COMMENT ON FUNCTION migspec.tid_block(tid) IS 'number of the page that a row is on';

CREATE FUNCTION migspec.tid_offset(row_ctid tid) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migspec_tid_offset';
COMMENT ON FUNCTION migspec.tid_offset(tid) IS 'number of a row''s line pointer on its page';
