//! Cases as folders: `testdata/lint/<rule>/Dockerfile`, and what all rules say of it. Where
//! something can be mended, `fixed` holds the mended file.
//!
//! `BLESS=1 cargo test -p gantry-parser lint` rewrites what is expected; read the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gantry_parser::ast::{Env, Instruction};
use gantry_parser::expand::Lexer;
use gantry_parser::ignore::IgnoreFile;
use gantry_parser::lint::{self, Base, World, fix, hadolint};
use gantry_parser::{Diagnostic, SourceFile, parse};
use proptest::prelude::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/lint")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        fs_err::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

fn source(case: &Path) -> SourceFile {
    SourceFile::from_bytes("Dockerfile", &fs_err::read(case.join("Dockerfile")).unwrap())
}

fn settings(case: &str) -> hadolint::Settings {
    let mut settings = hadolint::Settings {
        trusted_registries: vec!["docker.io".into(), "*.trusted.example".into()],
        ..hadolint::Settings::default()
    };
    // These are off by default, and would be found everywhere.
    if matches!(case, "dl3057" | "dl3063") {
        settings.levels.insert(case.to_uppercase(), hadolint::Level::Info);
    }
    // The rules about labels ask for them.
    let schema = [
        ("title", ""),
        ("url", "url"),
        ("created", "rfc3339"),
        ("licenses", "spdx"),
        ("revision", "hash"),
        ("version", "semver"),
        ("mail", "email"),
    ];
    if ("dl3049".."dl3057").contains(&case) || case == "dl3058" {
        let wanted = schema.iter().filter(|(key, _)| case != "dl3049" || *key == "title");
        let kind = |kind| hadolint::LabelKind::named(kind).unwrap();
        settings.label_schema = wanted.map(|(key, name)| ((*key).into(), kind(name))).collect();
        // What is missing is for DL3049 to say.
        if case != "dl3049" {
            settings.ignored.push("DL3049".into());
        }
        settings.strict_labels = case == "dl3050";
    }
    settings
}

/// What is found in a case: BuildKit's rules, then hadolint's if the case is one of these.
fn found(case: &Path) -> String {
    let source = source(case);
    let parsed = parse(&source);
    let ignore = IgnoreFile::parse("ignored\n*.log\n").unwrap();
    // The only image that is known.
    let base = |name: &str, _: &str| {
        let env = vec![("FROM_BASE".to_owned(), "1".to_owned())];
        (name == "known").then(|| Base { env, platform: "linux/arm64".into() })
    };
    let world =
        World { ignore: Some(&ignore), platform: "linux/amd64", base: &base, ..World::unknown() };
    let mut out = String::new();
    let mut tell = |level: &str, finding: &Diagnostic| {
        let span = finding.span().unwrap();
        let line = source.line_of(span.start);
        let code = finding.code.unwrap_or("error");
        let at = source.slice(span).lines().next().unwrap_or_default();
        writeln!(out, "{line} `{at}`: {code}{level}: {}", finding.message).unwrap();
    };
    if name(case).starts_with("dl") {
        for finding in hadolint::check(&parsed.dockerfile, &settings(&name(case))) {
            let level = format!(" {:?}", finding.level).to_lowercase();
            tell(&level, &finding.diagnostic);
        }
    } else {
        for finding in lint::check_in(&parsed.dockerfile, None, &world) {
            tell("", &finding);
        }
    }
    out
}

