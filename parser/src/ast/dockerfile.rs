//! The file as a whole: directives, statements, and their grouping into stages.

use std::collections::HashMap;

use crate::ast::{From, Instruction, Statement};
use crate::{Span, Word};

/// A parsed file: its directives and those statements that are well formed, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dockerfile {
    /// What stands above everything else.
    pub directives: Directives,
    /// In the order of the file.
    pub statements: Vec<Statement>,
}

impl Dockerfile {
    /// Groups the statements: ARGs before the first FROM, then the stages.
    ///
    /// Statements other than ARG before the first FROM have been reported by the parser and
    /// appear nowhere.
    #[must_use]
    pub fn layout(&self) -> Layout<'_> {
        let is_from = |s: &Statement| matches!(s.instruction, Instruction::From(_));
        let first = self.statements.iter().position(is_from).unwrap_or(self.statements.len());
        let (globals, rest) = self.statements.split_at(first);
        let globals =
            globals.iter().filter(|s| matches!(s.instruction, Instruction::Arg(_))).collect();
        let mut stages = Vec::new();
        for chunk in rest.chunk_by(|_, next| !is_from(next)) {
            if let [statement, body @ ..] = chunk
                && let Instruction::From(from) = &statement.instruction
            {
                stages.push(Stage { index: stages.len(), statement, from, body });
            }
        }
        Layout::new(globals, stages)
    }
}

/// The statements of a file by where they count.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    /// ARG statements before the first FROM.
    pub globals: Vec<&'a Statement>,
    /// The stages in order.
    pub stages: Vec<Stage<'a>>,
    /// Names in lower case to the stages that have them, ascending.
    by_name: HashMap<String, Vec<usize>>,
}

impl<'a> Layout<'a> {
    fn new(globals: Vec<&'a Statement>, stages: Vec<Stage<'a>>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for stage in &stages {
            if let Some(name) = stage.from.stage_name() {
                by_name.entry(name).or_default().push(stage.index);
            }
        }
        Self { globals, stages, by_name }
    }

    /// The last stage of this name before stage number `before`; names ignore case.
    #[must_use]
    pub fn find(&self, name: &str, before: usize) -> Option<&Stage<'a>> {
        let indices = self.by_name.get(&name.to_lowercase())?;
        let count = indices.partition_point(|index| *index < before);
        self.stages.get(*indices.get(count.checked_sub(1)?)?)
    }

    /// All names of stages in lower case, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.stages.iter().filter_map(|stage| stage.from.stage_name()).collect()
    }
}

/// One stage: its FROM and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// From 0.
    pub index: usize,
    /// The statement of the FROM.
    pub statement: &'a Statement,
    /// The FROM itself.
    pub from: &'a From,
    /// The statements after it, up to the next FROM.
    pub body: &'a [Statement],
}

/// `# syntax=`, `# escape=` and `# check=` at the top of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directives {
    /// The frontend that the author asks for.
    pub syntax: Option<Word>,
    /// `\` or a backquote.
    pub escape: char,
    /// Where the escape was set.
    pub escape_span: Option<Span>,
    /// Which lint rules count.
    pub check: Option<CheckOptions>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', escape_span: None, check: None }
    }
}

/// `skip=…;error=…;experimental=…` of a `check` directive, build-arg or comment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckOptions {
    /// Rules that are not looked at.
    pub skip: Rules,
    /// Experimental rules that are.
    pub experimental: Rules,
    /// A finding fails the build.
    pub error: bool,
}

/// A set of lint rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rules {
    /// Those named.
    Named(Vec<String>),
    /// Every one.
    All,
}

impl Rules {
    /// Whether the set holds the rule called `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|n| n == name),
            Self::All => true,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}
