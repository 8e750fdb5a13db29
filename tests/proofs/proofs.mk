# Proofs of the kernel's core (docs/ASSURANCE.md). Results of the provers are kept in
# build/proofs/cache, so that a second run takes seconds.
.PHONY: prove prove-smoke
prove:
	@tests/proofs/prove.py
# Contradictory requirements and dead code: part of test-full.
prove-smoke:
	@tests/proofs/prove.py --smoke
# Every goal anew, whatever tests/proofs/proven.txt says: part of test-full.
.PHONY: prove-fresh
prove-fresh:
	@tests/proofs/prove.py --fresh
