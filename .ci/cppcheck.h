/*
 * Read by cppcheck before every source file: what it has to know about the
 * server's macros, whose headers it does not read.
 */
#define PG_FUNCTION_INFO_V1(name) Datum name(PG_FUNCTION_ARGS)
#define PG_FUNCTION_ARGS FunctionCallInfo fcinfo
#define PG_MODULE_MAGIC extern int no_such_variable
#define PG_TRY() do { if (1) {
#define PG_CATCH() } else {
#define PG_FINALLY() } {
#define PG_END_TRY() } } while (0)
#define PG_RE_THROW() abort()
#define pg_unreachable() abort()
#define pg_attribute_noreturn()
#define pg_attribute_printf(f, a)
#define foreach(cell, list) for (cell = list_head(list); cell; cell = next(cell))
#define ereport(level, rest) report(level)
#define elog(level, ...) report(level, __VA_ARGS__)
#define Assert(condition) ((void) 0)
#define StaticAssertDecl(condition, message) extern int no_such_variable
