//! Hostile files: no panic, and time that grows no faster than the file.

use std::time::{Duration, Instant};

use gantry_parser::{SourceFile, lint, parse};
use proptest::prelude::*;

use crate::dump::dump;

/// A debug build takes about a tenth of this; something quadratic would take hours.
const ENOUGH: Duration = Duration::from_secs(20);

fn survives(what: &str, text: String) {
    let start = Instant::now();
    let parsed = parse(&SourceFile::new("Dockerfile", text));
    let _ = lint::check(&parsed.dockerfile, None);
    assert!(start.elapsed() < ENOUGH, "{what} took {:?}", start.elapsed());
}

const LARGE: usize = 10 << 20;
const SMALL: usize = 1 << 20;

fn filled(size: usize, head: &str, piece: &str) -> String {
    let mut text = String::from(head);
    while text.len() < size {
        text.push_str(piece);
    }
    text
}

#[test]
fn many_instructions() {
    survives("RUN", filled(SMALL, "FROM a\n", "RUN --mount=type=cache,target=/x echo hello\n"));
}

#[test]
fn ten_megabytes_of_one_instruction() {
    survives("ENV", filled(LARGE, "FROM a\nENV a=b \\\n", "key=value 'quoted' \\\n\n# comment\n"));
}

#[test]
fn ten_megabytes_on_one_line() {
    survives("one line", filled(LARGE, "FROM a\nRUN [\"", "[\"\\u12\", \""));
    survives("brackets", filled(SMALL, "FROM a\nCOPY ", "[[[\""));
    survives("flags", filled(SMALL, "FROM a\nRUN ", "--mount=\"\\ '"));
}

#[test]
fn many_heredocs() {
    survives("bodies", filled(SMALL, "FROM a\n", "RUN <<E\necho\nE\n"));
    survives("unterminated", filled(SMALL, "FROM a\n", "RUN <<E\n"));
    survives("openings", filled(SMALL, "FROM a\nCOPY ", "<<E "));
    survives("angles", filled(SMALL, "FROM a\nRUN ", "<<<${x"));
}

#[test]
fn much_nothing() {
    survives("blank", filled(SMALL, "", "\n"));
    survives("comments", filled(SMALL, "FROM a\n", "# check=skip=all\n"));
    survives("escapes", filled(SMALL, "FROM a\nRUN ", "\\\n"));
    survives("directives", filled(SMALL, "", "# escape=`\n"));
}

#[test]
fn many_mistakes() {
    survives("keywords", filled(SMALL, "", "FORM x\n"));
    survives("stages", filled(SMALL, "", "FROM a AS a\n"));
    let unique: String = (0..30_000).map(|n| format!("FROM s{n} AS t{n}\nWORKDIR a\n")).collect();
    survives("unique stages", unique);
    let flags = "--x=1 ".repeat(50_000) + &"--link ".repeat(50_000);
    survives("flags", format!("FROM a\nCOPY {flags} a b\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_survives(text in "\\PC{0,200}") {
        let _ = parse(&SourceFile::new("x", text));
    }

    #[test]
    fn anything_that_looks_like_a_dockerfile_survives(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "FROM ", "RUN ", "copy ", "ADD ", "ENV ", "ONBUILD ", "ONBUILD RUN ",
                    "HEALTHCHECK ", "ARG ", "EXPOSE ", "# ", "", "SHELL ", "VOLUME ", "LABEL ",
                ]),
                "[a-c$=:<\"'\\[\\]{},\\\\` \t\r-]{0,20}",
            ),
            0..12,
        )
    ) {
        let text: String = lines.iter().map(|(keyword, rest)| format!("{keyword}{rest}\n")).collect();
        let source = SourceFile::new("x", text);
        let parsed = parse(&source);
        for statement in &parsed.dockerfile.statements {
            prop_assert_eq!(source.slice(statement.keyword.span), &statement.keyword.text);
            prop_assert!(statement.span.end <= source.text().len());
        }
        // Looks at every word, too.
        dump(&source);
    }
}
