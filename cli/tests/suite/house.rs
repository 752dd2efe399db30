//! The drawn house of `ARCHITECTURE.md` against the real one: which room may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::sandbox::files;

/// A room, and those that it may know.
const ROOMS: [(&str, &[&str]); 9] = [
    ("parser", &[]),
    ("tree", &[]),
    ("image", &["tree"]),
    ("sandbox", &["tree"]),
    ("cache", &["image", "tree"]),
    ("solver", &["parser", "image"]),
    ("executor", &["parser", "solver", "cache", "sandbox", "image", "tree"]),
    ("runtime", &["cache", "sandbox", "image", "tree"]),
    ("cli", &["parser", "solver", "executor", "runtime", "cache", "sandbox", "image", "tree"]),
];

#[test]
fn no_room_knows_one_that_it_may_not() {
    // The sources' own place: a copied suite runs without them, and without cargo.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec();
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) if std::env::var_os("GANTRY_TEST_FILES").is_some() => {
            crate::eprintln_skip(&format!("no cargo here: {error}"));
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let mut found = BTreeMap::new();
    for package in &metadata.packages {
        let room = |name: &str| name.strip_prefix("gantry-").map(str::to_owned);
        let Some(name) = room(&package.name) else { panic!("`{}` is no room", package.name) };
        let known: BTreeSet<String> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal)
            .filter_map(|dependency| room(&dependency.name))
            .collect();
        found.insert(name, known);
    }
    for (room, allowed) in ROOMS {
        let known = found.remove(room).unwrap_or_else(|| panic!("the room `{room}` is missing"));
        let allowed: BTreeSet<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        let extra: Vec<_> = known.difference(&allowed).collect();
        assert!(extra.is_empty(), "`{room}` may not know {extra:?}");
    }
    assert_eq!(
        found.into_keys().collect::<Vec<_>>(),
        ["benches", "fuzz"],
        "a room that nobody drew"
    );
}

#[test]
fn only_one_place_is_unsafe() {
    for (room, _) in ROOMS {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room).join("src");
        if !sources.is_dir() {
            crate::eprintln_skip("the sources are not readable here");
            return;
        }
        let mut forbidden = false;
        for path in rust_files(&sources) {
            let text = fs_err::read_to_string(&path).unwrap();
            forbidden |= text.contains("#![forbid(unsafe_code)]");
            let at_home = room == "sandbox" && path.starts_with(sources.join("sys"));
            for line in text.lines().filter(|_| !at_home) {
                let code = line.split("//").next().unwrap_or_default();
                let marks = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
                let shown = path.display();
                assert!(!marks.iter().any(|mark| code.contains(mark)), "{shown}: {line}");
            }
        }
        assert!(forbidden || room == "sandbox", "`{room}` doesn't forbid unsafe code");
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_table_of_where_to_go_names_places_that_are_there() {
    let text = fs_err::read_to_string(files().join("ARCHITECTURE.md")).unwrap();
    let Some((_, table)) = text.split_once("## To change X, go to Y") else {
        panic!("the table is gone")
    };
    let root = files();
    let mut seen = 0;
    for path in table.split('`').skip(1).step_by(2).filter(|word| word.contains('/')) {
        if !root.join("parser").is_dir() {
            crate::eprintln_skip("the sources are not readable here");
            return;
        }
        assert!(root.join(path).exists(), "`{path}` is not there");
        seen += 1;
    }
    assert!(seen > 10, "only {seen} paths were found");
}
