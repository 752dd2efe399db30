//! Which stages there are, what each builds upon, and which others it needs.
//!
//! `COPY --from=image` and `RUN --mount=from=image` count as implicit stages that hold nothing but
//! the image, so that everything else is about stages only.

use std::{collections::HashMap, ops::Deref};

use gantry_image::Platform;
use gantry_parser::{
    Diagnostic, Instruction, Span, Statement, Word, ast::Layout, expand::Lexer, suggest::suggested,
};

use crate::lower::{LowerOptions, from::From, go, variables::Globals};

/// All stages: those of the file in order, then implicit ones.
pub(super) struct Stages<'a> {
    pub(super) list: Vec<Stage<'a>>,
    names: HashMap<String, usize>,
    implicit: HashMap<String, usize>,
    /// How many are in the file.
    written: usize,
}

/// A stage.
pub(super) struct Stage<'a> {
    /// In lower case; implicit and unnamed ones have none.
    pub(super) name: Option<String>,
    /// How titles and messages call it.
    pub(super) shown: String,
    /// The FROM, or what else asks for it.
    pub(super) span: Span,
    /// The word that names the base.
    pub(super) base_word: Word,
    pub(super) base: Base,
    /// As the FROM says.
    pub(super) platform: Option<Platform>,
    /// ONBUILD triggers of the base first.
    pub(super) commands: Vec<Command<'a>>,
    pub(super) implicit: bool,
}

/// What a stage builds upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// The named context with this key.
    Context(String),
    /// An image, as written.
    Image(String),
}

/// An instruction in its stage.
pub(super) struct Command<'a> {
    pub(super) statement: Written<'a>,
    pub(super) origin: Origin,
    /// The stages that it takes from: one for `COPY --from`, one for each mount of a RUN.
    pub(super) sources: Vec<Option<usize>>,
}

/// The text of an instruction.
pub(super) enum Written<'a> {
    /// In the file.
    Here(&'a Statement),
    /// In the config of a base image.
    There(Box<Statement>),
}

impl Deref for Written<'_> {
    type Target = Statement;

    fn deref(&self) -> &Statement {
        match self {
            Written::Here(statement) => statement,
            Written::There(statement) => statement,
        }
    }
}

/// Where an instruction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// In its stage.
    Stage,
    /// In an ONBUILD of the stage that this one builds upon.
    Trigger,
    /// In the config of the base image: its spans mean nothing in this file.
    ImageTrigger,
}

