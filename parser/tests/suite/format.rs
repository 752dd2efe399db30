//! Formatting: another look, the same meaning.

use std::path::{Path, PathBuf};

use gantry_parser::ast::{Instruction, Statement};
use gantry_parser::{SourceFile, format, parse};
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(formatted(text).unwrap(), expect);
}

/// Formats, and holds the result to what formatting promises. `None` for a file with errors.
#[track_caller]
fn formatted(text: &str) -> Option<String> {
    let got = format::format(&SourceFile::new("x", text)).ok()?;
    assert_eq!(meaning(&got), meaning(text), "of {text:?}, now {got:?}");
    let again = format::format(&SourceFile::new("x", got.as_str())).unwrap();
    assert_eq!(again, got, "twice, of {text:?}");
    Some(got)
}

/// The tree without places, the case of keywords, and the one line that progress shows.
fn meaning(text: &str) -> String {
    let parsed = parse(&SourceFile::new("x", text));
    let mut dockerfile = parsed.dockerfile;
    dockerfile.statements.iter_mut().for_each(neutral);
    let tree = format!("{:?} {:?}", dockerfile, parsed.diagnostics);
    without_places(&tree)
}

fn neutral(statement: &mut Statement) {
    statement.keyword.text = statement.keyword.text.to_uppercase().into();
    statement.text = "".into();
    statement.blank_lines.clear();
    if let Instruction::From(from) = &mut statement.instruction
        && let Some(word) = &mut from.as_keyword
    {
        word.text = word.text.to_uppercase();
    }
}

/// Drops every `1..2`.
fn without_places(tree: &str) -> String {
    let mut out = String::new();
    for piece in tree.split("..") {
        let piece = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(piece.trim_end_matches(|c: char| c.is_ascii_digit()));
        out.push_str("..");
    }
    out
}

#[test]
fn one_space_and_keywords_in_upper_case() {
    check("from   a  as  b\n\trun   x   y  \n", "FROM a AS b\nRUN x   y\n");
    check("from a\ncopy --link  --chown=1   a   b", "FROM a\nCOPY --link --chown=1 a b\n");
    check("from a\nenv a=b   c=\"d  e\"\n", "FROM a\nENV a=b c=\"d  e\"\n");
    check("from a\ncmd  [ \"a\",\"b  c\" ]\n", "FROM a\nCMD [\"a\", \"b  c\"]\n");
    check("from a\nhealthcheck --retries=2   cmd  x\n", "FROM a\nHEALTHCHECK --retries=2 CMD x\n");
    check("from a\r\nexpose 80   90\r\n", "FROM a\nEXPOSE 80 90\n");
}

#[test]
fn what_the_image_stores_stays() {
    check("from a\nonbuild   copy   a   b\n", "FROM a\nONBUILD copy   a   b\n");
    check("from a\nenv   a   b  c\n", "FROM a\nENV a   b  c\n");
    check("from a\nworkdir  /a  b\n", "FROM a\nWORKDIR /a  b\n");
}

#[test]
fn blank_lines_and_comments() {
    check("\n\nfrom a   \n\n\n\n  # c  \nrun x\n\n\n", "FROM a\n\n# c\nRUN x\n");
    // Not a directive before, so not afterwards.
    check("\n\n# escape=`\nfrom a\n", "\n# escape=`\nFROM a\n");
    check("# escape=`\nfrom a\nrun x `\n y\n", "# escape=`\nFROM a\nRUN x `\n y\n");
}

#[test]
fn continuations() {
    check(
        "from a\ncopy a\\\n\n # why\n  b   c  \\  \n d\n",
        "FROM a\nCOPY a \\\n    # why\n    b c \\\n    d\n",
    );
    check("from a\nenv a=b \\\n c=d\n", "FROM a\nENV a=b \\\n    c=d\n");
    check(
        "from a\ncmd [ \\\n\"a\", \\\n\"b\" \\\n]\n",
        "FROM a\nCMD [ \\\n    \"a\", \\\n    \"b\" \\\n    ]\n",
    );
    // The blanks are part of the command, and so of what its step is looked up by.
    check("from a\nrun x  \\\n\n# c\n  && y\\\nz\n", "FROM a\nRUN x  \\\n    # c\n  && y\\\nz\n");
    check("from a\nrun --network=none  \\\n  x\n", "FROM a\nRUN --network=none \\\n    x\n");
    check("\\\n# c\n from a\n", "\\\n    # c\nFROM a\n");
    check("from a\nrun x \\\n# end\n", "FROM a\nRUN x\n# end\n");
}

