//! CopyIgnoredFile: what COPY and ADD name is not left out by the ignore file.

use super::{File, Findings, Rule};
use crate::ast::{Instruction, Transfer};
use crate::go::quote;
use crate::remote::{SourceKind, source_kind};

pub(super) const RULE: Rule = Rule {
    name: "CopyIgnoredFile",
    description: "Attempting to Copy file that is excluded by .dockerignore",
    experimental: false,
    page: include_str!("copy_ignored_file.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings) {
    // With exceptions, a directory may be left out and something in it not.
    let Some(ignore) = file.world.ignore.filter(|ignore| !ignore.has_exceptions()) else { return };
    for statement in &file.dockerfile.statements {
        let (verb, transfer): (_, &Transfer) = match &statement.instruction {
            Instruction::Copy(copy) if copy.from.is_none() => ("Copy", &copy.transfer),
            Instruction::Add(add) => ("Add", &add.transfer),
            _ => continue,
        };
        let plain = transfer.paths().filter(|path| {
            !path.may_expand()
                && !path.text.contains(['*', '?', '['])
                && source_kind(&path.text) == SourceKind::Path
        });
        for path in plain {
            let parts = path.text.split('/').filter(|part| !matches!(*part, "" | "."));
            let clean = parts.collect::<Vec<_>>().join("/");
            let verdict = ignore.matches(clean.as_bytes());
            if clean.is_empty() || !verdict.excluded {
                continue;
            }
            let message = format!(
                "Attempting to {verb} file {} that is excluded by .dockerignore",
                quote(&path.text)
            );
            findings.add(&RULE, message, path.span, statement);
            if let (Some(line), Some(finding)) = (verdict.line, findings.found.pop()) {
                let pattern = ignore.pattern(line).unwrap_or_default();
                let note = format!("line {line} of the ignore file, `{pattern}`, excludes it");
                findings.found.push(finding.with_note(note));
            }
        }
    }
}