/// Finds out about the stages of a file.
///
/// # Errors
/// All that is wrong with FROM lines and `--from`.
pub(super) fn plan<'a>(
    layout: &Layout<'a>,
    options: &LowerOptions,
    globals: &Globals,
    lexer: &Lexer,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Stages<'a>, Vec<Diagnostic>> {
    let mut stages = Stages {
        list: Vec::with_capacity(layout.stages.len()),
        names: HashMap::new(),
        implicit: HashMap::new(),
        written: layout.stages.len(),
    };
    let mut errors = Vec::new();
    let mut from = From { options, globals, lexer, warnings };
    for written in &layout.stages {
        match from.stage(written, &stages) {
            Ok(stage) => {
                if let Some(name) = &stage.name {
                    stages.names.insert(name.clone(), stages.list.len());
                }
                stages.list.push(stage);
            }
            Err(error) => errors.push(error.within(written.statement.span)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for (index, written) in layout.stages.iter().enumerate() {
        if matches!(stages.list[index].base, Base::Context(_))
            && stages.list[index].replaced(options)
        {
            continue;
        }
        stages.list[index].commands.reserve_exact(written.body.len());
        for statement in written.body {
            let platform = options.target_platform();
            match stages.command(Written::Here(statement), Origin::Stage, options, platform) {
                Ok(command) => stages.list[index].commands.push(command),
                Err(error) => errors.push(error.within(statement.span)),
            }
        }
    }
    if errors.is_empty() { Ok(stages) } else { Err(errors) }
}

impl Stage<'_> {
    /// Returns whether a named context has taken the place of the whole stage.
    pub(super) fn replaced(&self, options: &LowerOptions) -> bool {
        let platform = self.platform.as_ref().unwrap_or(options.target_platform());
        let name = self.name.as_deref();
        name.is_some_and(|name| options.named_context(name, platform).is_some())
    }
}

impl<'a> Stages<'a> {
    /// Returns what a name stands for: an earlier stage, a named context, else an image.
    pub(super) fn base(&self, name: &str, options: &LowerOptions, platform: &Platform) -> Base {
        // Names of stages are kept in lower case, and FROM takes a name as it is, as BuildKit does:
        // in upper case it is no stage's, and no image's either.
        if let Some(&stage) = self.names.get(name) {
            return Base::Stage(stage);
        }
        if name == "scratch" {
            return Base::Scratch;
        }
        match options.named_context(name, platform) {
            Some(key) => Base::Context(key.to_owned()),
            None => Base::Image(name.to_owned()),
        }
    }

    /// Finds the target by name; the last stage without one.
    pub(super) fn target(&self, name: Option<&str>) -> Result<usize, Diagnostic> {
        let Some(name) = name else { return Ok(self.written - 1) };
        self.names.get(&name.to_lowercase()).copied().ok_or_else(|| {
            let message = format!("target stage {} could not be found", go::quote(name));
            let (message, near) = suggested(message, name, self.names(), false);
            let named: Vec<&str> = self.list.iter().filter_map(|s| s.name.as_deref()).collect();
            let hint = match (near, named.as_slice()) {
                (Some(near), _) => format!("Build with `--target {near}`"),
                (None, []) => "No stage has a name; give it one: `FROM image AS name`".to_owned(),
                (None, names) => format!("Stages are {}", names.join(", ")),
            };
            Diagnostic::error_in_file(message).with_hint(hint)
        })
    }

    /// Returns the names that messages may suggest.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list[..self.written].iter().map(|stage| stage.shown.as_str())
    }

    /// Returns whether there is only one stage, so that titles need not name it.
    pub(super) fn is_single(&self) -> bool {
        self.list.len() == 1
    }

    /// Returns the stages that a stage needs, with the instruction that does.
    pub(super) fn needs(&self, stage: usize) -> Vec<(usize, Span)> {
        let stage = &self.list[stage];
        let base = match stage.base {
            Base::Stage(base) => Some((base, stage.span)),
            _ => None,
        };
        let sources = stage.commands.iter().flat_map(|command| {
            let span = command.place(stage.span);
            command.sources.iter().flatten().map(move |source| (*source, span))
        });
        base.into_iter().chain(sources).collect()
    }

    /// Returns which stages a target needs, by number.
    pub(super) fn reachable(&self, target: usize) -> Vec<bool> {
        let mut reachable = vec![false; self.list.len()];
        let mut open = vec![target];
        while let Some(stage) = open.pop() {
            if !std::mem::replace(&mut reachable[stage], true) {
                open.extend(self.needs(stage).into_iter().map(|(needed, _)| needed));
            }
        }
        reachable
    }

    /// Finds out what an instruction takes from other stages; makes implicit ones.
    pub(super) fn command(
        &mut self,
        statement: Written<'a>,
        origin: Origin,
        options: &LowerOptions,
        platform: &Platform,
    ) -> Result<Command<'a>, Diagnostic> {
        let sources = match &statement.instruction {
            Instruction::Copy(copy) => match &copy.from {
                Some(from) => vec![Some(self.copied_from(from, options, platform)?)],
                None => Vec::new(),
            },
            Instruction::Run(run) => {
                let sources = run.mounts.iter().map(|mount| {
                    let tmpfs = mount.fields.iter().any(|field| {
                        field.key == "type"
                            && field.value.as_ref().is_some_and(|value| value.text == "tmpfs")
                    });
                    let from = mount.from().filter(|_| !tmpfs)?;
                    Some(self.named(from, options, platform))
                });
                sources.collect()
            }
            _ => Vec::new(),
        };
        Ok(Command { statement, origin, sources })
    }

    /// `COPY --from`: a number means a stage.
    fn copied_from(
        &mut self,
        from: &Word,
        options: &LowerOptions,
        platform: &Platform,
    ) -> Result<usize, Diagnostic> {
        match from.text.parse::<i64>() {
            Ok(number) => {
                usize::try_from(number).ok().filter(|n| *n < self.written).ok_or_else(|| {
                    let message = format!("invalid stage index {number}");
                    let last = self.written - 1;
                    let error = Diagnostic::error(message, from.span);
                    error.with_hint(match last {
                        0 => "The only stage has the number 0".to_owned(),
                        last => format!("Stages are numbered from 0 to {last}"),
                    })
                })
            }
            Err(_) => Ok(self.named(from, options, platform)),
        }
    }

    fn named(&mut self, from: &Word, options: &LowerOptions, platform: &Platform) -> usize {
        if let Some(&stage) = self.names.get(&from.text.to_lowercase()) {
            return stage;
        }
        if let Some(&stage) = self.implicit.get(&from.text) {
            return stage;
        }
        let base = self.base(&from.text, options, platform);
        self.implicit.insert(from.text.clone(), self.list.len());
        self.list.push(Stage {
            name: None,
            shown: from.text.clone(),
            span: from.span,
            base_word: from.clone(),
            base,
            platform: None,
            commands: Vec::new(),
            implicit: true,
        });
        self.list.len() - 1
    }
}

impl Command<'_> {
    /// Returns what to show for the instruction: itself, or the FROM whose base brought it.
    pub(super) fn place(&self, from: Span) -> Span {
        match self.origin {
            Origin::Stage | Origin::Trigger => self.statement.span,
            Origin::ImageTrigger => from,
        }
    }
}