#[test]
fn every_case_is_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let mut look = |path: PathBuf, got: &str| {
        if bless {
            fs_err::write(&path, got).unwrap();
        } else if fs_err::read_to_string(&path).unwrap() != got {
            wrong.push(format!("{}\n{got}", path.display()));
        }
    };
    for case in cases() {
        look(case.join("expected"), &found(&case));
        let source = source(&case);
        let fixed =
            fix::fix(&source).unwrap_or_else(|errors| panic!("{}: {errors:?}", case.display()));
        if fixed.text != source.text() && !name(&case).starts_with("dl") {
            look(case.join("fixed"), &fixed.text);
        }
    }
    assert!(wrong.is_empty(), "not as expected (BLESS=1 rewrites):\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_case_that_finds_it_and_a_page() {
    let names: BTreeSet<String> = cases().iter().map(|case| name(case)).collect();
    let rules = lint::RULES.iter().map(|rule| (rule.name, rule.page));
    let rules = rules.chain(hadolint::RULES.iter().map(|rule| (rule.code, rule.page)));
    for (rule, page) in rules {
        assert!(page.starts_with(&format!("# {rule}")), "{rule}");
        let case = rule.to_lowercase();
        assert!(names.contains(&case), "no case for {rule}");
        let told = fs_err::read_to_string(root().join(&case).join("expected")).unwrap();
        assert!(told.contains(&format!(": {rule}")), "the case of {rule} does not find it");
    }
    assert_eq!(lint::RULES.len(), 22);
    assert!(hadolint::RULES.len() >= 30);
}

#[test]
fn what_was_mended_stays_mended() {
    for case in cases() {
        let once = fix::fix(&source(&case)).unwrap();
        let twice = fix::fix(&SourceFile::new("Dockerfile", once.text.as_str())).unwrap();
        assert_eq!(twice.text, once.text, "{}", case.display());
        assert!(twice.mended.is_empty(), "{}: {:?}", case.display(), twice.mended);
    }
}

proptest! {
    #[test]
    fn rules_and_mends_stand_any_text(lines in prop::collection::vec(line(), 0..12)) {
        let source = SourceFile::new("Dockerfile", lines.join("\n"));
        let parsed = parse(&source);
        let _ = lint::check(&parsed.dockerfile, None);
        let _ = hadolint::check(&parsed.dockerfile, &settings("dl3057"));
        if let Ok(once) = fix::fix(&source) {
            let again = SourceFile::new("Dockerfile", once.text.as_str());
            let parsed = parse(&again);
            prop_assert!(!parsed.has_errors(), "{} became {}", source.text(), once.text);
            prop_assert_eq!(fix::fix(&again).unwrap().text, once.text);
        }
    }
}

proptest! {
    /// A legacy pair means what it meant.
    #[test]
    fn a_mended_pair_has_the_same_value(
        escape in prop::sample::select(vec!['\\', '`']),
        value in "[ab \\\\'\"`$={}<\\tä-]{1,12}",
    ) {
        let text = format!("# escape={escape}\nFROM scratch\nENV k {value}\n");
        let source = SourceFile::new("Dockerfile", text);
        let Ok(fixed) = fix::fix(&source) else { return Ok(()) };
        let value = |source: &SourceFile| {
            let parsed = parse(source).dockerfile;
            let [.., statement] = parsed.statements.as_slice() else { return None };
            let Instruction::Env(Env { pairs }) = &statement.instruction else { return None };
            let [pair] = pairs.as_slice() else { return None };
            let env = BTreeMap::from([("a".to_owned(), "x  y".to_owned())]);
            let value = Lexer::new(escape).text(&pair.value, &env).ok();
            Some((pair.key.text.clone(), value))
        };
        prop_assert!(value(&source).is_some());
        prop_assert_eq!(value(&source), value(&SourceFile::new("Dockerfile", fixed.text)));
    }
}

fn line() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(vec![
        "FROM a AS",
        "from",
        "From a as",
        "RUN",
        "Env",
        "ENV k",
        "LABEL",
        "MAINTAINER",
        "maintainer",
        "CMD",
        "cmd",
        "ENTRYPOINT",
        "ARG",
        "COPY a",
        "ADD",
        "EXPOSE",
        "# escape=",
        "USER",
        "RUN <<E",
    ]);
    (keyword, r#"[ a-zA-Z$\\"'`|&;=\-\[\]./#]{0,16}"#)
        .prop_map(|(word, rest)| format!("{word} {rest}"))
}
