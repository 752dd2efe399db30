//! Cases as folders: `testdata/parser/<case>/Dockerfile` and what is `expected` of it.
//!
//! `BLESS=1 cargo test -p gantry-parser` rewrites what is expected; read the diff.

use std::path::{Path, PathBuf};

use gantry_parser::{SourceFile, parse};

use crate::dump::dump;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/parser")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        fs_err::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn source(case: &Path) -> SourceFile {
    SourceFile::from_bytes("Dockerfile", &fs_err::read(case.join("Dockerfile")).unwrap())
}

#[test]
fn every_case_is_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let got = dump(&source(&case));
        let expected = case.join("expected");
        if bless {
            fs_err::write(&expected, &got).unwrap();
        } else if fs_err::read_to_string(&expected).unwrap() != got {
            wrong.push(format!("{}\n{got}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (BLESS=1 rewrites):\n{}", wrong.join("\n"));
}

#[test]
fn no_case_is_forgotten() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for case in cases {
        let mut names: Vec<_> =
            fs_err::read_dir(&case).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["Dockerfile", "expected"], "{}", case.display());
    }
}

#[test]
fn every_span_lies_in_the_file_and_around_its_statement() {
    for case in cases() {
        let source = source(&case);
        let parsed = parse(&source);
        for statement in &parsed.dockerfile.statements {
            assert!(statement.span.end <= source.text().len());
            assert_eq!(source.slice(statement.keyword.span), statement.keyword.text);
            for flag in &statement.flags {
                assert!(source.slice(flag.span).starts_with("--"), "{}", case.display());
            }
        }
        for label in parsed.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
            assert!(label.span.end <= source.text().len(), "{}", case.display());
        }
    }
}
