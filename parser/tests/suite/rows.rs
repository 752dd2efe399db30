//! Every rule of the language has a case named after it, or a test that says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all cases, of whichever kind.
fn cases() -> BTreeSet<String> {
    let kinds = ["parser", "lower"].map(|kind| root().join("testdata").join(kind));
    let entries = kinds.iter().flat_map(|kind| fs_err::read_dir(kind).unwrap());
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_rule_has_a_case_or_a_test() {
    let cases = cases();
    let rows = fs_err::read_to_string(root().join("testdata/rows.txt")).unwrap();
    let mut count = 0;
    let mut missing = Vec::new();
    for row in rows.lines().filter(|line| !line.starts_with('#')) {
        count += 1;
        let words: Vec<_> = row.split(' ').collect();
        let found = match words.as_slice() {
            [id] => {
                let prefix = format!("{}-", id.to_lowercase());
                cases.range(prefix.clone()..).next().is_some_and(|case| case.starts_with(&prefix))
            }
            [_, rule] => fs_err::read_to_string(
                root().join("testdata/lint").join(rule.to_lowercase()).join("expected"),
            )
            .is_ok_and(|told| told.contains(&format!(": {rule}: "))),
            [_, file, test] => fs_err::read_to_string(root().join(file))
                .is_ok_and(|text| text.contains(&format!("fn {test}()"))),
            _ => false,
        };
        if !found {
            missing.push(row);
        }
    }
    assert!(count > 190, "only {count} rules");
    assert!(missing.is_empty(), "no case and no test for {missing:#?}");
}

#[test]
fn there_are_many_cases() {
    let count = cases().len();
    assert!(count >= 250, "only {count} cases");
}
