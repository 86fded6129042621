# Pith's build. Everything that is made lies in build/ (build/san/ with SAN=1); each folder's own
# rules stand in its fragment. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

SAN ?= 0
CC = gcc
BUILD_ROOT := build
B := $(BUILD_ROOT)$(if $(filter 1,$(SAN)),/san)$(if $(filter clang%,$(notdir $(firstword $(CC)))),/clang)
PREFIX ?= /usr/local

# What every compilation of ours shares; kernel, host and guest add theirs.
WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wpointer-arith -Wshadow -Wundef -Wvla -Wwrite-strings -Wno-unused-parameter \
	-Wno-missing-field-initializers -Wno-sign-compare
COMMON_CFLAGS := -std=gnu17 -g -O2 $(WARNINGS) -fno-strict-aliasing -fno-common -MMD -MP

.PHONY: all
all:

include kernel/kernel.mk
include user/user.mk
include host/host.mk
include tests/tests.mk
include tests/fuzz/fuzz.mk
include tests/stress_ng.mk
include examples/examples.mk
include bench/bench.mk
include tools/tools.mk

.PHONY: clean
clean: ## removes everything that was built
	rm -rf $(BUILD_ROOT)

.PHONY: help
help: ## lists the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 24 | sort
