//! A parsed file as text that a person can compare: every word with its line and column.

use std::fmt::{Display, Write};

use gantry_parser::ast::{
    CommandLine, Healthcheck, Heredoc, Instruction, KeyValueForm, Rules, Script, Source, Statement,
    Switch, Transfer,
};
use gantry_parser::{Diagnostic, SourceFile, Span, Word, lint, parse};

/// All that is said about `source`.
pub(crate) fn dump(source: &SourceFile) -> String {
    let parsed = parse(source);
    let mut dump = Dump { source, out: String::new(), depth: 0 };
    let directives = &parsed.dockerfile.directives;
    if let Some(syntax) = &directives.syntax {
        dump.word("syntax", syntax);
    }
    if directives.escape_span.is_some() {
        dump.line(format_args!("escape {}", directives.escape));
    }
    if let Some(check) = &directives.check {
        let skip = match &check.skip {
            Rules::All => "all".to_owned(),
            Rules::Named(names) => names.join(","),
        };
        dump.line(format_args!("check skip={skip} error={}", check.error));
    }
    for statement in &parsed.dockerfile.statements {
        dump.statement(statement);
    }
    let findings = lint::check(&parsed.dockerfile, None);
    for diagnostic in parsed.diagnostics.iter().chain(&findings) {
        dump.diagnostic(diagnostic);
    }
    dump.out
}

struct Dump<'a> {
    source: &'a SourceFile,
    out: String,
    depth: usize,
}

