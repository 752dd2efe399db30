//! hadolint's rules that need no shell parser beyond splitting RUN into words, one file a rule (D2).
//!
//! Codes, severities and messages are hadolint's, so that its users find what they know. Comments
//! `# hadolint ignore=DL3008` above an instruction, and `# hadolint global ignore=…`, count.
//!
//! Not here: DL3011 (ports above 65535) and DL3061 (instructions above the first FROM), which are
//! errors of the grammar, and ShellCheck's rules, which need to parse shell.

mod dl3000;
mod dl3002;
mod dl3003;
mod dl3004;
mod dl3006;
mod dl3007;
mod dl3008;
mod dl3009;
mod dl3010;
mod dl3012;
mod dl3013;
mod dl3014;
mod dl3015;
mod dl3016;
mod dl3018;
mod dl3019;
mod dl3020;
mod dl3021;
mod dl3022;
mod dl3023;
mod dl3024;
mod dl3025;
mod dl3026;
mod dl3027;
mod dl3028;
mod dl3029;
mod dl3030;
mod dl3032;
mod dl3033;
mod dl3034;
mod dl3035;
mod dl3036;
mod dl3037;
mod dl3038;
mod dl3040;
mod dl3041;
mod dl3042;
mod dl3044;
mod dl3045;
mod dl3046;
mod dl3047;
mod dl3048;
mod dl3049;
mod dl3050;
mod dl3051;
mod dl3052;
mod dl3053;
mod dl3054;
mod dl3055;
mod dl3056;
mod dl3057;
mod dl3058;
mod dl3059;
mod dl3060;
mod dl3062;
mod dl3063;
mod dl3064;
mod dl3066;
mod dl3067;
mod dl4000;
mod dl4001;
mod dl4003;
mod dl4004;
mod dl4005;
mod dl4006;
mod labels;
mod shell;

use std::collections::BTreeMap;

use crate::ast::{Dockerfile, Instruction, Layout, Stage, Statement};
use crate::{Diagnostic, Severity, Span};
pub use labels::Kind as LabelKind;
use shell::Command;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The rule is off.
    Ignore,
    /// A matter of taste.
    Style,
    /// Worth knowing.
    Info,
    /// Unwise.
    Warning,
    /// Wrong.
    Error,
}

impl Level {
    /// The level of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ignore" | "none" => Some(Self::Ignore),
            "style" => Some(Self::Style),
            "info" => Some(Self::Info),
            "warning" => Some(Self::Warning),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// A rule, as it is listed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Such as `DL3008`.
    pub code: &'static str,
    /// How much its findings matter, unless the settings say otherwise.
    pub level: Level,
    /// What its findings say.
    pub message: &'static str,
    /// BuildKit's rule that says the same, if there is one.
    pub same_as: Option<&'static str>,
    /// A page about it, in Markdown: why, an example, and what to write instead.
    pub page: &'static str,
    check: fn(&File<'_>, &mut Findings<'_>),
}

impl Rule {
    /// Where the rule is documented.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://github.com/hadolint/hadolint/wiki/{}", self.code)
    }
}

/// All rules, by their codes.
pub const RULES: &[Rule] = &[
    dl3000::RULE,
    dl3002::RULE,
    dl3003::RULE,
    dl3004::RULE,
    dl3006::RULE,
    dl3007::RULE,
    dl3008::RULE,
    dl3009::RULE,
    dl3010::RULE,
    dl3012::RULE,
    dl3013::RULE,
    dl3014::RULE,
    dl3015::RULE,
    dl3016::RULE,
    dl3018::RULE,
    dl3019::RULE,
    dl3020::RULE,
    dl3021::RULE,
    dl3022::RULE,
    dl3023::RULE,
    dl3024::RULE,
    dl3025::RULE,
    dl3026::RULE,
    dl3027::RULE,
    dl3028::RULE,
    dl3029::RULE,
    dl3030::RULE,
    dl3032::RULE,
    dl3033::RULE,
    dl3034::RULE,
    dl3035::RULE,
    dl3036::RULE,
    dl3037::RULE,
    dl3038::RULE,
    dl3040::RULE,
    dl3041::RULE,
    dl3042::RULE,
    dl3044::RULE,
    dl3045::RULE,
    dl3046::RULE,
    dl3047::RULE,
    dl3048::RULE,
    dl3049::RULE,
    dl3050::RULE,
    dl3051::RULE,
    dl3052::RULE,
    dl3053::RULE,
    dl3054::RULE,
    dl3055::RULE,
    dl3056::RULE,
    dl3057::RULE,
    dl3058::RULE,
    dl3059::RULE,
    dl3060::RULE,
    dl3062::RULE,
    dl3063::RULE,
    dl3064::RULE,
    dl3066::RULE,
    dl3067::RULE,
    dl4000::RULE,
    dl4001::RULE,
    dl4003::RULE,
    dl4004::RULE,
    dl4005::RULE,
    dl4006::RULE,
];

/// What a `.hadolint.yaml` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Rules that are off.
    pub ignored: Vec<String>,
    /// Rules with another level than their own.
    pub levels: BTreeMap<String, Level>,
    /// Registries that images may come from; empty: all.
    pub trusted_registries: Vec<String>,
    /// Labels that an image must have, and what their values are.
    pub label_schema: BTreeMap<String, LabelKind>,
    /// Whether other labels are findings.
    pub strict_labels: bool,
}

