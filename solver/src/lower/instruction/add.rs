//! `ADD`: like COPY from the context, and also downloads, git repositories and archives.

use gantry_image::Digest;
use gantry_parser::{
    Diagnostic, Word,
    ast::{Add, Source},
    remote::{SourceKind, source_kind},
};

use crate::{
    graph::Vertex,
    lower::{
        Lowering, git,
        instruction::transfer::{Draft, source_path},
        stage::{State, Step},
    },
    op::{ContextOp, CopyItem, GitOp, HttpOp, Op, SourcePath},
};

/// Local archives are unpacked unless `--unpack=false`; downloads only if `--unpack`.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    add: &Add,
) -> Result<(), Diagnostic> {
    let mut draft = Draft::new(lowering, state, "ADD", &add.transfer, false)?;
    let checksum = state.expand_optional(lowering, add.checksum.as_ref())?;
    let checksum = add.checksum.as_ref().zip(checksum).filter(|(_, text)| !text.is_empty());
    if let Some((word, _)) = &checksum
        && add.transfer.sources.len() != 1
    {
        let message = "checksum can't be specified for multiple sources";
        return Err(Diagnostic::error(message, word.span)
            .with_hint("Write an ADD with a checksum of its own for each source"));
    }
    let unpack = add.unpack.map(|unpack| unpack.value);
    let mut kinds = Vec::with_capacity(add.transfer.sources.len());
    for source in &add.transfer.sources {
        kinds.push(match source {
            Source::Path(word) => kind(lowering, state, add, word, checksum.as_ref())?,
            Source::Heredoc(_) => Kind::Inline,
        });
    }
    let local: Vec<_> = kinds.iter().filter_map(Kind::local).cloned().collect();
    let local = (!local.is_empty()).then(|| {
        let selection = draft.selection(local);
        draft.input(lowering.context_source(ContextOp::MAIN, selection))
    });
    for (source, kind) in add.transfer.sources.iter().zip(kinds) {
        match (source, kind) {
            (Source::Heredoc(heredoc), _) => draft.heredoc(lowering, state, heredoc)?,
            (Source::Path(_), Kind::Local(text, path)) => {
                draft.source(&text);
                let (input, unpack) = (local.unwrap_or_default(), unpack.unwrap_or(true));
                draft.item(CopyItem::Tree { input, path, unpack });
            }
            (Source::Path(_), Kind::Remote(text, op)) => {
                draft.source(&text);
                let name = match &op {
                    Op::Http(http) => Some(http.name.clone()),
                    _ => None,
                };
                let title = state.next_title(lowering, step);
                let place = step.command.place(step.stages.list[state.index].span);
                let vertex = Vertex { span: Some(place), ..Vertex::new(op, title) };
                let input = draft.input(lowering.graph.add(vertex, &[]));
                draft.item(match name {
                    Some(name) => {
                        CopyItem::Download { input, name, unpack: unpack.unwrap_or(false) }
                    }
                    None => CopyItem::Git { input },
                });
            }
            (Source::Path(_), Kind::Inline) => {}
        }
    }
    draft.finish(lowering, state, step);
    Ok(())
}

/// What a source is, with its expanded text.
enum Kind {
    Local(String, SourcePath),
    Remote(String, Op),
    Inline,
}

impl Kind {
    fn local(&self) -> Option<&SourcePath> {
        match self {
            Kind::Local(_, path) => Some(path),
            Kind::Remote(..) | Kind::Inline => None,
        }
    }
}

fn kind(
    lowering: &mut Lowering<'_>,
    state: &State,
    add: &Add,
    word: &Word,
    checksum: Option<&(&Word, String)>,
) -> Result<Kind, Diagnostic> {
    let text = state.expand(lowering, word)?.into_owned();
    if let Some(op) = remote(&text, add, word, checksum)? {
        return Ok(Kind::Remote(text, op));
    }
    if let Some((flag, _)) = checksum {
        let message = "checksum requires HTTP(S) or Git sources";
        return Err(Diagnostic::error(message, flag.span)
            .with_hint("Remove it: what the context holds is known by its content anyway"));
    }
    let path = source_path(&text, false);
    Ok(Kind::Local(text, path))
}

/// Returns what an expanded source stands for, if it lies elsewhere.
///
/// # Errors
/// An address that makes no sense, or not with the flags of this ADD.
pub(in crate::lower) fn remote(
    text: &str,
    add: &Add,
    word: &Word,
    checksum: Option<&(&Word, String)>,
) -> Result<Option<Op>, Diagnostic> {
    Ok(match source_kind(text) {
        SourceKind::Git => {
            let (git, keep) = git::parse(text).map_err(|wrong| wrong.at(word.span))?;
            Some(Op::Git(repository(git, keep, add, checksum, word)?))
        }
        SourceKind::Http => Some(Op::Http(download(text, checksum)?)),
        SourceKind::Path => None,
    })
}

fn repository(
    mut git: GitOp,
    asked_to_keep: Option<bool>,
    add: &Add,
    checksum: Option<&(&Word, String)>,
    word: &Word,
) -> Result<GitOp, Diagnostic> {
    if let Some(keep) = add.keep_git_dir {
        if asked_to_keep.is_some_and(|asked| asked != keep.value) {
            let message = "inconsistent keep-git-dir configuration";
            return Err(Diagnostic::error(message, keep.span)
                .with_hint("Say it once: as a flag, or as `keep-git-dir` of the address"));
        }
        git.keep_git_dir = keep.value;
    }
    if let Some((flag, text)) = checksum {
        match &git.checksum {
            Some(other) if other != text => {
                let message = format!("checksum mismatch {text:?} != {other:?}");
                return Err(Diagnostic::error(message, flag.span)
                    .and_label(word.span, "the address says another one")
                    .with_hint("Say it once: with `--checksum`, or in the address"));
            }
            _ => git.checksum = Some(text.clone()),
        }
    }
    Ok(git)
}

fn download(url: &str, checksum: Option<&(&Word, String)>) -> Result<HttpOp, Diagnostic> {
    let checksum = match checksum {
        Some((word, text)) => match text.parse::<Digest>() {
            Ok(digest) => Some(digest.to_string()),
            Err(error) => {
                return Err(Diagnostic::error(error.to_string(), word.span)
                    .with_hint("Write `sha256:` and 64 hex digits, as `sha256sum` prints them"));
            }
        },
        None => None,
    };
    Ok(HttpOp { checksum, ..HttpOp::new(url) })
}
