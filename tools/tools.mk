# Rules for what builds and checks the tree.

.PHONY: format-check format lint loc docs
format-check: ## fails when clang-format would change a source
	tools/install-packages lint
	tools/check-format
format: ## lets clang-format lay out all sources
	tools/install-packages lint
	tools/check-format --fix
lint: $(KERNEL_OFFSETS) ## checks the layers and the locks' annotations
	tools/install-packages lint
	tools/lint
loc: ## lines a folder
	@tools/loc
docs: $(KERNEL_ELF) ## makes the pages that come from tables in the code
	tools/generate-parameters $(KERNEL_ELF)
	tools/generate-lock-order
	tools/generate-syscalls
.PHONY: analyse
analyse: $(KERNEL_OFFSETS) ## what clang's static analyser finds: places to look
	tools/analyse
.PHONY: abi-coverage
abi-coverage: ## names of the ABI that no guest test names; must be none
	@tools/abi-coverage --all
