/*-------------------------------------------------------------------------
 *
 * carry_column.c
 *		Properties of the old column itself for the new one.
 *
 * They are given right after ADD COLUMN, in the same transaction, and go with
 * the new column, so no step has an undo.  Partitions may differ from their
 * parent in all of them, and each statement is for ONLY one table.
 *
 * Process: caller's backend, at plan time; nothing is changed here.  Locks:
 * ACCESS SHARE on the table, held by the caller.  A grant or comment that
 * comes between plan and expand is not carried; there are no others to meet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/toast_compression.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"

/* What can be granted on a column, in the order pg_dump knows them */
static const struct
{
	AclMode		privilege;
	const char *name;
}			column_privileges[] =

{
	{ACL_SELECT, "SELECT"},
	{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_REFERENCES, "REFERENCES"},
};

static MigspecStep *
column_step(MigspecCarry *carry, LOCKMODE lockmode, char *statement)
{
	ObjectAddress address;
	MigspecCarryItem item = {0};

	ObjectAddressSubSet(address, RelationRelationId, carry->relid, carry->attno);
	item.identity = psprintf("column %s", getObjectIdentity(&address, false));
	return migspec_carry_step(carry, &item, MIGSPEC_EXPANDED, lockmode,
							  statement, NULL);
}

/* ALTER TABLE ONLY table ALTER COLUMN new what */
static void
alter_step(MigspecCarry *carry, LOCKMODE lockmode, const char *what)
{
	column_step(carry, lockmode,
				psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s %s",
						 carry->table, quote_identifier(carry->op->new_column),
						 what));
}

static char *
column_name(const MigspecCarry *carry)
{
	return psprintf("%s.%s", carry->table,
					quote_identifier(carry->op->new_column));
}

static void
carry_column_comment(MigspecCarry *carry)
{
	char	   *comment = GetComment(carry->relid, RelationRelationId,
									 carry->attno);

	if (comment != NULL)
		column_step(carry, ShareUpdateExclusiveLock,
					psprintf("COMMENT ON COLUMN %s IS %s", column_name(carry),
							 migspec_literal(comment)));
}

static void
carry_labels(MigspecCarry *carry)
{
	MigspecParam params[] = {
		MIGSPEC_REGCLASS(carry->relid), MIGSPEC_INT4(carry->attno)
	};
	MemoryContext caller = CurrentMemoryContext;
	uint64		rows;
	uint64		i;

	SPI_connect();
	rows = migspec_sql("SELECT provider, label FROM pg_catalog.pg_seclabel"
					   " WHERE objoid = $1 AND objsubid = $2"
					   " AND classoid = 'pg_catalog.pg_class'::regclass"
					   " ORDER BY provider", 2, params);
	for (i = 0; i < rows; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		column_step(carry, ShareUpdateExclusiveLock,
					psprintf("SECURITY LABEL FOR %s ON COLUMN %s IS %s",
							 quote_identifier(migspec_spi_text(i, "provider")),
							 column_name(carry),
							 migspec_literal(migspec_spi_text(i, "label"))));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
}

static void
grant_step(MigspecCarry *carry, Oid grantee, AclMode privileges,
		   bool grant_option)
{
	StringInfoData buf;
	int			i;

	if (privileges == ACL_NO_RIGHTS)
		return;
	initStringInfo(&buf);
	for (i = 0; i < (int) lengthof(column_privileges); i++)
	{
		if (privileges & column_privileges[i].privilege)
			appendStringInfo(&buf, "%s%s (%s)", buf.len > 0 ? ", " : "",
							 column_privileges[i].name,
							 quote_identifier(carry->op->new_column));
	}
	column_step(carry, AccessShareLock,
				psprintf("GRANT %s ON %s TO %s%s", buf.data, carry->table,
						 grantee == ACL_ID_PUBLIC ? "PUBLIC" :
						 quote_identifier(GetUserNameFromId(grantee, false)),
						 grant_option ? " WITH GRANT OPTION" : ""));
}

/*
 * Grants.  Those that others than the owner have made can only be copied as
 * they are: nobody can grant in another role's name.
 */
static void
carry_grants(MigspecCarry *carry, HeapTuple tuple)
{
	bool		isnull;
	Datum		datum;
	Acl		   *acl;
	AclItem    *items;
	int			i;

	datum = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
	if (isnull)
		return;
	acl = DatumGetAclP(datum);
	items = ACL_DAT(acl);
	for (i = 0; i < ACL_NUM(acl); i++)
	{
		if (items[i].ai_grantor == carry->rel->rd_rel->relowner)
			continue;
		column_step(carry, AccessShareLock,
					psprintf("SELECT migspec.copy_column_grants(%s::regclass, %s, %s)",
							 migspec_literal(carry->table),
							 migspec_literal(NameStr(carry->att->attname)),
							 migspec_literal(carry->op->new_column)))->as_extension = true;
		return;
	}
	for (i = 0; i < ACL_NUM(acl); i++)
	{
		AclMode		with_option = ACLITEM_GET_GOPTIONS(items[i]);

		grant_step(carry, items[i].ai_grantee,
				   ACLITEM_GET_PRIVS(items[i]) & ~with_option, false);
		grant_step(carry, items[i].ai_grantee, with_option, true);
	}
}

static const char *
storage_name(char storage)
{
	switch (storage)
	{
		case TYPSTORAGE_PLAIN:
			return "PLAIN";
		case TYPSTORAGE_EXTERNAL:
			return "EXTERNAL";
		case TYPSTORAGE_MAIN:
			return "MAIN";
		default:
			return "EXTENDED";
	}
}

/*
 * Storage and compression, as far as the new type knows them.
 */
static void
carry_storage(MigspecCarry *carry)
{
	char		storage = carry->att->attstorage;
	char		compression = carry->att->attcompression;

	if (get_typstorage(carry->new_type) == TYPSTORAGE_PLAIN)
		return;
	if (storage != get_typstorage(carry->att->atttypid))
		alter_step(carry, AccessExclusiveLock,
				   psprintf("SET STORAGE %s", storage_name(storage)));
	if (compression == TOAST_PGLZ_COMPRESSION)
		alter_step(carry, AccessExclusiveLock, "SET COMPRESSION pglz");
	else if (compression == TOAST_LZ4_COMPRESSION)
		alter_step(carry, AccessExclusiveLock, "SET COMPRESSION lz4");
}

/*
 * All properties of the column in one table.
 */
void
migspec_carry_column(MigspecCarry *carry)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM,
										ObjectIdGetDatum(carry->relid),
										Int16GetDatum(carry->attno));
	char	   *options = migspec_carry_options(get_attoptions(carry->relid,
															   carry->attno));
	int			target;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not find column %d of table \"%s\"",
						carry->attno, RelationGetRelationName(carry->rel))));
	target = migspec_stattarget(ATTNUM, tuple, Anum_pg_attribute_attstattarget);
	if (target >= 0)
		alter_step(carry, ShareUpdateExclusiveLock,
				   psprintf("SET STATISTICS %d", target));
	if (options[0] != '\0')
		alter_step(carry, ShareUpdateExclusiveLock,
				   psprintf("SET (%s)", options));
	carry_storage(carry);
	carry_grants(carry, tuple);
	ReleaseSysCache(tuple);
	carry_column_comment(carry);
	carry_labels(carry);
}
