//! The tree room's tests that need files, and those that compare with a naive reference.

mod common;
mod copying;
mod escapes;
mod looking;
mod manifests;
mod paths;
mod removing;
mod roots;
mod scanning;
mod views;

/// A file of this directory that no `mod` line names would silently not be tested.
#[test]
fn every_file_is_part_of_the_suite() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite");
    for file in fs_err::read_dir(here).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        let listed = format!("mod {name};");
        assert!(
            name == "main" || include_str!("main.rs").contains(&listed),
            "{name} is not listed"
        );
    }
}
