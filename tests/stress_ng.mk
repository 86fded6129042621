# Rules for stress-ng, Debian's stressors, in Pith (docs/stress-ng.md).

STRESS_NG := tests/programs/run_stress_ng --pith $(B)/pith --logs $(B)/tests/stress_ng
# What CI runs: every so many-th stressor, another share each day.
STRESS_NG_SHARES ?= 4
# stress-ng has no class of processes: those that make and end them are in `scheduler`, signals in
# `interrupt`; what a process has of its own are some of the class `os`, by name.
SOAK_CLASSES ?= memory,vm,scheduler,interrupt,cap,get,personality,prctl,procfs,pty,rlimit,set
CLASSES_SECONDS ?= 300

.PHONY: packages-stress-ng test-stress-ng soak-stress-ng soak-stress-classes record-stress-ng
packages-stress-ng:
	@tools/install-packages stress
test-stress-ng: all packages-stress-ng ## a share of stress-ng's stressors for a second each
	@$(STRESS_NG) --share day/$(STRESS_NG_SHARES)
soak-stress-ng: all packages-stress-ng ## all of stress-ng's stressors for five seconds each
	@$(STRESS_NG) --seconds 5
soak-stress-classes: all packages-stress-ng $(LEAVES_NOTHING) ## many at once; CLASSES_SECONDS
	@$(STRESS_NG) --cpus 4 --mem 3G --seconds $(CLASSES_SECONDS) --together $(SOAK_CLASSES) \
		--leaves $(LEAVES_NOTHING)
record-stress-ng: all packages-stress-ng ## how stress-ng's stressors end on Linux
	@$(STRESS_NG) --record
soak-stress:
	$(MAKE) soak-stress-ng soak-stress-classes
	$(MAKE) SAN=1 soak-stress-ng soak-stress-classes
.PHONY: soak-stress
