//! `build --check` and `build --call`: what a Dockerfile offers, without building it (C1-27).

use std::process::ExitCode;

use gantry_parser::{Dockerfile, SourceFile};
use serde_json::{Value, json};

use super::input::{Input, values};
use super::outline::Outline;
use super::report;
use crate::commands::Context;
use crate::commands::build::source::Sources;
use crate::commands::build::values::KeyValue;
use crate::ui::Failure;
use crate::ui::table::align;

/// What is asked for instead of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct Call {
    method: Method,
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Check,
    Outline,
    Targets,
    Describe,
}

/// What the build would be of.
pub(in crate::commands) struct Request<'a> {
    pub(in crate::commands) sources: Sources,
    pub(in crate::commands) build_args: &'a [KeyValue],
    pub(in crate::commands) target: Option<&'a str>,
    pub(in crate::commands) platform: Option<&'a str>,
    /// What the Dockerfile is called in marks for GitHub's runner, if that reads them.
    pub(in crate::commands) marked_as: Option<String>,
}

impl Call {
    /// Reads the value of `--call`; `None` means that it is to be built after all.
    ///
    /// # Errors
    /// A method or an option that there is not.
    pub(in crate::commands) fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        let name = name.strip_prefix("method=").unwrap_or(name);
        let method = match name {
            "build" | "" => None,
            "check" | "lint" => Some(Method::Check),
            "outline" => Some(Method::Outline),
            "targets" => Some(Method::Targets),
            "subrequests.describe" => Some(Method::Describe),
            other => {
                return Err(Failure::text(format_args!("unknown method \"{other}\" of --call"))
                    .with_hint(
                        "There are build, check, outline, targets and subrequests.describe",
                    ));
            }
        };
        let mut json = false;
        for part in parts {
            match part.split_once('=') {
                Some(("format", "json")) => json = true,
                Some(("format", "text")) => json = false,
                _ => return Err(Failure::text(format_args!("invalid option of --call: {part}"))),
            }
        }
        Ok(method.map(|method| Self { method, json }))
    }

    /// `--check`.
    pub(in crate::commands) const CHECK: Self = Self { method: Method::Check, json: false };
}

/// Answers it; what `check` finds exits with 1.
pub(in crate::commands) fn run(
    call: Call,
    request: Request<'_>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if call.method == Method::Describe {
        print(call, &SUBREQUESTS.map(|r| r.join("\t")), describe(), context)?;
        return Ok(ExitCode::SUCCESS);
    }
    let input = Input::of_build(request.sources)?;
    let parsed = input.parse()?;
    let dockerfile = &parsed.dockerfile;
    match call.method {
        Method::Targets => {
            let (lines, document) = targets(dockerfile, &input.source);
            print(call, &lines, document, context)?;
        }
        Method::Outline => {
            let values = values(request.build_args);
            let outline =
                Outline::of(dockerfile, request.target, &|name| values.get(name).cloned())?;
            let document = outline.document(&input.source);
            match call.json {
                true => context.ui.line(serde_json::to_string_pretty(&document)?)?,
                false => context.ui.write(&outline.text())?,
            }
        }
        Method::Describe | Method::Check => {
            let args = request.build_args;
            let found = input.findings(dockerfile, args, request.platform, context)?;
            match call.json {
                true => context.ui.line(report::json(&found, &input.source)?)?,
                false => report::text(&found, &input.source, context)?,
            }
            if let Some(name) = request.marked_as {
                report::mark(&found, &input.source, &name, context);
            }
            return Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(call: Call, lines: &[String], document: Value, context: &Context) -> Result<(), Failure> {
    match call.json {
        true => context.ui.line(serde_json::to_string_pretty(&document)?)?,
        false => context.ui.write(&align(lines))?,
    }
    Ok(())
}

const SUBREQUESTS: [[&str; 3]; 5] = [
    ["NAME", "VERSION", "DESCRIPTION"],
    ["frontend.outline", "1.0.0", "List all parameters current build target supports"],
    ["frontend.targets", "1.0.0", "List all targets current build supports"],
    ["frontend.lint", "1.0.0", "Lint a Dockerfile"],
    ["frontend.subrequests.describe", "1.0.0", "List available subrequest types"],
];

fn describe() -> Value {
    let one = |[name, version, description]: &[&str; 3]| json!({ "name": name, "version": version, "type": "rpc", "description": description });
    SUBREQUESTS.iter().skip(1).map(one).collect()
}

fn targets(dockerfile: &Dockerfile, source: &SourceFile) -> (Vec<String>, Value) {
    let layout = dockerfile.layout();
    let mut lines = vec!["TARGET\tDESCRIPTION".to_owned()];
    let mut documents = Vec::new();
    for stage in &layout.stages {
        let default = stage.index + 1 == layout.stages.len();
        let name = stage.from.stage_name();
        let description = stage.from.description.clone().unwrap_or_default();
        // Only stages with a name can be asked for.
        if name.is_some() || default {
            let shown = match (&name, default) {
                (Some(name), true) => format!("{name} (default)"),
                (name, true) => format!("{}(default)", name.as_deref().unwrap_or_default()),
                (name, false) => name.clone().unwrap_or_default(),
            };
            lines.push(format!("{shown}\t{description}"));
        }
        let lines = source.line_range(stage.statement.span);
        let mut document = json!({
            "base": stage.from.image.text,
            "location": report::location(Some(lines)),
        });
        for (key, value) in [
            ("name", name.map(Value::from)),
            ("description", Some(description).filter(|d| !d.is_empty()).map(Value::from)),
            ("default", default.then_some(Value::from(true))),
            ("platform", stage.from.platform.as_ref().map(|p| Value::from(p.as_str()))),
        ] {
            if let Some(value) = value {
                document[key] = value;
            }
        }
        documents.push(document);
    }
    (lines, json!({ "targets": documents, "sources": [report::sources(source)] }))
}
