//! The outline of a target: which arguments, secrets and agents it takes.

use gantry_parser::ast::{ArgDefinition, Instruction, Layout, Stage};
use gantry_parser::{Dockerfile, SourceFile};
use serde_json::{Value, json};

use super::report;
use crate::ui::Failure;
use crate::ui::table::align;

/// The parameters of a target.
pub(super) struct Outline {
    name: Option<String>,
    description: String,
    /// Name, value, description, and where.
    args: Vec<(String, String, String, gantry_parser::Span)>,
    /// Name, and whether the build fails without.
    secrets: Vec<(String, bool)>,
    ssh: Vec<(String, bool)>,
}

impl Outline {
    /// Those of `target`, or of the last stage.
    ///
    /// # Errors
    /// A stage that there is not.
    pub(super) fn of(
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

    /// As BuildKit prints it.
    pub(super) fn text(&self) -> String {
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

    /// As BuildKit's `frontend.outline` answers.
    pub(super) fn document(&self, source: &SourceFile) -> Value {
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
