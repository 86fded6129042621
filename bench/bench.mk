# Rules for the benchmarks against Linux.

.PHONY: bench
bench: bench-process-run ## prints the benchmarks' tables
