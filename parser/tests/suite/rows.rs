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
            [_, "later"] => true,
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
    assert!(count > 500, "only {count} rules");
    assert!(missing.is_empty(), "no case and no test for {missing:#?}");
}

/// The sections of images, `build` and registries are whole, and little of them is put off.
#[test]
fn no_number_is_left_out() {
    let rows = fs_err::read_to_string(root().join("testdata/rows.txt")).unwrap();
    let ids = |end: &str| -> BTreeSet<&str> {
        let lines = rows.lines().filter(|line| line.ends_with(end));
        lines.filter_map(|line| line.split(' ').next()).collect()
    };
    let all = ids("");
    for (section, numbers) in [
        ("A1", 1..=19),
        ("A3", 1..=14),
        ("A5", 20..=24),
        ("C1", 1..=33),
        ("C4", 1..=9),
        ("C5", 1..=8),
        ("C6", 1..=8),
        ("C7", 1..=6),
        ("E", 1..=32),
    ] {
        for number in numbers {
            let id = format!("{section}-{number:02}");
            assert!(all.contains(id.as_str()), "{id} is not there");
        }
    }
    let put_off: Vec<_> = ids(" later").into_iter().collect();
    let few = ["C1-28", "C1-33", "C5-06", "E-31"];
    assert_eq!(put_off, few, "a row that has a test now is not put off any more");
}

#[test]
fn there_are_many_cases() {
    let count = cases().len();
    assert!(count >= 250, "only {count} cases");
}
