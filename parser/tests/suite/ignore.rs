//! Ignore files against moby's rules (C3), written out, and against a slow reference.

use gantry_parser::ignore::{DirState, IgnoreFile, Walk};
use proptest::prelude::*;

fn excluded(file: &str, path: &str) -> bool {
    IgnoreFile::parse(file).unwrap().matches(path.as_bytes()).excluded
}

#[test]
fn table() {
    for (file, path, expect) in [
        ("foo", "foo", true),
        ("foo", "a/foo", false),
        ("foo", "foo/bar", true),
        ("foo", "foobar", false),
        ("/foo", "foo", true),
        ("foo/", "foo/x", true),
        ("./foo/../bar", "bar", true),
        ("*", "a/b/c", true),
        ("*/b", "a/b", true),
        ("*/b", "a/c/b", false),
        ("*.log", "x.log", true),
        ("*.log", "a/x.log", false),
        ("a*/x", "abc/x/y", true),
        ("a?", "ab", true),
        ("a?", "a", false),
        ("[a-c]x", "bx", true),
        ("[^a]x", "ax", false),
        ("**", "anything/at/all", true),
        ("**/foo", "foo", true),
        ("**/foo", "a/b/foo", true),
        ("**/foo", "a/b/foo/c", true),
        ("**/foo", "a/xfoo", false),
        ("foo/**", "foo", false),
        ("foo/**", "foo/a/b", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "az", false),
        ("**/*.go", "x.go", true),
        ("**/*.go", "a/b/x.go", true),
        ("**/*.go", "a/b/x.goo", false),
        ("**foo", "barfoo", true),
        ("**foo", "x/barfoo/y", true),
        ("foo**", "foobar/x", true),
        ("foo**bar", "foobar", true),
        ("foo**bar", "foox/bar", true),
        ("foo**bar", "fooxbar", false),
        ("**/a/**/b", "x/a/y/z/b", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a.b", "axb", false),
        ("(a)+{b}|$", "(a)+{b}|$", true),
        ("  foo  ", "foo", true),
        ("# foo", "# foo", false),
        (" # foo", "# foo", true),
        ("\u{feff}foo", "foo", true),
        ("foo\r\nbar\r\n", "bar", true),
        ("", "x", false),
        (".", "x", false),
        ("/", "x", false),
        ("..", "x", false),
    ] {
        assert_eq!(excluded(file, path), expect, "{file:?} {path:?}");
    }
}

#[test]
fn the_last_line_that_matches_wins() {
    let file = "*\n!src\nsrc/*.tmp\n!src/keep.tmp\n";
    for (path, expect) in [
        ("README", true),
        ("src", false),
        ("src/main.rs", false),
        ("src/deep/x.tmp", false),
        ("src/a.tmp", true),
        ("src/keep.tmp", false),
    ] {
        assert_eq!(excluded(file, path), expect, "{path}");
    }
    assert!(!excluded("node_modules\n!node_modules/keep", "node_modules/keep/x"));
    assert!(excluded("node_modules\n!node_modules/keep", "node_modules/other"));
    assert!(excluded("!a\na", "a"));
    // BuildKit asks a `!` line only about what is excluded: `a` itself was not.
    assert!(excluded("a/*\n!a", "a/x"));
    assert!(excluded("**/*.md\n!docs", "docs/x.md"));
}

#[test]
fn the_verdict_names_the_line() {
    let file = IgnoreFile::parse("# first\n\n*.log\n!keep.log\n").unwrap();
    assert_eq!(file.matches(b"a.log").line, Some(3));
    assert_eq!(file.matches(b"keep.log").line, Some(4));
    assert_eq!(file.matches(b"other").line, None);
    assert_eq!(file.pattern(4), Some("!keep.log"));
    assert!(file.has_exceptions() && !file.is_empty());
}

#[test]
fn bad_files_are_refused() {
    let message = |text: &str| IgnoreFile::parse(text).unwrap_err().to_string();
    assert_eq!(message("a\n ! \n"), "illegal exclusion pattern: \"!\"");
    assert_eq!(message("a\n[x\n"), "Failed to read the pattern `[x` in line 2");
}

#[test]
fn pruning() {
    let prunes = |file: &str, dir: &str| IgnoreFile::parse(file).unwrap().prunes(dir.as_bytes());
    assert!(prunes("target", "target"));
    assert!(prunes("target", "target/debug"));
    assert!(!prunes("target", "src"));
    assert!(!prunes("target\n!target/x/y", "target"));
    assert!(!prunes("target\n!target/x/y", "target/x"));
    assert!(prunes("target\n!target/x/y", "target/z"));
    assert!(!prunes("target\n!**/keep", "target"));
    assert!(prunes("*\n!src", "target"));
    assert!(!prunes("*\n!src/*.rs", "src"));
}

/// moby by definition: `**` as in its regular expression, one candidate at a time.
fn slow_match(pattern: &[char], path: &[char], first: bool, literal: bool) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => {
            let slash = rest.first() == Some(&'/');
            let after = if slash { &rest[1..] } else { rest };
            if after.is_empty() {
                return true;
            }
            // A pattern of `**` and plain text is a suffix.
            if first && literal && !slash {
                return path.ends_with(after);
            }
            slow_match(after, path, false, literal)
                || (0..path.len())
                    .any(|n| path[n] == '/' && slow_match(after, &path[n + 1..], false, literal))
        }
        ['*', rest @ ..] => {
            let reach = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=reach).any(|n| slow_match(rest, &path[n..], false, literal))
        }
        ['?', rest @ ..] => {
            path.first().is_some_and(|c| *c != '/') && slow_match(rest, &path[1..], false, literal)
        }
        [c, rest @ ..] => path.first() == Some(c) && slow_match(rest, &path[1..], false, literal),
    }
}

