# Models of the kernel's concurrent algorithms (docs/MODELS.md). ONLY="frame vcpu" checks those.
.PHONY: models
models:
	@tests/models/check.py --jobs=$(JOBS) $(ONLY)
