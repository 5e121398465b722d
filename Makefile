# Rendio Backend.  `make run` tries it, `make test` proves it; see README.md.

ifeq ($(origin CC),default)
CC        := gcc
endif
SAN       ?=
PREFIX    ?= /usr/local
DESTDIR   ?=
# A directory with sqlite3.c and sqlite3.h links that SQLite statically.
SQLITE    ?=

# Each compiler and sanitiser has a directory of its own.
VARIANT   := $(if $(SAN),-$(notdir $(CC))-san)$(if $(and $(if $(SAN),,x),$(filter-out gcc cc,$(notdir $(CC)))),-$(notdir $(CC)))
BUILD     := build$(VARIANT)

WARNINGS  := -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wvla \
             -Wmissing-prototypes -Wstrict-prototypes -Wswitch-enum \
             -Wnull-dereference -Wundef -Wcast-qual -Wwrite-strings \
             -Wimplicit-fallthrough -fno-common
HARDENING := -fstack-protector-strong -fPIE
OPTIMISE  := $(if $(SAN),-O1 -g1 -fno-omit-frame-pointer,-O2 -g -D_FORTIFY_SOURCE=2)
# clang's sanitised objects also count what is reached, for libFuzzer.
SANFLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
             $(if $(filter clang,$(notdir $(CC))),-fsanitize=fuzzer-no-link))

CPPFLAGS  += -D_GNU_SOURCE -Ilib -I$(BUILD)/gen $(if $(SQLITE),-isystem $(SQLITE) -DSQLITE_IS_LINKED) \
             -include base/banned.h
CFLAGS    += -std=c11 $(WARNINGS) $(HARDENING) $(OPTIMISE) $(SANFLAGS) -MMD -MP \
             -ffunction-sections -fdata-sections
LDFLAGS   += $(SANFLAGS) -pie -Wl,--as-needed -Wl,--gc-sections \
             $(if $(SAN),,-Wl,-z,relro -Wl,-z,now)
LIBS      := -lfcgi $(if $(SQLITE),,-lsqlite3) -lcjson -lsodium -lcurl -lcrypto -lm

