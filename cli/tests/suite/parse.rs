//! `gantry parse`: the document that `docs/ast.md` promises.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

#[track_caller]
fn parsed(text: &str, code: i32) -> Value {
    let sandbox = Sandbox::new();
    let output = sandbox.gantry_with_input(["parse", "--json", "-"], text.as_bytes()).code(code);
    assert_eq!(output.stderr, "");
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_file_as_json() {
    let text = "# escape=`\n\n# base the tools\nFROM --platform=linux/arm64 alpine AS base\nRUN --mount=type=cache,target=/c <<E\nmake\nE\nENV a b\n";
    let document = parsed(text, 0);
    assert_eq!(document["version"], 1);
    assert_eq!(document["directives"]["escape"], "`");
    assert_eq!(document["diagnostics"], json!([]));
    let statements = document["statements"].as_array().unwrap();
    let kinds: Vec<_> = statements.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["FROM", "RUN", "ENV"]);
    let slice = |span: &Value| {
        let at = |index: usize| usize::try_from(span[index].as_u64().unwrap()).unwrap();
        &text[at(0)..at(1)]
    };
    let from = &statements[0];
    assert_eq!(slice(&from["name"]["span"]), "base");
    assert_eq!(from["description"], "the tools");
    assert_eq!(slice(&from["flags"][0]["span"]), "--platform=linux/arm64");
    let run = &statements[1];
    assert_eq!(run["lines"], json!([5, 7]));
    assert_eq!(run["mounts"][0]["fields"][1]["key"], "target");
    assert_eq!(slice(&run["mounts"][0]["fields"][1]["value"]["span"]), "/c");
    assert_eq!(run["heredocs"][0]["raw"], "make\n");
    assert_eq!(slice(&run["heredocs"][0]["span"]), "make\n");
    let pair = &statements[2]["pairs"][0];
    assert_eq!((&pair["legacy"], &pair["value"]["text"]), (&json!(true), &json!("b")));
}

#[test]
fn errors_are_part_of_the_document() {
    let document = parsed("FROM a\nRUM x\nCOPY --lnk a b\n", 1);
    let found: Vec<_> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["severity"].clone(), it["lines"].clone(), it["message"].clone()))
        .collect();
    let error = json!("error");
    let texts = [
        "dockerfile parse error on line 2: unknown instruction: RUM (did you mean RUN?)",
        "dockerfile parse error on line 3: unknown flag: --lnk (did you mean link?)",
    ];
    assert_eq!(
        found,
        [(error.clone(), json!([2, 2]), json!(texts[0])), (error, json!([3, 3]), json!(texts[1])),]
    );
    let label = &document["diagnostics"][1]["labels"][0];
    assert_eq!(label["span"], json!([18, 23]));
    assert_eq!(label["start"], json!({"line": 3, "column": 6}));
    // What is well formed is there all the same.
    assert_eq!(document["statements"][0]["kind"], "FROM");
}

#[test]
fn every_member_of_every_kind_is_documented() {
    let all = "# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a\nARG x=1\nRUN --network=none --security=sandbox true\nCOPY --link a b\nADD --unpack a b\nENV a=b\nLABEL a=b\nWORKDIR /\nUSER u\nCMD [\"a\"]\nENTRYPOINT a\nSHELL [\"s\"]\nEXPOSE 80\nVOLUME /v\nSTOPSIGNAL 9\nMAINTAINER m\nHEALTHCHECK --retries=3 --interval=3s CMD x\nONBUILD RUN x\n";
    let document = parsed(all, 0);
    let docs = include_str!("../../../docs/ast.md");
    let mut names = std::collections::BTreeSet::new();
    collect(&document, &mut names);
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        assert!(
            docs.contains(&format!("`{name}`")) || docs.contains(&format!("\"{name}\"")),
            "{name}"
        );
    }
    // And none of the kinds was forgotten here.
    for kind in docs.lines().filter_map(|line| line.strip_prefix("| `")) {
        let kind = kind.split('`').next().unwrap();
        if kind.chars().all(char::is_uppercase) {
            assert!(all.contains(&format!("\n{kind} ")), "{kind}");
        }
    }
}

fn collect(value: &Value, names: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            names.extend(members.keys().cloned());
            members.values().for_each(|value| collect(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[test]
fn without_json_it_is_for_people() {
    let sandbox = Sandbox::with([("Dockerfile", "from a\nrun x \\\n  y\n"), ("bad", "FROM\n")]);
    let output = sandbox.gantry(["parse", "Dockerfile"]).success();
    assert_eq!(output.stdout, "1: FROM a\n2: RUN x   y\n");
    let output = sandbox.gantry(["parse", "bad"]).code(1);
    assert!(
        output.stderr.contains("FROM requires either one or three arguments"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("bad:1"), "{}", output.stderr);
    sandbox.gantry(["parse", "nowhere"]).code(1);
}