impl Dump<'_> {
    fn line(&mut self, text: impl Display) {
        let _ = writeln!(self.out, "{}{text}", "  ".repeat(self.depth));
    }

    fn at(&self, span: Span) -> String {
        let position = self.source.position(span.start);
        format!("{}:{}", position.line, position.column)
    }

    fn word(&mut self, name: &str, word: &Word) {
        // Where nothing was taken out of a word, its span must be the word itself.
        if word.span.len() == word.text.len() {
            assert_eq!(self.source.slice(word.span), word.text);
        }
        let at = self.at(word.span);
        self.line(format_args!("{name} {:?} {at}", word.text));
    }

    fn words<'w>(&mut self, name: &str, words: impl IntoIterator<Item = &'w Word>) {
        words.into_iter().for_each(|word| self.word(name, word));
    }

    fn switch(&mut self, name: &str, switch: &Option<Switch>) {
        if let Some(switch) = switch {
            let at = self.at(switch.span);
            self.line(format_args!("{name} {} {at}", switch.value));
        }
    }

    fn command(&mut self, command: &CommandLine) {
        match command {
            CommandLine::Shell(text) => self.word("shell", text),
            CommandLine::Exec(argv) if argv.is_empty() => self.line("exec []"),
            CommandLine::Exec(argv) => self.words("exec", argv),
        }
    }

    fn heredoc(&mut self, heredoc: &Heredoc) {
        let at = self.at(heredoc.span);
        let (fd, expand) = (heredoc.fd, heredoc.expand);
        self.word("heredoc", &heredoc.name);
        self.depth += 1;
        self.line(format_args!("fd {fd} expand {expand} content {:?} {at}", heredoc.content()));
        self.depth -= 1;
    }

    fn transfer(&mut self, transfer: &Transfer) {
        for source in &transfer.sources {
            match source {
                Source::Path(path) => self.word("source", path),
                Source::Heredoc(heredoc) => self.heredoc(heredoc),
            }
        }
        self.word("dest", &transfer.dest);
        self.words("chown", &transfer.chown);
        self.words("chmod", &transfer.chmod);
        self.switch("link", &transfer.link);
        self.words("exclude", &transfer.exclude);
    }

    fn statement(&mut self, statement: &Statement) {
        let (first, last) = self.source.line_range(statement.span);
        let lines = if first == last { format!("{first}") } else { format!("{first}-{last}") };
        self.line(format_args!("{} {lines}: {}", statement.instruction.name(), statement.text));
        self.depth += 1;
        self.words("comment", &statement.comments);
        self.instruction(&statement.instruction);
        self.depth -= 1;
    }

    fn instruction(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::From(from) => {
                self.words("platform", &from.platform);
                self.word("image", &from.image);
                self.words("name", &from.name);
                if let Some(text) = &from.description {
                    self.line(format_args!("description {text:?}"));
                }
            }
            Instruction::Arg(arg) => {
                for definition in &arg.definitions {
                    self.word("arg", &definition.name);
                    self.words("default", &definition.default);
                    if let Some(text) = &definition.description {
                        self.line(format_args!("description {text:?}"));
                    }
                }
            }
            Instruction::Run(run) => {
                for mount in &run.mounts {
                    self.word("mount", &mount.text);
                    if mount.may_expand() {
                        continue;
                    }
                    match mount.evaluate(|word| Ok::<_, ()>(word.text.clone())) {
                        Ok(spec) => self.line(format_args!(
                            "  {:?} from {:?} source {:?} target {:?} ro {}",
                            spec.kind, spec.from, spec.source, spec.target, spec.read_only
                        )),
                        Err(error) => self.line(format_args!("  {error:?}")),
                    }
                }
                if let Some(network) = &run.network {
                    self.line(format_args!("network {:?}", network.value));
                }
                if let Some(security) = &run.security {
                    self.line(format_args!("security {:?}", security.value));
                }
                for device in &run.devices {
                    self.word("device", &device.name);
                }
                self.command(&run.command);
                run.heredocs.iter().for_each(|heredoc| self.heredoc(heredoc));
                if !run.heredocs.is_empty() {
                    match run.script() {
                        Script::Shell(text) => self.line(format_args!("script shell {text:?}")),
                        Script::File { name, content } => {
                            self.line(format_args!("script file {name:?} {content:?}"));
                        }
                        Script::Exec(argv) => self.line(format_args!("script exec {argv:?}")),
                    }
                }
            }
            Instruction::Copy(copy) => {
                self.words("from", &copy.from);
                self.switch("parents", &copy.parents);
                self.transfer(&copy.transfer);
            }
            Instruction::Add(add) => {
                self.words("checksum", &add.checksum);
                self.switch("keep-git-dir", &add.keep_git_dir);
                self.switch("unpack", &add.unpack);
                self.transfer(&add.transfer);
            }
            Instruction::Env(gantry_parser::ast::Env { pairs })
            | Instruction::Label(gantry_parser::ast::Label { pairs }) => {
                for pair in pairs {
                    if pair.form == KeyValueForm::Legacy {
                        self.line("legacy");
                    }
                    self.word("key", &pair.key);
                    self.word("value", &pair.value);
                }
            }
            Instruction::Workdir(workdir) => self.word("path", &workdir.path),
            Instruction::User(user) => self.word("user", &user.user),
            Instruction::Cmd(cmd) => self.command(&cmd.command),
            Instruction::Entrypoint(entrypoint) => self.command(&entrypoint.command),
            Instruction::Shell(shell) => self.words("exec", &shell.argv),
            Instruction::Expose(expose) => self.words("port", &expose.ports),
            Instruction::Volume(volume) => self.words("path", &volume.paths),
            Instruction::Stopsignal(stop) => self.word("signal", &stop.signal),
            Instruction::Maintainer(maintainer) => self.word("name", &maintainer.name),
            Instruction::Healthcheck(Healthcheck::None) => self.line("none"),
            Instruction::Healthcheck(Healthcheck::Check(health)) => {
                self.line(format_args!("test {:?}", health.test()));
                for (name, value) in [
                    ("interval", &health.interval),
                    ("timeout", &health.timeout),
                    ("start-period", &health.start_period),
                    ("start-interval", &health.start_interval),
                ] {
                    if let Some(value) = value {
                        self.line(format_args!("{name} {:?}", value.value));
                    }
                }
                if let Some(retries) = &health.retries {
                    self.line(format_args!("retries {}", retries.value));
                }
            }
            Instruction::Onbuild(onbuild) => {
                self.line(format_args!("expression {:?}", onbuild.expression));
                self.statement(&onbuild.trigger);
            }
        }
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let severity = if diagnostic.is_error() { "error" } else { "warning" };
        let code = diagnostic.code.map_or(String::new(), |code| format!("{code}: "));
        let place = match diagnostic.span() {
            None => "file".to_owned(),
            Some(span) => {
                let text = self.source.slice(span);
                let shown: String = text.chars().take(60).collect();
                format!("{} {shown:?}", self.at(span))
            }
        };
        self.line(format_args!("{severity} {place}: {code}{}", diagnostic.message));
        for label in diagnostic.labels.iter().skip(1) {
            let at = self.at(label.span);
            self.line(format_args!("  {at}: {}", label.text));
        }
        if let Some(hint) = &diagnostic.hint {
            self.line(format_args!("  hint: {hint}"));
        }
    }
}
