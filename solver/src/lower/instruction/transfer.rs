//! What COPY and ADD have in common: destination, owner, mode, exclusions, here-documents.

use std::borrow::Cow;

use gantry_parser::{
    Diagnostic, Word,
    ast::{Heredoc, Transfer},
    chmod, expand,
};

use crate::{
    graph::{Role, VertexId},
    lower::{
        Lowering, paths,
        stage::{State, Step},
    },
    op::{CopyItem, CopyOp, InlineFile, Op, Selection, SourcePath},
};

/// A copy that is being put together.
pub(super) struct Draft<'w> {
    op: CopyOp,
    pub(super) inputs: Vec<(Role, VertexId)>,
    /// What the history shows, without the destination.
    created_by: String,
    dest: Cow<'w, str>,
}

impl<'w> Draft<'w> {
    /// Reads everything but the sources.
    pub(super) fn new(
        lowering: &mut Lowering<'_>,
        state: &State,
        name: &str,
        transfer: &'w Transfer,
        parents: bool,
    ) -> Result<Self, Diagnostic> {
        let dest = state.expand(lowering, &transfer.dest)?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let chown = some(state.expand_optional(lowering, transfer.chown.as_ref())?);
        let chmod = some(state.expand_optional(lowering, transfer.chmod.as_ref())?);
        if let (Some(word), Some(mode)) = (&transfer.chmod, &chmod) {
            chmod::parse(mode).map_err(|error| {
                Diagnostic::error(error.to_string(), word.span).with_hint(error.hint())
            })?;
        }
        let exclude =
            transfer.exclude.iter().map(|word| state.expand(lowering, word).map(Cow::into_owned));
        let exclude = exclude.collect::<Result<_, _>>()?;
        let mut created_by = String::with_capacity(96);
        created_by.push_str(name);
        if parents {
            created_by.push_str(" --parents");
        }
        for (flag, value) in [("chown", &chown), ("chmod", &chmod)] {
            if let Some(value) = value {
                for part in [" --", flag, "=", value] {
                    created_by.push_str(part);
                }
            }
        }
        // A mode needs to be set on files that may lie below, so `--link` does not go with it.
        let link = transfer.link.is_some_and(|link| link.value) && chmod.is_none();
        let target = paths::join_dest(&state.cwd, &dest);
        let op = CopyOp { items: Vec::new(), dest: target, chown, chmod, exclude, link };
        Ok(Draft { op, inputs: Vec::with_capacity(2), created_by, dest })
    }

    /// Selects what the flags leave of these paths.
    pub(super) fn selection(&self, paths: Vec<SourcePath>) -> Selection {
        let any_mode = self.op.sets_all_modes();
        Selection { paths, exclude: self.op.exclude.clone(), any_mode }
    }

    /// Returns the number that the next input gets.
    pub(super) fn next_input(&self) -> u32 {
        u32::try_from(self.inputs.len()).unwrap_or(u32::MAX)
    }

    /// Adds an input.
    pub(super) fn input(&mut self, vertex: VertexId) -> u32 {
        let number = self.next_input();
        self.inputs.push((Role::Source(number), vertex));
        number
    }

    /// Adds an item.
    pub(super) fn item(&mut self, item: CopyItem) {
        self.op.items.push(item);
    }

    /// Notes a source for the history.
    pub(super) fn source(&mut self, text: &str) {
        self.created_by.push(' ');
        self.created_by.push_str(text);
    }

    /// Adds a here-document, its variables expanded unless its word is quoted (B8-08).
    pub(super) fn heredoc(
        &mut self,
        lowering: &mut Lowering<'_>,
        state: &State,
        heredoc: &Heredoc,
    ) -> Result<(), Diagnostic> {
        let content = expand::heredoc(heredoc, &state.variables).map_err(|error| {
            Diagnostic::error(error.message, heredoc.span).with_hint(error.hint)
        })?;
        let place = Word::new(String::new(), heredoc.span);
        state.warn_undefined(lowering, &content.unset, &place);
        let name = heredoc.name.text.clone();
        self.source(&format!("<<{name}"));
        self.item(CopyItem::Inline(InlineFile { name, content: content.text.into() }));
        Ok(())
    }

    /// Adds the finished copy to the stage.
    pub(super) fn finish(
        mut self,
        lowering: &mut Lowering<'_>,
        state: &mut State,
        step: &Step<'_, '_>,
    ) {
        let dest = std::mem::take(&mut self.dest);
        self.source(&dest);
        let title = state.title(lowering, step);
        let mut created_by = self.created_by;
        created_by.push_str(" # buildkit");
        let op = Op::Copy(Box::new(self.op));
        state.push(lowering, step, op, title, self.inputs, created_by);
    }
}

/// Reads a source path. With `--parents` the part before `/./` is not kept in the destination.
pub(super) fn source_path(text: &str, parents: bool) -> SourcePath {
    if !parents {
        let literal = !paths::has_wildcards(text);
        return SourcePath { base: None, pattern: paths::source(text), literal };
    }
    let (base, pattern) = text.split_once("/./").unwrap_or(("", text));
    SourcePath {
        base: Some(paths::source(base)),
        pattern: paths::source(pattern),
        literal: !paths::has_wildcards(base) && !paths::has_wildcards(pattern),
    }
}
