# Two commands do everything on a fresh Debian or Ubuntu machine that has Rust.
.PHONY: demo test bench lint

demo: ## build, run and export the examples, showing each command
	@scripts/demo

test: ## every test: as root, and as an unprivileged user
	@scripts/test

bench: ## gantry against plain tools, in one run
	@scripts/bench $(ARGS)

lint: ## formatting, clippy, docs
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
