//! Stages, their names, and what lint options do to findings.

use gantry_parser::ast::Dockerfile;
use gantry_parser::{Severity, SourceFile, lint, parse, parse_check};

fn dockerfile(text: &str) -> Dockerfile {
    let parsed = parse(&SourceFile::new("Dockerfile", text));
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    parsed.dockerfile
}

#[test]
fn stages_hold_what_follows_their_from() {
    let file =
        dockerfile("ARG A\nARG B\nFROM x AS One\nRUN a\nRUN b\nFROM one\nFROM y AS ONE\nRUN c\n");
    let layout = file.layout();
    assert_eq!(layout.globals.len(), 2);
    assert_eq!(layout.stages.iter().map(|stage| stage.body.len()).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(layout.names(), ["one", "one"]);
    let found = |name, before| layout.find(name, before).map(|stage| stage.index);
    assert_eq!(found("ONE", 3), Some(2));
    assert_eq!(found("one", 2), Some(0));
    assert_eq!(found("one", 0), None);
    assert_eq!(found("two", 3), None);
}

#[test]
fn options_of_the_build_replace_those_of_the_file() {
    let file = dockerfile("# check=skip=all\nFROM a AS B\nMAINTAINER x\n");
    assert!(lint::check(&file, None).is_empty());
    let findings = lint::check(&file, Some(&parse_check("skip=StageNameCasing").unwrap()));
    let codes: Vec<_> = findings.iter().map(|finding| finding.code.unwrap()).collect();
    assert_eq!(codes, ["MaintainerDeprecated"]);
    assert_eq!(findings[0].severity, Severity::Warning);
}

#[test]
fn a_violation_lists_each_rule_once() {
    let file = dockerfile("FROM a AS B\nFROM a AS C\nMAINTAINER x\n");
    assert_eq!(
        lint::violation(&lint::check(&file, None)).unwrap(),
        "lint violation found for rules: MaintainerDeprecated, StageNameCasing"
    );
    assert_eq!(lint::violation(&[]), None);
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let mut names: Vec<_> = lint::RULES.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), lint::RULES.len());
}