#[test]
fn here_documents_stay() {
    check(
        "from a\nrun  <<-E  cat\n\t x  \n\n# y\n\tE",
        "FROM a\nRUN <<-E  cat\n\t x  \n\n# y\n\tE\n",
    );
    check(
        "from a\ncopy  <<A  <<B  /x/\r\n  1\r\nA\r\nB\r\n\r\n",
        "FROM a\nCOPY <<A  <<B  /x/\n  1\r\nA\r\nB\n",
    );
}

#[test]
fn a_file_with_errors_is_left_alone() {
    let errors = format::format(&SourceFile::new("x", "FORM a\nRUN\n")).unwrap_err();
    assert!(errors.len() > 1);
}

#[test]
fn odd_ends_of_lines_stay_what_they_are() {
    for text in [
        "FROM a\nEXPOSE 8\\\r\t\n",
        "FROM a\nARG a=:c\"\u{a0}:`#\t\\\r\t\n",
        "FROM a\nHEALTHCHECK CMD \u{a0}':'\\-,}\\\r\n",
        "FROM a\nRUN a\\ \\",
        "FROM a\nRUN \\\r \r\\\n",
        "FROM a\nENV [ ]\n",
        "FROM a\nRUN \\\\\r\\\n",
        "FROM a\nRUN a\\\u{a0}  \nRUN b\n",
    ] {
        assert!(formatted(text).is_some(), "{text:?}");
    }
}

/// Every Dockerfile below `dir`.
fn dockerfiles(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            dockerfiles(&path, found);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains("Dockerfile"))
        {
            found.push(path);
        }
    }
}

#[test]
fn every_file_of_the_test_data_keeps_its_meaning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    dockerfiles(&root.join("testdata"), &mut found);
    dockerfiles(&root.join("examples"), &mut found);
    let count = found
        .iter()
        .filter(|path| formatted(&String::from_utf8_lossy(&fs_err::read(path).unwrap())).is_some())
        .count();
    assert!(count >= 60, "only {count} files without errors");
}

fn lines() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let keyword = prop::sample::select(vec![
        "FROM a\n",
        "RUN ",
        "run --network=none ",
        "copy ",
        "COPY <<E ",
        "ADD ",
        "ENV ",
        "env a=",
        "ONBUILD ",
        "ONBUILD RUN <<E ",
        "HEALTHCHECK CMD ",
        "ARG a=",
        "EXPOSE 8",
        "# ",
        "",
        "E",
        "SHELL [\"",
        "VOLUME ",
        "LABEL b=",
        "cmd [\"a\" ",
        "  \\",
        "&& ",
        "# check=skip=all",
    ]);
    let rest = "([a-b]|[a-c$=:<\"'\\[\\]{},\\\\#` \t\r\u{a0}-]){0,12}";
    prop::collection::vec((keyword, rest), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn formatting_changes_no_meaning(
        escape in any::<bool>(),
        lines in lines(),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\n", "\r\n", "\\\n", "\n\n", " \\ \n"]), 12),
    ) {
        let mut text = String::from(if escape { "# escape=`\n" } else { "" });
        text.push_str("FROM a\n");
        for ((keyword, rest), end) in lines.iter().zip(ends) {
            text.push_str(keyword);
            text.push_str(rest);
            text.push_str(end);
        }
        formatted(&text);
        // One by one as well: in a longer file there is nearly always an error.
        for (keyword, rest) in &lines {
            formatted(&format!("FROM a\n{keyword}{rest}\n"));
            formatted(&format!("FROM a\n{keyword}\\\n{rest} \\\n# c\nc\nE\n"));
        }
    }
}
