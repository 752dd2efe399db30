//! Arguments into typed instructions, one file a family.

mod config;
mod from;
mod healthcheck;
mod onbuild;
mod pairs;
mod run;
mod transfer;

use std::borrow::Cow;

use super::errors::Errors;
use super::json::{self, Json};
use super::statement::Source;
use super::words;
use crate::ast::{CommandLine, FlagUse, Instruction};
use crate::suggest::suggested;
use crate::{Span, Word};

pub(super) use onbuild::refused_as_trigger;

/// Keywords of instructions that change the config and nothing else, as `docker import` has them.
pub(super) const CONFIG_KEYWORDS: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// All keywords, for suggestions.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A keyword in upper case.
pub(super) fn known(keyword: &str) -> Cow<'static, str> {
    match KEYWORDS.iter().find(|known| **known == keyword) {
        Some(known) => Cow::Borrowed(*known),
        None => Cow::Owned(keyword.to_uppercase()),
    }
}

/// A keyword as written, without an allocation for those in upper case.
pub(super) fn known_text(keyword: &str) -> Cow<'static, str> {
    match KEYWORDS.iter().find(|known| **known == keyword) {
        Some(known) => Cow::Borrowed(*known),
        None => Cow::Owned(keyword.to_owned()),
    }
}

/// One instruction, taken apart but not understood.
pub(super) struct Request<'a> {
    pub(super) source: Source<'a>,
    pub(super) keyword: &'a str,
    pub(super) flags: &'a [FlagUse],
    /// What follows the flags, without outer space; a slice of the line.
    pub(super) args: &'a str,
}

/// Reports errors of one instruction.
pub(super) struct Report<'e, 's> {
    pub(super) errors: &'e mut Errors<'s>,
    pub(super) instruction: Span,
}

impl Report<'_, '_> {
    /// An error in what the instruction says.
    pub(super) fn says(&mut self, message: impl AsRef<str>, span: Span, hint: impl Into<String>) {
        self.errors.instruction(message.as_ref(), span, self.instruction, hint);
    }

    /// An error in how its text is put together.
    pub(super) fn syntax(
        &mut self,
        message: impl Into<String>,
        span: Span,
        hint: impl Into<String>,
    ) {
        self.errors.syntax(message, span, hint);
    }
}

/// Understands one instruction. What is wrong is reported, and then the result does not count.
pub(super) fn parse(request: &Request<'_>, report: &mut Report<'_, '_>) -> Option<Instruction> {
    match &*words::upper(request.keyword) {
        "FROM" => from::from(request, report).map(Instruction::From),
        "ARG" => from::arg(request, report).map(Instruction::Arg),
        "RUN" => run::run(request, report).map(Instruction::Run),
        "COPY" => transfer::copy(request, report).map(Instruction::Copy),
        "ADD" => transfer::add(request, report).map(Instruction::Add),
        "ENV" => pairs::env(request, report).map(Instruction::Env),
        "LABEL" => pairs::label(request, report).map(Instruction::Label),
        "WORKDIR" => config::workdir(request, report).map(Instruction::Workdir),
        "USER" => config::user(request, report).map(Instruction::User),
        "CMD" => config::cmd(request, report).map(Instruction::Cmd),
        "ENTRYPOINT" => config::entrypoint(request, report).map(Instruction::Entrypoint),
        "SHELL" => config::shell(request, report).map(Instruction::Shell),
        "EXPOSE" => config::expose(request, report).map(Instruction::Expose),
        "VOLUME" => config::volume(request, report).map(Instruction::Volume),
        "STOPSIGNAL" => config::stopsignal(request, report).map(Instruction::Stopsignal),
        "MAINTAINER" => config::maintainer(request, report).map(Instruction::Maintainer),
        "HEALTHCHECK" => healthcheck::healthcheck(request, report).map(Instruction::Healthcheck),
        "ONBUILD" => onbuild::onbuild(request, report).map(Instruction::Onbuild),
        _ => {
            unknown(request, report);
            None
        }
    }
}

