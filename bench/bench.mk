# Rules for the benchmarks against Linux.