LIB_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*/*.c)) \
             $(BUILD)/gen/migrations.o $(if $(SQLITE),$(BUILD)/gen/sqlite3.o)
LIBRARY   := $(BUILD)/librendio.a
ENDPOINTS := $(patsubst %.c,$(BUILD)/%,$(wildcard cgi-bin/*.c))
CRON_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cron/*.c))
REALTIME_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard realtime/*.c))
CLI_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cli/*.c))
FAULTS    := $(BUILD)/tests/faults/life $(BUILD)/tests/faults/model \
             $(BUILD)/tests/faults/calls.so
UNIT      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*.c))
PROGRAMS  := $(ENDPOINTS) $(BUILD)/rendio-worker $(BUILD)/rendio-realtime \
             $(BUILD)/rendio

JOBS      := $(shell nproc)

.PHONY: all run test bench install deb clean deps-deb deps-run deps-test deps-lint deps-bench check \
        floors format format-check schema schema-check unit unit-programs \
        faults faults-model faults-life faults-programs coverage mutants \
        rules floods soak valgrind \
        fuzz fuzz-fast fuzzers fuzz-replay fuzz-regressions
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) $(BUILD)/endpoints

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

MIGRATIONS := $(sort $(wildcard db/migrations/*.sql))
$(BUILD)/gen/migrations.c: tools/embed $(MIGRATIONS) db/seed.sql
	@mkdir -p $(@D)
	tools/embed $(MIGRATIONS) db/seed.sql > $@

# Somebody else's code is built with its own rules, not with our warnings.
$(BUILD)/gen/sqlite3.o: $(SQLITE)/sqlite3.c
	@mkdir -p $(@D)
	$(CC) -O2 -fPIE -DSQLITE_DQS=0 -DSQLITE_OMIT_LOAD_EXTENSION \
	    -DSQLITE_THREADSAFE=0 -c -o $@ $<

$(LIBRARY): $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# ld --as-needed keeps a library for code that --gc-sections then throws away,
# and each costs every process memory (OpenSSL 0.4 MB).  So first all that main()
# reaches becomes one object, which then loads what it needs.
ifeq ($(SAN),)
LINK = $(CC) -r -nostdlib -Wl,--gc-sections -Wl,-e,main -o $@.all.o $^ && \
       $(CC) $(LDFLAGS) -o $@ $@.all.o
else
LINK = $(CC) $(LDFLAGS) -o $@ $^
endif

$(ENDPOINTS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	$(LINK) $(LIBS)

# What nginx and the supervisors need to know of them: deploy/nginx-config.
$(BUILD)/endpoints: $(ENDPOINTS) cgi-bin
	for p in $(abspath $(ENDPOINTS)); do $$p --describe || exit 1; done > $@

$(BUILD)/rendio-worker: $(CRON_OBJ) $(LIBRARY)
	$(LINK) $(LIBS)

$(BUILD)/rendio-realtime: $(REALTIME_OBJ) $(LIBRARY)
	$(LINK) -lwebsockets $(LIBS)

$(BUILD)/rendio: $(CLI_OBJ) $(LIBRARY)
	$(LINK) $(LIBS)

$(UNIT): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

# --- what people type ---------------------------------------------------------

run: deps-run
	@$(MAKE) -s -j$(JOBS) all
	@deploy/sandbox-run $(BUILD)

# The fuzzers take their minutes beside the tests, which mostly wait.
test: deps-test check
	@$(MAKE) -s -j$(JOBS) CC=gcc all unit-programs
	@$(MAKE) -s -j$(JOBS) CC=clang SAN=address,undefined all unit-programs fuzz-replay fuzzers
	@$(MAKE) -s -j test-gcc test-clang test-lives test-model
	@FUZZ_AT_ONCE=4 tests/run-beside "tests/fuzz/run $(FUZZ_S) $(FUZZERS)" \
	    tests/api/run build-clang-san build

# Each has a part that runs alone on one processor, so all at once.
.PHONY: test-gcc test-clang test-lives test-model
test-gcc:
	@$(MAKE) -s CC=gcc unit
test-clang:
	@$(MAKE) -s CC=clang SAN=address,undefined unit fuzz-regressions
test-lives:
	@build/tests/faults/life all 50
test-model:
	@build/tests/faults/model 1 5

# ONLY="memory peers": some parts, see tests/bench/run.
bench: deps-bench
	@$(MAKE) -s -j$(JOBS) all bench-programs
	@tests/bench/run $(BUILD) $(ONLY)

.PHONY: bench-programs
bench-programs: $(BUILD)/tests/bench/constant $(BUILD)/tests/bench/raw-sqlite \
                $(BUILD)/tests/bench/publish $(BUILD)/tests/bench/verify-jws \
                $(BUILD)/tests/bench/slow-sync.so

# A disk that is slow; for LD_PRELOAD, never installed.
$(BUILD)/tests/bench/slow-sync.so: tests/bench/slow-sync.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c11 $(WARNINGS) -O2 -fPIC -shared -o $@ $<

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Installs what is missing and says nothing when nothing is.
deps-run:
	@tools/install-deps build run
deps-test:
	@tools/install-deps build run test
deps-lint:
	@tools/install-deps build lint
deps-bench:
	@tools/install-deps build run bench

# --- checks that need no machine but this -------------------------------------

check: floors format-check schema-check

floors:
	@tools/check-floors
	@tools/check-source

SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

format:
	@clang-format -i $(SOURCES)

format-check:
	@clang-format --dry-run -Werror $(SOURCES)

# The end state of all migrations, for reading; never run.
schema:
	@tools/schema > db/schema.sql

schema-check:
	@tools/schema | cmp - db/schema.sql || \
	    { echo "db/schema.sql is old: run make schema" >&2; exit 1; }

# What compilers and analyzers can find without running anything.  Each file is
# looked at again when it changes.
LINTED := $(wildcard lib/*/*.c cgi-bin/*.c cron/*.c cli/*.c realtime/*.c)

.PHONY: lint
lint: deps-lint $(LINTED:%.c=build-lint/%.tidy) $(LINTED:%.c=build-lint/%.gcc) \
      build-lint/cppcheck

build-lint/%.tidy: %.c .clang-tidy build/gen/migrations.c
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(CPPFLAGS) -std=c11 > $@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@

# No LTO, no link: only what the analyzer says.
build-lint/%.gcc: %.c build/gen/migrations.c
	@mkdir -p $(@D)
	@gcc $(CPPFLAGS) -std=c11 -O1 -fanalyzer -Werror -c -o $@ $<

build-lint/cppcheck: $(LINTED) tests/cppcheck.txt
	@mkdir -p $(@D)
	@cppcheck -q -j$(JOBS) --error-exitcode=1 --std=c11 --inline-suppr \
	    --enable=warning,performance,portability --library=posix \
	    --suppressions-list=tests/cppcheck.txt -D_GNU_SOURCE -Ilib \
	    lib cgi-bin cron cli realtime
	@touch $@

unit-programs: $(UNIT) $(if $(SAN),,$(FAULTS))

unit: unit-programs
	@tools/run-unit $(UNIT)

# --- fuzzing ------------------------------------------------------------------

FUZZERS     := $(basename $(notdir $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))))
FUZZ_S      ?= 60

# Every find that was kept, and the corpus, without a fuzzing engine.
fuzz-replay: $(FUZZERS:%=$(BUILD)/tests/fuzz/replay-%)

fuzz-regressions: fuzz-replay
	@for f in $(FUZZERS); do \
		find tests/fuzz/corpus/$$f tests/fuzz/regressions/$$f -type f 2>/dev/null | \
		    xargs -r $(BUILD)/tests/fuzz/replay-$$f > /dev/null || exit 1; \
	done

$(BUILD)/tests/fuzz/replay-%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# With libFuzzer, FUZZ_S seconds each: make fuzz FUZZ_S=3600, or fuzz-json.
fuzz:
	@$(MAKE) -s -j$(JOBS) CC=clang SAN=address,undefined fuzzers
	@tests/fuzz/run $(FUZZ_S) $(FUZZERS)

# The same without sanitisers, many times as fast: for reach; what it learnt
# is then run with them.
fuzz-fast:
	@$(MAKE) -s -j$(JOBS) CC=clang SAN=fuzzer-no-link OPTIMISE='-O2 -g' BUILD=build-fuzz fuzzers
	@FUZZ_BUILD=build-fuzz tests/fuzz/run $(FUZZ_S) $(FUZZERS)
	@$(MAKE) -s fuzz FUZZ_S=1

fuzz-%:
	@$(MAKE) -s -j$(JOBS) CC=clang SAN=address,undefined build-clang-san/tests/fuzz/$*
	@tests/fuzz/run $(FUZZ_S) $*

fuzzers: $(FUZZERS:%=$(BUILD)/tests/fuzz/%)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIBRARY)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# --- faults -------------------------------------------------------------------

# Calls to the system that fail on demand, in a program of its own and for
# LD_PRELOAD into the real ones; never installed.
$(BUILD)/tests/faults/model: $(BUILD)/tests/faults/model.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/faults/life: $(BUILD)/tests/faults/life.o $(BUILD)/tests/faults/calls.o \
                            $(BUILD)/tests/faults/clock.o $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/faults/calls.so: tests/faults/calls.c tests/faults/clock.c tests/faults/calls.h
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -DFAULT_PRELOADED -std=c11 $(WARNINGS) -O2 -g -fPIC -shared \
	    -o $@ $(filter %.c,$^)

# All of them, an hour and more; each part by its own name as well.
faults: faults-model faults-life faults-programs

# Every state of a job, with one worker and with two.
faults-model:
	@$(MAKE) -s -j$(JOBS) $(FAULTS)
	@build/tests/faults/model 1
	@build/tests/faults/model 2

# Every call of a life broken in every way, of power cuts and of those who are
# killed twice some more.
faults-life:
	@$(MAKE) -s -j$(JOBS) $(FAULTS)
	@build/tests/faults/life
	@for seed in 1 2; do build/tests/faults/life power 1 1 $$seed || exit 1; done
	@for seed in 2 3 4 5; do build/tests/faults/life twice 1 1 $$seed || exit 1; done

# Every call of the real programs, and at full length what `make test` does in
# short.
faults-programs: deps-test
	@$(MAKE) -s -j$(JOBS) all unit-programs
	@RENDIO_BUILD=build RENDIO_LONG=1 RENDIO_POINTS_EVERY=1 node --test \
	    --test-reporter=spec --test-concurrency=2 tests/faults/*.test.mjs

# What of lib the unit tests, the lives and the model take; COVERAGE=all: the API
# tests, too.
coverage: deps-test
	@tools/coverage $(COVERAGE)

# Each program of a guest's first video, under memcheck.
valgrind: deps-test deps-lint
	@tools/valgrind

# Small mistakes that the tests must catch, from the seed SEED, and the rules of
# money broken on purpose.
mutants: deps-test rules
	@tools/mutants $(or $(MUTANTS),50) $(or $(SEED),1) $(FIRST)
rules: deps-test
	@tools/mutants rules

# Somebody does one thing as often as he can, FLOOD_S seconds each.  On a machine
# that does nothing else.
floods: deps-test
	@$(MAKE) -s -j$(JOBS) all
	@RENDIO_BUILD=build RENDIO_FLOOD_S=$(or $(FLOOD_S),15) \
	    node --test --test-reporter=spec tests/faults/floods.mjs

# A mixed load for SOAK_MIN minutes; memory, descriptors and the log stay flat.
soak: deps-test
	@$(MAKE) -s -j$(JOBS) all
	@RENDIO_BUILD=build node tests/faults/soak.mjs $(or $(SOAK_MIN),30)

# --- installing ---------------------------------------------------------------

# Programs are in PREFIX; configuration, state and units are where the system
# looks for them.  Afterwards `rendio setup`.  The same again is an upgrade:
# rendio-upgrade keep; make install; rendio-upgrade.
LIB_DIR   := $(PREFIX)/lib/rendio
RELEASE   := $(DESTDIR)$(LIB_DIR)/release
UNIT_DIR  := $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/systemd/system
UNITS     := $(wildcard deploy/systemd/rendio*)
INSTALL   := install -m 644
TEMPLATE   = sed 's|@LIBDIR@|$(LIB_DIR)|g'

install: all
	rm -rf $(RELEASE).new
	install -d $(RELEASE).new/cgi-bin $(RELEASE).new/nginx \
	    $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)/etc/cron.d \
	    $(UNIT_DIR)/nginx.service.d $(UNIT_DIR)/rendio.target.wants \
	    $(DESTDIR)/usr/lib/sysusers.d $(DESTDIR)/usr/lib/tmpfiles.d \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/rendio
	install $(BUILD)/rendio $(BUILD)/rendio-worker $(BUILD)/rendio-realtime \
	    deploy/nginx-config deploy/setup deploy/bucket deploy/start-worker \
	    deploy/install-certificate $(RELEASE).new/
	install $(ENDPOINTS) $(RELEASE).new/cgi-bin/
	$(INSTALL) nginx/* $(RELEASE).new/nginx/
	cp -R web $(RELEASE).new/
	$(INSTALL) deploy/rendio.conf.example $(BUILD)/endpoints $(RELEASE).new/
	rm -rf $(RELEASE)
	mv $(RELEASE).new $(RELEASE)
	[ -L $(DESTDIR)$(LIB_DIR)/current ] || ln -s release $(DESTDIR)$(LIB_DIR)/current
	$(TEMPLATE) deploy/rendio.sh.in > $(DESTDIR)$(PREFIX)/bin/rendio
	$(TEMPLATE) deploy/upgrade.in > $(DESTDIR)$(PREFIX)/sbin/rendio-upgrade
	chmod 755 $(DESTDIR)$(PREFIX)/bin/rendio $(DESTDIR)$(PREFIX)/sbin/rendio-upgrade
	for u in $(UNITS); do \
		$(TEMPLATE) $$u > $(UNIT_DIR)/$$(basename $$u .in) || exit 1; \
	done
	$(INSTALL) deploy/systemd/nginx.conf $(UNIT_DIR)/nginx.service.d/rendio.conf
	awk -F '\t' '$$8 == "any" { print "rendio@" $$1 ".socket" }' $(RELEASE)/endpoints | \
	    while read -r u; do ln -sf ../rendio@.socket $(UNIT_DIR)/rendio.target.wants/$$u; done
	ln -sf ../rendio-realtime.socket $(UNIT_DIR)/rendio.target.wants/
	$(INSTALL) deploy/rendio.sysusers $(DESTDIR)/usr/lib/sysusers.d/rendio.conf
	$(INSTALL) deploy/rendio.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/rendio.conf
	$(TEMPLATE) deploy/rendio.cron.in > $(DESTDIR)/etc/cron.d/rendio
	chmod 644 $(DESTDIR)/etc/cron.d/rendio
	$(INSTALL) deploy/rendio.bash-completion \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rendio
	$(INSTALL) deploy/alerts.yml deploy/grafana-dashboard.json \
	    $(DESTDIR)$(PREFIX)/share/rendio/
	$(INSTALL) deploy/rendio.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	$(INSTALL) deploy/rendio-upgrade.8 $(DESTDIR)$(PREFIX)/share/man/man8/

# Built from what git knows, in a copy, so that nothing of it stays here.  Each
# commit is a version of its own.
DEB_VERSION ?= $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)+git$(shell git rev-list --count HEAD)
DEB_DIR     := build-deb/rendio

deb: deps-deb
	@rm -rf $(DEB_DIR)
	@mkdir -p $(DEB_DIR)
	@git ls-files -z -co --exclude-standard | xargs -0 cp --parents -t $(DEB_DIR)
	@sed -i '1s/(.*)/($(DEB_VERSION))/' $(DEB_DIR)/debian/changelog
	@cd $(DEB_DIR) && dpkg-buildpackage -us -uc -b
	@rm -rf $(DEB_DIR)
	@lintian --fail-on error,warning build-deb/rendio_$(DEB_VERSION)_*.changes
	@echo build-deb/rendio_$(DEB_VERSION)_$$(dpkg --print-architecture).deb

deps-deb:
	@tools/install-deps build deb

# The package's life in a clean Debian that is booted in a container; as root.
.PHONY: test-package
test-package: deps-test deps-deb
	@tools/install-deps package
	@tests/package/run

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
