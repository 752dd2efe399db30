//! Build caches where nothing but names and bytes is known (C5-04, C5-05): in buckets of S3, and in
//! the cache service of GitHub Actions. Both are servers of the tests' own.

pub(crate) mod actions;
pub(crate) mod bucket;
mod gha;
pub(crate) mod http;
mod s3;

use crate::sandbox::Sandbox;

/// Builds with all progress told, from a cache.
fn build_from(sandbox: &Sandbox, from: &str) -> String {
    let build = ["build", "--progress=plain", "--cache-from", from, "-t", "x", "."];
    sandbox.gantry(build).success().stderr
}

/// Asserts that what is secret is neither in what was printed nor in the store.
fn assert_secret(sandbox: &Sandbox, told: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!told.contains(secret), "{secret} in {told}");
        let store = sandbox.store();
        let words = ["-rlaF", "-e", secret, store.to_str().unwrap()];
        let found = sandbox.other("/bin/grep".as_ref(), &words).output().unwrap();
        assert_eq!(String::from_utf8(found.stdout).unwrap(), "", "{secret}");
    }
}