fn unknown(request: &Request<'_>, report: &mut Report<'_, '_>) {
    let name = request.keyword;
    let names = if report.errors.is_full() { &[][..] } else { &KEYWORDS };
    let message = format!("unknown instruction: {name}");
    let span = request.source.line.span(name);
    let (message, near) = suggested(message, name, names, false);
    let hint = match near {
        Some(near) => format!("Write `{near}`"),
        None => format!(
            "If this belongs to the instruction above, end the line before it with `{}`",
            request.source.escape
        ),
    };
    report.says(message, span, hint);
}

/// How an instruction may look: an example for whoever left something out.
fn example(keyword: &str) -> String {
    let example = match keyword {
        "ADD" => "ADD app.tar.gz /srv/",
        "ARG" => "ARG VERSION=1.0",
        "CMD" => "CMD [\"app\", \"--flag\"]",
        "COPY" => "COPY src/ /app/",
        "ENTRYPOINT" => "ENTRYPOINT [\"app\"]",
        "ENV" => "ENV NAME=value",
        "EXPOSE" => "EXPOSE 80/tcp",
        "FROM" => "FROM alpine AS build",
        "HEALTHCHECK" => "HEALTHCHECK --interval=30s CMD curl -f http://localhost/",
        "LABEL" => "LABEL org.example.name=\"value\"",
        "MAINTAINER" => "LABEL org.opencontainers.image.authors=\"name\"",
        "ONBUILD" => "ONBUILD RUN make",
        "RUN" => "RUN make",
        "SHELL" => "SHELL [\"/bin/sh\", \"-c\"]",
        "STOPSIGNAL" => "STOPSIGNAL SIGTERM",
        "USER" => "USER app",
        "VOLUME" => "VOLUME /data",
        _ => "WORKDIR /app",
    };
    format!("Write it like `{example}`")
}

impl Request<'_> {
    pub(super) fn word(&self, part: &str) -> Word {
        self.source.line.word(part)
    }

    /// Where an error about the arguments as a whole belongs: the arguments, else the keyword.
    pub(super) fn args_span(&self) -> Span {
        let part = if self.args.is_empty() { self.keyword } else { self.args };
        self.source.line.span(part)
    }

    /// The arguments in JSON or shell form.
    ///
    /// `None`, and reported, if they are a JSON array with other things than strings in it.
    pub(super) fn command(&self, text: &str, report: &mut Report<'_, '_>) -> Option<CommandLine> {
        match json::read(self.source.line, text) {
            Json::Strings(argv) => Some(CommandLine::Exec(argv)),
            Json::No => Some(CommandLine::Shell(self.word(text))),
            Json::Mixed => {
                self.mixed(report);
                None
            }
        }
    }

    /// The arguments as a JSON array, else split at blanks; and whether they were JSON.
    pub(super) fn list(&self, report: &mut Report<'_, '_>) -> Option<(Vec<Word>, bool)> {
        match json::read(self.source.line, self.args) {
            Json::Strings(words) => Some((words, true)),
            Json::No => {
                Some((words::at_blanks(self.args).map(|word| self.word(word)).collect(), false))
            }
            Json::Mixed => {
                self.mixed(report);
                None
            }
        }
    }

    fn mixed(&self, report: &mut Report<'_, '_>) {
        let message = "when using JSON array syntax, arrays must be comprised of strings only";
        let hint = "Put each of its elements in double quotes";
        report.syntax(message, self.args_span(), hint);
    }

    /// `X requires at least one argument`, if there is none.
    pub(super) fn at_least_one(&self, report: &mut Report<'_, '_>) -> Option<()> {
        if self.args.is_empty() {
            let name = self.keyword.to_uppercase();
            let message = format!("{name} requires at least one argument");
            report.says(message, self.args_span(), example(&name));
            return None;
        }
        Some(())
    }
}