fn slow_pattern(pattern: &str, path: &str) -> bool {
    let literal = !pattern.strip_prefix("**").unwrap_or(pattern).contains(['*', '?']);
    let (p, s): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    slow_match(&p, &s, true, literal)
}

/// The verdict by definition, with the memory that BuildKit's walk has.
fn slow(lines: &[String], path: &str) -> bool {
    let mut matched = vec![false; lines.len()];
    let mut verdict = false;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        verdict = false;
        for (line, matched) in lines.iter().zip(&mut matched) {
            let exception = line.starts_with('!');
            let pattern = line.trim_start_matches('!');
            if !*matched && exception == verdict {
                *matched = slow_pattern(pattern, &path[..end]);
            }
            if *matched {
                verdict = !exception;
            }
        }
    }
    verdict
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof!["[ab]{1,2}", "[ab*?]{1,3}", Just("**".to_owned())];
    (any::<bool>(), prop::collection::vec(part, 1..4)).prop_map(|(exception, parts)| {
        format!("{}{}", if exception { "!" } else { "" }, parts.join("/"))
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]{1,3}", 1..5).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_definition(
        lines in prop::collection::vec(pattern(), 1..5),
        path in path(),
    ) {
        let file = IgnoreFile::parse(&lines.join("\n")).unwrap();
        prop_assert_eq!(file.matches(path.as_bytes()).excluded, slow(&lines, &path));
    }

    #[test]
    fn a_walk_says_the_same_and_prunes_nothing_that_counts(
        lines in prop::collection::vec(pattern(), 1..5),
        path in path(),
    ) {
        let file = IgnoreFile::parse(&lines.join("\n")).unwrap();
        let whole = file.matches(path.as_bytes());
        let walk = Walk::new(&file);
        prop_assert_eq!(walk.matches(path.as_bytes()), whole);
        prop_assert_eq!(walk.prunes(path.as_bytes()), file.prunes(path.as_bytes()));
        let mut state: DirState = file.root();
        for (at, _) in path.match_indices('/') {
            let dir = &path.as_bytes()[..at];
            prop_assert_eq!(file.matches_in(&state, dir), file.matches(dir));
            state = file.enter(&state, dir);
            prop_assert_eq!(file.prunes_in(&state, dir), file.prunes(dir));
            if file.prunes(dir) {
                prop_assert!(whole.excluded, "pruned at {}", at);
            }
        }
        prop_assert_eq!(file.matches_in(&state, path.as_bytes()).excluded, whole.excluded);
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}", path in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(file) = IgnoreFile::parse(&text) {
            let _ = (file.matches(&path), file.prunes(&path));
        }
    }
}

#[test]
fn no_pattern_is_slow() {
    let file = IgnoreFile::parse("**a**a**a**a**a**a**b\na/**/a/**/a/**/a/**/b\n").unwrap();
    let path = "a/".repeat(5_000) + "c";
    assert!(!file.matches(path.as_bytes()).excluded);
}

#[test]
fn patterns_are_told_as_clients_send_them() {
    let file = IgnoreFile::parse("# none\n/x/\n\n ! x/./y \n**/z\n").unwrap();
    assert_eq!(file.patterns(), ["x", "!x/y", "**/z"]);
}
