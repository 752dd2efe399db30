//! Findings as SARIF 2.1.0, which code hosts show beside the lines.

use std::collections::BTreeMap;

use gantry_parser::lint::hadolint::Level;
use serde_json::{Value, json};

use super::input::Input;
use super::report::Finding;

/// The whole document.
pub(super) fn document(found: &[Finding], input: &Input) -> Result<String, serde_json::Error> {
    let rules: BTreeMap<&str, Value> = found
        .iter()
        .map(|finding| {
            let rule = json!({
                "id": finding.code(),
                "shortDescription": { "text": finding.description },
                "helpUri": finding.url,
                "defaultConfiguration": { "level": level(finding.level) },
            });
            (finding.code(), rule)
        })
        .collect();
    let results: Vec<Value> = found.iter().map(|finding| result(finding, input)).collect();
    serde_json::to_string_pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "gantry",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    }))
}

fn result(finding: &Finding, input: &Input) -> Value {
    let source = &input.source;
    let path = input.path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let path = path.unwrap_or_else(|| source.name().to_owned());
    let uri = path.strip_prefix("./").unwrap_or(&path).replace(' ', "%20");
    let region = finding.diagnostic.span().map(|span| {
        let (start, end) = (source.position(span.start), source.position(span.end));
        json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        })
    });
    json!({
        "ruleId": finding.code(),
        "level": level(finding.level),
        "message": { "text": finding.diagnostic.message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri },
            "region": region,
        } }],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info | Level::Style => "note",
        Level::Ignore => "none",
    }
}
