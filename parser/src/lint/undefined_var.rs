//! UndefinedVar: variables are defined above where they are used.

use std::collections::BTreeMap;

use super::{File, Findings, Rule};
use crate::Word;
use crate::ast::{Instruction, Source, Stage, Transfer};
use crate::expand::{self, Expanded, Lexer};

pub(super) const RULE: Rule = Rule {
    name: "UndefinedVar",
    description: "Variables should be defined before their use",
    experimental: false,
    page: include_str!("undefined_var.md"),
    check,
};

/// What is said of `name`, which is none of the `known` ones.
pub fn message<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S>) -> String {
    let message = format!("Usage of undefined variable '${name}'");
    match crate::did_you_mean(name, known, true) {
        Some(meant) => format!("{message} (did you mean ${meant}?)"),
        None => message,
    }
}

/// The variables at one place of a stage; declared ones without a value have an empty one.
type Variables = BTreeMap<String, String>;

fn check(file: &File<'_>, findings: &mut Findings) {
    let globals = file.globals(file.world.build_args);
    // What each stage ends with; `None` where nobody knows what the base image sets.
    let mut ends: Vec<Option<Variables>> = Vec::new();
    for stage in &file.layout.stages {
        let start = match file.parent(stage) {
            Some(parent) => ends.get(parent.index).cloned().flatten(),
            None if stage.from.image.text == "scratch" => Some(Variables::new()),
            None => file.base(stage, &globals).map(|base| base.env.into_iter().collect()),
        };
        ends.push(start.map(|mut variables| {
            // Every image has a PATH when something runs in it.
            variables.entry("PATH".to_owned()).or_default();
            Walk { file, variables, globals: &globals, findings }.stage(stage)
        }));
    }
}

struct Walk<'a, 'f> {
    file: &'a File<'a>,
    variables: Variables,
    globals: &'a Variables,
    findings: &'f mut Findings,
}

impl Walk<'_, '_> {
    fn stage(mut self, stage: &Stage<'_>) -> Variables {
        for statement in stage.body {
            let mut unset: Vec<(String, &Word)> = Vec::new();
            let mut look = |word| -> String {
                let expanded = self.expand(word);
                unset.extend(expanded.unset.into_iter().map(|name| (name, word)));
                expanded.text
            };
            let mut set = Vec::new();
            match &statement.instruction {
                Instruction::Arg(arg) => {
                    for definition in &arg.definitions {
                        let name = definition.name.text.clone();
                        let default = definition.default.as_ref().map(&mut look);
                        let given = self.file.world.build_args.get(&name).map(str::to_owned);
                        let global = || self.globals.get(&name).cloned();
                        let value = given.or(default).or_else(global).unwrap_or_default();
                        set.push((name, value));
                    }
                }
                Instruction::Env(env) => {
                    for pair in &env.pairs {
                        set.push((look(&pair.key), look(&pair.value)));
                    }
                }
                other => words(other).into_iter().for_each(|word| drop(look(word))),
            }
            let heredocs: &[Source] = match &statement.instruction {
                Instruction::Copy(copy) => &copy.transfer.sources,
                Instruction::Add(add) => &add.transfer.sources,
                _ => &[],
            };
            for source in heredocs {
                let Source::Heredoc(heredoc) = source else { continue };
                let expanded = expand::heredoc(heredoc, &self.variables).unwrap_or_default();
                unset.extend(expanded.unset.into_iter().map(|name| (name, &heredoc.name)));
            }
            for (name, word) in unset {
                let text = message(&name, self.variables.keys());
                self.findings.add(&RULE, text, word.span, statement);
            }
            self.variables.extend(set);
        }
        self.variables
    }

    fn expand(&self, word: &Word) -> Expanded {
        let lexer = Lexer::new(self.file.dockerfile.directives.escape);
        lexer.value(&word.text, &self.variables).unwrap_or_default()
    }
}

/// The words of an instruction that the builder expands, ARG's and ENV's aside.
fn words(instruction: &Instruction) -> Vec<&Word> {
    fn of(transfer: &Transfer) -> Vec<&Word> {
        let flags = transfer.chown.iter().chain(&transfer.chmod).chain(&transfer.exclude);
        transfer.paths().chain([&transfer.dest]).chain(flags).collect()
    }
    match instruction {
        Instruction::Copy(copy) => of(&copy.transfer),
        Instruction::Add(add) => of(&add.transfer).into_iter().chain(&add.checksum).collect(),
        Instruction::Workdir(workdir) => vec![&workdir.path],
        Instruction::User(user) => vec![&user.user],
        Instruction::Expose(expose) => expose.ports.iter().collect(),
        Instruction::Volume(volume) => volume.paths.iter().collect(),
        Instruction::Stopsignal(stopsignal) => vec![&stopsignal.signal],
        Instruction::Label(label) => {
            label.pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        _ => Vec::new(),
    }
}
