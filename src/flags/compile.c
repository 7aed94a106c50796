/*-------------------------------------------------------------------------
 *
 * compile.c
 *		From a feature document to a program.
 *
 * Compiling never fails: parts without sense become parts that are never
 * true.  What is wrong with a document is found by the same code when it is
 * imported, and refused there (document.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "flags/program.h"

/*
 * Overrides of a variant: a field and the values for which it is chosen.
 */
static void
compile_overrides(const JsonbValue *json, FlagVariant *variant)
{
	JsonbValue *elements;

	variant->noverrides = migspec_flag_get_array(json, "overrides", &elements);
	variant->overrides = palloc0(sizeof(FlagOverride) * Max(variant->noverrides, 1));
	for (int i = 0; i < variant->noverrides; i++)
	{
		FlagOverride *override = &variant->overrides[i];
		FlagText	field;
		FlagText   *values;
		int			n = migspec_flag_get_texts(&elements[i], "values", &values);

		if (!migspec_flag_get_text(&elements[i], "contextName", &field))
			field = FLAG_TEXT("");
		override->field = migspec_flag_field(field);
		override->values = migspec_flag_set(values, n);
	}
}

/*
 * migspec_flag_compile_variants -- those of a flag or a strategy.
 *
 * The stickiness is that of the first variant; a strategy's variants may inherit
 * the strategy's.
 */
MigspecVariants *
migspec_flag_compile_variants(const JsonbValue *json, FlagText group,
							  const FlagField *stickiness)
{
	MigspecVariants *variants = palloc0(sizeof(MigspecVariants));
	JsonbValue *elements;
	FlagText	name;

	variants->n = migspec_flag_get_array(json, "variants", &elements);
	variants->items = palloc0(sizeof(FlagVariant) * Max(variants->n, 1));
	variants->group = group;
	for (int i = 0; i < variants->n; i++)
	{
		FlagVariant *variant = &variants->items[i];
		FlagText text;
		double		weight = 0;

		if (!migspec_flag_get_text(&elements[i], "name", &variant->name))
			variant->name = FLAG_TEXT("");
		if (migspec_flag_get_text(&elements[i], "weight", &text) &&
			migspec_flag_parse_number(text, &weight) && weight > 0 && weight <= 1000000)
			variant->weight = (int) weight;
		variants->total += variant->weight;
		variant->payload = migspec_flag_get(&elements[i], "payload");
		compile_overrides(&elements[i], variant);
	}
	if (variants->n > 0 && migspec_flag_get_text(&elements[0], "stickiness", &name))
		variants->stickiness = migspec_flag_stickiness(&name);
	else
		variants->stickiness = stickiness ? *stickiness : migspec_flag_stickiness(NULL);
	return variants;
}

static void
compile_parents(const JsonbValue *json, MigspecProgram *program)
{
	JsonbValue *elements;

	program->nparents = migspec_flag_get_array(json, "dependencies", &elements);
	program->parents = palloc0(sizeof(FlagParent) * Max(program->nparents, 1));
	for (int i = 0; i < program->nparents; i++)
	{
		FlagParent *parent = &program->parents[i];

		if (!migspec_flag_get_text(&elements[i], "feature", &parent->name))
			parent->name = FLAG_TEXT("");
		parent->enabled = migspec_flag_get_bool(&elements[i], "enabled", true);
		parent->nvariants = migspec_flag_get_texts(&elements[i], "variants", &parent->variants);
	}
}

/*
 * migspec_flag_compile -- see flags.h.  The document must stay as long as the
 * program: texts are not copied out of it.
 */
MigspecProgram *
migspec_flag_compile(const char *name, Jsonb *feature)
{
	MigspecProgram *program = palloc0(sizeof(MigspecProgram));
	FlagText	flag = FLAG_TEXT(name);
	JsonbValue	root;
	JsonbValue *elements;

	if (!JB_ROOT_IS_OBJECT(feature))
		return program;
	root.type = jbvBinary;
	root.val.binary.data = &feature->root;
	root.val.binary.len = VARSIZE(feature) - VARHDRSZ;

	program->valid = true;
	/* Unleash always says; who leaves it out wants the strategies to decide */
	program->enabled = migspec_flag_get_bool(&root, "enabled", true);
	compile_parents(&root, program);
	program->nstrategies = migspec_flag_get_array(&root, "strategies", &elements);
	program->strategies = palloc0(sizeof(FlagStrategy) * Max(program->nstrategies, 1));
	for (int i = 0; i < program->nstrategies; i++)
	{
		char	   *problem;

		(void) migspec_flag_compile_strategy(&elements[i], flag, &program->strategies[i], &problem);
	}
	if (migspec_flag_get_array(&root, "variants", &elements) > 0)
		program->variants = migspec_flag_compile_variants(&root, flag, NULL);
	return program;
}
