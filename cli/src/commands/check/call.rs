//! `build --check` and `build --call`: what a Dockerfile offers, without building it (C1-27).

use std::process::ExitCode;

use gantry_parser::ast::{ArgDefinition, Instruction, Layout, Stage};
use gantry_parser::{Dockerfile, SourceFile};
use serde_json::{Value, json};

use super::input::{Input, values};
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

/// The parameters of a target.
struct Outline {
    name: Option<String>,
    description: String,
    /// Name, value, description, and where.
    args: Vec<(String, String, String, gantry_parser::Span)>,
    /// Name, and whether the build fails without.
    secrets: Vec<(String, bool)>,
    ssh: Vec<(String, bool)>,
}

impl Outline {
    fn of(
        dockerfile: &Dockerfile,
        target: Option<&str>,
        given: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let layout = dockerfile.layout();
        let count = layout.stages.len();
        let last = match target {
            None => layout.stages.last(),
            Some(name) => {
                layout.find(name, count).or_else(|| layout.stages.get(name.parse::<usize>().ok()?))
            }
        };
        let Some(last) = last else {
            let name = target.unwrap_or_default();
            return Err(Failure::text(format_args!("target stage \"{name}\" could not be found")));
        };
        let mut outline = Self {
            name: last.from.stage_name(),
            description: last.from.description.clone().unwrap_or_default(),
            args: Vec::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
        };
        let stages = needed(&layout, last);
        for statement in &layout.globals {
            let Instruction::Arg(arg) = &statement.instruction else { continue };
            for definition in &arg.definitions {
                let is_used = stages.iter().any(|stage| uses(stage, definition.name.as_str()));
                if is_used {
                    outline.arg(definition, given);
                }
            }
        }
        for statement in stages.iter().flat_map(|stage| stage.body) {
            match &statement.instruction {
                Instruction::Arg(arg) => {
                    arg.definitions.iter().for_each(|definition| outline.arg(definition, given));
                }
                Instruction::Run(_) => {
                    let mounts = statement.flags.iter().filter(|flag| flag.name.text == "mount");
                    for value in mounts.filter_map(|flag| flag.value.as_ref()) {
                        outline.mount(&value.text);
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn arg(&mut self, definition: &ArgDefinition, given: &dyn Fn(&str) -> Option<String>) {
        let name = definition.name.text.clone();
        let description = definition.description.clone().unwrap_or_default();
        let default = definition.default.as_ref().map(|word| word.text.clone());
        match self.args.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, known, _)) if known.is_empty() => *known = description,
            Some(_) => {}
            None => {
                let value = given(&name).or(default).unwrap_or_default();
                self.args.push((name, value, description, definition.name.span));
            }
        }
    }

    fn mount(&mut self, text: &str) {
        let option = |wanted: &[&str]| {
            text.split(',').find_map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, "true"));
                wanted.contains(&key).then(|| value.to_owned())
            })
        };
        let list = match option(&["type"]).as_deref() {
            Some("secret") => &mut self.secrets,
            Some("ssh") => &mut self.ssh,
            _ => return,
        };
        let target = option(&["target", "dst", "destination"]);
        let target = target.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned());
        let id = option(&["id"]).or(target).unwrap_or_else(|| "default".to_owned());
        let required = option(&["required"]).is_some_and(|value| value != "false" && value != "0");
        match list.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known |= required,
            None => list.push((id, required)),
        }
    }

    fn text(&self) -> String {
        let name = self.name.as_deref().unwrap_or("default");
        let mut head = vec![format!("TARGET:\t{name}")];
        if !self.description.is_empty() {
            head.push(format!("DESCRIPTION:\t{}", self.description));
        }
        let mut text = align(&head) + "\n";
        let mut section = |title: &str, rows: Vec<String>| {
            if !rows.is_empty() {
                let lines: Vec<String> = std::iter::once(title.to_owned()).chain(rows).collect();
                text.push_str(&(align(&lines) + "\n"));
            }
        };
        let args =
            self.args.iter().map(|(name, value, about, _)| format!("{name}\t{value}\t{about}"));
        section("BUILD ARG\tVALUE\tDESCRIPTION", args.collect());
        let required = |list: &[(String, bool)]| -> Vec<String> {
            list.iter().map(|(n, r)| format!("{n}\t{}", if *r { "true" } else { "" })).collect()
        };
        section("SECRET\tREQUIRED", required(&self.secrets));
        section("SSH\tREQUIRED", required(&self.ssh));
        text
    }

    fn document(&self, source: &SourceFile) -> Value {
        let args: Vec<Value> = self
            .args
            .iter()
            .map(|(name, value, description, span)| {
                let location = report::location(Some(source.line_range(*span)));
                json!({
                    "name": name,
                    "value": value,
                    "description": description,
                    "location": location,
                })
            })
            .collect();
        let required = |list: &[(String, bool)]| -> Vec<Value> {
            list.iter().map(|(name, r)| json!({ "name": name, "required": r })).collect()
        };
        json!({
            "name": self.name.as_deref().unwrap_or("default"),
            "description": self.description,
            "args": args,
            "secrets": required(&self.secrets),
            "ssh": required(&self.ssh),
            "sources": [report::sources(source)],
        })
    }
}

/// Whether a stage's FROM or one of its ARGs mentions the global ARG.
fn uses(stage: &Stage<'_>, name: &str) -> bool {
    let mut words = std::iter::once(&stage.from.image).chain(&stage.from.platform);
    let by_from = words
        .any(|w| w.text.contains(&format!("${name}")) || w.text.contains(&format!("{{{name}")));
    let declares = |definition: &ArgDefinition| definition.name.text == name;
    by_from
        || stage.body.iter().any(|statement| match &statement.instruction {
            Instruction::Arg(arg) => arg.definitions.iter().any(declares),
            _ => false,
        })
}

/// The stage and all that it is made from, in the order of the file.
fn needed<'a>(layout: &Layout<'a>, last: &Stage<'a>) -> Vec<Stage<'a>> {
    let mut wanted = vec![false; layout.stages.len()];
    let mut open = vec![*last];
    while let Some(stage) = open.pop() {
        if std::mem::replace(&mut wanted[stage.index], true) {
            continue;
        }
        open.extend(layout.find(&stage.from.image.text, stage.index));
        for statement in stage.body {
            let from = statement.flags.iter().filter_map(|flag| match flag.name.text.as_str() {
                "from" => flag.value.as_ref().map(|value| value.text.clone()),
                "mount" => flag.value.as_ref().and_then(|value| {
                    let from = value.text.split(',').find_map(|part| part.strip_prefix("from="));
                    from.map(str::to_owned)
                }),
                _ => None,
            });
            for name in from {
                let by_index = || layout.stages.get(name.parse::<usize>().ok()?);
                let found = layout.find(&name, stage.index).or_else(by_index);
                open.extend(found.filter(|found| found.index < stage.index));
            }
        }
    }
    layout.stages.iter().filter(|stage| wanted[stage.index]).copied().collect()
}
