# migspec: zero-downtime schema migrations inside the server
#
#   make && make install    build for, and install into, the PostgreSQL that
#                           PG_CONFIG (by default the first pg_config in the
#                           PATH) belongs to
#   make installcheck       run the tests; the server must have been started
#                           with shared_preload_libraries = 'migspec' and the
#                           other settings of test/migspec.conf
#   make pgtap              run the pgTAP tests against the same server
#   make lint check-indent  static checks;  make indent formats src/

EXTENSION = migspec
MODULE_big = migspec
PGFILEDESC = "migspec - zero-downtime schema migrations"

EXTVERSION = 0.1.0

# PGXS sets srcdir only when it is included, but the lists below need it now.
# The same rule as there: a build in another directory (make -f) uses VPATH.
here := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))

sources := $(sort $(wildcard $(here)/src/*.c $(here)/src/*/*.c))
headers := $(sort $(wildcard $(here)/src/*.h $(here)/src/*/*.h))
OBJS = $(patsubst $(here)/%.c,%.o,$(sources))
PG_CPPFLAGS = -I$(here)/src

# The install script is put together from pieces, one for each subject; the
# numbers that their names start with give the order.
sql_parts := $(sort $(wildcard $(here)/src/sql/*.sql))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(patsubst $(here)/%,%,$(wildcard $(here)/src/sql/updates/*.sql))

depfiles = $(OBJS:.o=.d)
EXTRA_CLEAN = $(depfiles) output_iso

# For the command line and CI.
SCRIPTS = bin/migspec-check

# Tests.  Each list may be narrowed down or emptied on the command line, e.g.
# make installcheck REGRESS=drop ISOLATION= TAP_TESTS=
REGRESS := $(sort $(patsubst $(here)/sql/%.sql,%,$(wildcard $(here)/sql/*.sql)))
ISOLATION := $(sort $(patsubst $(here)/test/isolation/specs/%.spec,%, \
	$(wildcard $(here)/test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(here)/test/isolation --outputdir=output_iso
tap_files := $(sort $(patsubst $(here)/%,%,$(wildcard $(here)/test/t/*.pl)))
ifneq ($(tap_files),)
TAP_TESTS = 1
PROVE_TESTS = $(tap_files)
endif
pgtap_files := $(sort $(wildcard $(here)/test/pgtap/*.sql))

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# The server may have been built with LLVM without clang being here as well;
# then the extension's functions are just not inlined into compiled queries.
pgxs_clang := $(shell sed -n 's/^CLANG = *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(pgxs_clang) 2>/dev/null),)
override with_llvm = no
endif

include $(PGXS)

$(DATA_built): $(sql_parts) $(here)/Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  cat $(sql_parts) /dev/null; } > $@

# A build outside of the source tree needs the same folders there.  (Absolute
# names, because make would look for others in the source tree as well.)
object_dirs = $(addprefix $(CURDIR)/,$(sort $(dir $(OBJS))))
$(OBJS): | $(object_dirs)
$(object_dirs):
	$(MKDIR_P) $@

# Have the compiler write down which of our headers an object depends on.
# (The depend mechanism of PGXS mixes up equal names in different folders.)
# Bitcode depends on what its object does.
$(OBJS): override CPPFLAGS += -MMD -MP
$(OBJS:.o=.bc): %.bc: %.o
$(OBJS): $(here)/Makefile
-include $(wildcard $(depfiles))

# The TAP tests start servers of their own, with these settings.  They may
# share a module in their folder.
installcheck: export TEMP_CONFIG = $(abspath $(here))/test/migspec.conf
PG_PROVE_FLAGS += -I test/t

.PHONY: pgtap lint indent check-indent

pgtap:
	$(if $(pgtap_files),pg_prove --ext .sql $(PGTAP_OPTS) $(pgtap_files))

lint:
	PG_CONFIG='$(PG_CONFIG)' $(here)/.ci/lint

indent:
	PG_CONFIG='$(PG_CONFIG)' $(here)/.ci/pgindent $(sources) $(headers)

check-indent:
	PG_CONFIG='$(PG_CONFIG)' $(here)/.ci/pgindent --check $(sources) $(headers)