/// Something that a rule found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What and where.
    pub diagnostic: Diagnostic,
    /// BuildKit's rule that says the same, if there is one.
    pub same_as: Option<&'static str>,
}

/// What a rule looks at.
struct File<'a> {
    dockerfile: &'a Dockerfile,
    layout: Layout<'a>,
    settings: &'a Settings,
    /// The commands of every RUN, by where it stands.
    commands: BTreeMap<usize, Vec<Command>>,
}

impl<'a> File<'a> {
    fn new(dockerfile: &'a Dockerfile, settings: &'a Settings) -> Self {
        let run = |statement: &Statement| match &statement.instruction {
            Instruction::Run(run) => Some((statement.span.start, shell::commands(run))),
            _ => None,
        };
        let commands = dockerfile.statements.iter().filter_map(run).collect();
        Self { dockerfile, layout: dockerfile.layout(), settings, commands }
    }

    /// What a RUN runs; nothing for every other instruction.
    fn commands(&self, statement: &Statement) -> &[Command] {
        self.commands.get(&statement.span.start).map_or(&[], Vec::as_slice)
    }

    /// Adds one finding for each RUN with such a command.
    fn any_command(&self, findings: &mut Findings<'_>, is: impl Fn(&Command) -> bool) {
        for statement in &self.dockerfile.statements {
            if self.commands(statement).iter().any(&is) {
                findings.add(statement.keyword.span, statement);
            }
        }
    }

    /// Adds one finding for each RUN with a command of the one kind and none of the other.
    fn without(
        &self,
        findings: &mut Findings<'_>,
        is: impl Fn(&Command) -> bool,
        cure: impl Fn(&Command) -> bool,
    ) {
        for statement in &self.dockerfile.statements {
            let commands = self.commands(statement);
            if commands.iter().any(&is) && !commands.iter().any(&cure) {
                findings.add(statement.keyword.span, statement);
            }
        }
    }

    /// The earlier stage that `stage` is built from.
    fn parent(&self, stage: &Stage<'a>) -> Option<Stage<'a>> {
        self.layout.find(&stage.from.image.text, stage.index).copied()
    }

    /// The images that FROM names, other than stages, `scratch`, and what variables may hold.
    fn images(&self) -> impl Iterator<Item = (&Stage<'a>, &'a str)> {
        self.layout.stages.iter().filter_map(|stage| {
            let image = stage.from.image.text.as_str();
            let is_image = image != "scratch" && self.parent(stage).is_none();
            (is_image && !image.starts_with('$')).then_some((stage, image))
        })
    }
}

/// Whether a RUN keeps this directory in a mount, so that nothing of it gets into the image.
fn is_mounted(statement: &Statement, directory: &str) -> bool {
    let target = |value: &str| {
        let mut options = value.split(',').filter_map(|option| option.split_once('='));
        options.any(|(key, value)| {
            matches!(key, "target" | "dst" | "destination")
                && value.trim_end_matches('/') == directory
        })
    };
    statement.flags.iter().any(|flag| {
        flag.name.text == "mount" && flag.value.as_ref().is_some_and(|value| target(&value.text))
    })
}

/// Where a rule puts what it finds.
struct Findings<'a> {
    rule: &'a Rule,
    level: Level,
    found: Vec<Finding>,
}

impl Findings<'_> {
    /// A finding at `span`, within `statement`.
    fn add(&mut self, span: Span, statement: &Statement) {
        self.say(self.rule.message.to_owned(), span, statement);
    }

    /// A finding that says more than the rule does.
    fn say(&mut self, message: String, span: Span, statement: &Statement) {
        let Rule { code, same_as, .. } = *self.rule;
        let mut diagnostic = Diagnostic::warning(code, message, span).within(statement.span);
        diagnostic.severity = match self.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Info | Level::Style | Level::Ignore => Severity::Note,
        };
        if !is_ignored(statement, code) {
            self.found.push(Finding { level: self.level, diagnostic, same_as });
        }
    }
}

/// Runs all rules that are not off; findings in the order of the file.
#[must_use]
pub fn check(dockerfile: &Dockerfile, settings: &Settings) -> Vec<Finding> {
    let file = File::new(dockerfile, settings);
    let global = |code: &str| {
        dockerfile.statements.iter().flat_map(|statement| &statement.comments).any(|comment| {
            comment.text.strip_prefix("hadolint global ignore=").is_some_and(|l| names(l, code))
        })
    };
    let mut found = Vec::new();
    for rule in RULES {
        let level = settings.levels.get(rule.code).copied().unwrap_or(rule.level);
        let ignored = settings.ignored.iter().any(|code| code == rule.code);
        if level != Level::Ignore && !ignored && !global(rule.code) {
            let mut findings = Findings { rule, level, found: Vec::new() };
            (rule.check)(&file, &mut findings);
            found.append(&mut findings.found);
        }
    }
    found.sort_by_key(|finding| finding.diagnostic.span().map_or(0, |span| span.start));
    found
}

/// Whether a comment above the instruction says that the rule does not count here.
fn is_ignored(statement: &Statement, code: &str) -> bool {
    statement.comments.iter().any(|comment| {
        comment.text.strip_prefix("hadolint ignore=").is_some_and(|list| names(list, code))
    })
}

fn names(list: &str, code: &str) -> bool {
    list.split([',', ' ']).any(|name| name.trim() == code)
}
