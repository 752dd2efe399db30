//! COPY and ADD.

use crate::Word;
use crate::ast::{Heredoc, Switch};

/// What COPY and ADD have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// At least one, in the order of the file.
    pub sources: Vec<Source>,
    /// Where to; unexpanded.
    pub dest: Word,
    /// `--chown=user[:group]`; unexpanded.
    pub chown: Option<Word>,
    /// `--chmod=mode`; unexpanded. Read it with [`chmod::parse`](crate::chmod::parse) afterwards.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: Option<Switch>,
    /// `--exclude=pattern`, in order; unexpanded.
    pub exclude: Vec<Word>,
}

impl Transfer {
    /// The sources that are paths (or URLs), in order.
    pub fn paths(&self) -> impl Iterator<Item = &Word> {
        self.sources.iter().filter_map(|source| match source {
            Source::Path(path) => Some(path),
            Source::Heredoc(_) => None,
        })
    }

    /// The sources that are here-documents, in order.
    pub fn heredocs(&self) -> impl Iterator<Item = &Heredoc> {
        self.sources.iter().filter_map(|source| match source {
            Source::Path(_) => None,
            Source::Heredoc(heredoc) => Some(heredoc),
        })
    }
}

/// One source of COPY or ADD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A path, glob or (ADD) URL; unexpanded.
    Path(Word),
    /// A file that is written in the Dockerfile; mode 0644 unless `--chmod` says otherwise.
    Heredoc(Heredoc),
}

/// `COPY [flags] sources… dest`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// Sources, destination and common flags.
    pub transfer: Transfer,
    /// `--from`: a stage, an index, a named context or an image. Holds no variable.
    pub from: Option<Word>,
    /// `--parents`.
    pub parents: Option<Switch>,
}

/// `ADD [flags] sources… dest`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Add {
    /// Sources, destination and common flags.
    pub transfer: Transfer,
    /// `--checksum`; unexpanded.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<Switch>,
    /// `--unpack`; absent means: local archives yes, downloads no.
    pub unpack: Option<Switch>,
}
