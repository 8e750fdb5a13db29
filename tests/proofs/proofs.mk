# Proofs of the kernel's core (docs/ASSURANCE.md). Results of the provers are kept in
# build/proofs/cache, so that a second run takes seconds.
.PHONY: prove prove-fresh prove-smoke
prove:
	@tests/proofs/prove.py
# Every goal anew, whatever tests/proofs/proven.txt says: part of test-full.
prove-fresh:
	@tests/proofs/prove.py --fresh
# Contradictory requirements and dead code: part of test-full.
prove-smoke:
	@tests/proofs/prove.py --smoke
# Small mistakes in every function: a unit test fails or a goal is lost. Part of test-full.
.PHONY: prove-mutants
prove-mutants:
	@tests/proofs/mutants.py
