//! `COPY`: files of the context, of a stage, or of an image.

use gantry_parser::{
    Diagnostic,
    ast::{Copy, Source},
    remote::{SourceKind, source_kind},
};

use crate::{
    lower::{
        Lowering,
        instruction::transfer::{Draft, source_path},
        stage::{State, Step},
        stages::Base,
    },
    op::{ContextOp, CopyItem, Selection},
};

/// All paths of one COPY are one selection, so that only what they take counts for its key.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    copy: &Copy,
) -> Result<(), Diagnostic> {
    let parents = copy.parents.is_some_and(|parents| parents.value);
    let mut draft = Draft::new(lowering, state, "COPY", &copy.transfer, parents)?;
    let mut paths = Vec::new();
    let input = draft.next_input();
    for source in &copy.transfer.sources {
        match source {
            Source::Path(word) => {
                let text = state.expand(lowering, word)?;
                match source_kind(&text) {
                    SourceKind::Path => {}
                    SourceKind::Git => {
                        return Err(use_add("source can't be a git ref for COPY", word.span));
                    }
                    SourceKind::Http => {
                        return Err(use_add("source can't be a URL for COPY", word.span));
                    }
                }
                draft.source(&text);
                let path = source_path(&text, parents);
                paths.push(path.clone());
                draft.item(CopyItem::Tree { input, path, unpack: false });
            }
            Source::Heredoc(heredoc) => draft.heredoc(lowering, state, heredoc)?,
        }
    }
    if !paths.is_empty() {
        let selection = draft.selection(paths);
        let vertex = match step.command.sources.first().copied().flatten() {
            Some(stage) => from_stage(lowering, state, step, copy, stage, selection)?,
            None => lowering.context_source(ContextOp::MAIN, selection),
        };
        draft.input(vertex);
    }
    draft.finish(lowering, state, step);
    Ok(())
}

fn use_add(message: &str, span: gantry_parser::Span) -> Diagnostic {
    Diagnostic::error(message, span).with_hint("Use ADD, which downloads")
}

fn from_stage(
    lowering: &mut Lowering<'_>,
    state: &State,
    step: &Step<'_, '_>,
    copy: &Copy,
    stage: usize,
    selection: Selection,
) -> Result<crate::VertexId, Diagnostic> {
    let source = &step.stages.list[stage];
    if let Base::Context(name) = &source.base
        && (source.implicit || source.replaced(lowering.options))
        && !step.images.contains_key(&stage)
    {
        return Ok(lowering.context_source(name, selection));
    }
    if let Some(source) = &step.states[stage] {
        return Ok(source.vertex);
    }
    let from = copy.from.as_ref();
    let message = format!(
        "cannot copy from stage {:?}, it needs to be defined before current stage {:?}",
        from.map_or("", |from| from.text.as_str()),
        state.shown
    );
    let error = Diagnostic::error(message, from.map_or(source.span, |from| from.span));
    Err(error
        .and_label(source.span, "the stage is defined here")
        .with_hint("Move that stage above this one"))
}
