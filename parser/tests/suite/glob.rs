//! Go's `filepath.Match` against its own table, written anew, and against a slow reference.

use gantry_parser::glob::{Glob, has_wildcards};
use proptest::prelude::*;

#[test]
fn table() {
    for (pattern, path, expect) in [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("a[^a][^a][^a]b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[\\-]", "-", true),
        ("[x\\-]", "-", true),
        ("[!a]", "!", true),
        ("*x", "xxx", true),
        ("", "", true),
        ("", "a", false),
        ("a[^b]c", "a/c", true),
    ] {
        assert_eq!(
            Glob::new(pattern).unwrap().matches(path.as_bytes()),
            expect,
            "{pattern} {path}"
        );
    }
}

#[test]
fn literal_or_not() {
    assert!(Glob::new("a\\*b").unwrap().is_literal());
    assert!(!Glob::new("a*b").unwrap().is_literal());
    assert!(has_wildcards("a\\*b") && !has_wildcards("a.b{c}"));
}

/// By definition: a star is any number of characters but `/`.
fn slow(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', rest @ ..] => {
            let reach = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=reach).any(|n| slow(rest, &path[n..]))
        }
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && slow(rest, &path[1..]),
        [c, rest @ ..] => path.first() == Some(c) && slow(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(pattern in "[ab*?/]{0,8}", path in "[ab/]{0,10}") {
        let (p, s): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
        prop_assert_eq!(Glob::new(&pattern).unwrap().matches(path.as_bytes()), slow(&p, &s));
    }

    #[test]
    fn never_panics(pattern in "\\PC{0,12}", path in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(glob) = Glob::new(&pattern) {
            let _ = glob.matches(&path);
        }
    }
}

#[test]
fn many_stars_are_fast() {
    let glob = Glob::new(&format!("{}b", "a*".repeat(200))).unwrap();
    assert!(!glob.matches("a".repeat(20_000).as_bytes()));
}
