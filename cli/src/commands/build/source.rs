//! Where Dockerfile and context come from: `PATH | URL | -` and `--file`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gantry_executor::{ContextSource, DockerfileSource};
use gantry_image::compress::{self, Compression};
use gantry_parser::SourceFile;
use gantry_parser::remote::{SourceKind, source_kind};
use gantry_solver::op::GitOp;

use crate::ui::Failure;

/// A context and its Dockerfile.
pub(crate) struct Sources {
    pub(crate) context: ContextSource,
    pub(crate) dockerfile: DockerfileSource,
    /// The ignore file of a Dockerfile outside of the context: name and text.
    pub(crate) ignore: Option<(String, String)>,
}

/// Whether one of the two is read from stdin, which can be done only once.
pub(crate) fn uses_stdin(context: &str, file: Option<&str>) -> bool {
    context == "-" || file == Some("-")
}

/// Finds context and Dockerfile.
///
/// # Errors
/// In docker's words.
pub(crate) fn find(context: &str, file: Option<&str>) -> Result<Sources, Failure> {
    match (context, file) {
        ("-", Some("-")) => Err(Failure::text(
            "invalid argument: can't use stdin for both build context and dockerfile",
        )),
        ("-", file) => from_stdin(file),
        (url, file) if let Some(context) = remote(url)? => Ok(Sources {
            context,
            dockerfile: match file {
                Some("-") => from_stdin_text()?,
                file => in_context(file),
            },
            ignore: None,
        }),
        (path, file) => from_directory(Path::new(path), file),
    }
}

/// What lies elsewhere: a git repository, or whatever an address delivers (C2-02, C2-03).
fn remote(context: &str) -> Result<Option<ContextSource>, Failure> {
    let kind = match source_kind(context) {
        // A form that looks like a path; a directory of that name comes first.
        SourceKind::Path if context.starts_with("github.com/") => SourceKind::Git,
        kind => kind,
    };
    if kind == SourceKind::Path || Path::new(context).exists() {
        return Ok(None);
    }
    Ok(Some(match kind {
        SourceKind::Git => ContextSource::Git(GitOp::parse(context).map_err(|err| {
            Failure::text(format_args!("unable to prepare context: {err}")).with_hint(err.hint())
        })?),
        _ => ContextSource::Http(context.to_owned()),
    }))
}

fn in_context(file: Option<&str>) -> DockerfileSource {
    file.map_or(DockerfileSource::Default, |file| DockerfileSource::InContext(file.to_owned()))
}

fn from_stdin_text() -> Result<DockerfileSource, Failure> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(DockerfileSource::Text(SourceFile::from_bytes("Dockerfile", &text)))
}

fn from_directory(path: &Path, file: Option<&str>) -> Result<Sources, Failure> {
    let shown = path.display();
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(Failure::text(format_args!(
                "unable to prepare context: path \"{shown}\" is not a directory"
            )));
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::text(format_args!(
                "unable to prepare context: path \"{shown}\" not found"
            )));
        }
        Err(err) => return Err(Failure::new(err).context("unable to prepare context")),
    }
    let context = ContextSource::Directory(path.to_owned());
    let (dockerfile, ignore) = match file {
        None => (DockerfileSource::Default, None),
        Some("-") => (from_stdin_text()?, None),
        Some(url) if source_kind(url) == SourceKind::Http && !Path::new(url).exists() => {
            (DockerfileSource::Url(url.to_owned()), None)
        }
        Some(file) => named(path, Path::new(file))?,
    };
    Ok(Sources { context, dockerfile, ignore })
}

type Named = (DockerfileSource, Option<(String, String)>);

/// A Dockerfile by its path, which is seen from the current directory and may lead anywhere.
fn named(context: &Path, file: &Path) -> Result<Named, Failure> {
    // Where there is no such file, one of that name in the context may be meant, as with docker's
    // classic builder; it also says best that there is none.
    if file.is_relative() && file.symlink_metadata().is_err() {
        return Ok((DockerfileSource::InContext(file.to_string_lossy().into_owned()), None));
    }
    let inside = match (fs_err::canonicalize(context), parent(file)) {
        (Ok(context), Some((directory, name))) => {
            directory.join(name).strip_prefix(&context).ok().map(Path::to_path_buf)
        }
        _ => None,
    };
    if let Some(inside) = inside.as_deref().and_then(Path::to_str) {
        return Ok((DockerfileSource::InContext(inside.to_owned()), None));
    }
    let unreadable = |err| Failure::new(err).context("failed to read dockerfile");
    let text = fs_err::read(file).map_err(unreadable)?;
    let name = file.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
    let beside = |suffix: &&str| {
        let text = fs_err::read(format!("{}{suffix}", file.display())).ok()?;
        Some((format!("{name}{suffix}"), String::from_utf8_lossy(&text).into_owned()))
    };
    let ignore = [".dockerignore", ".containerignore"].iter().find_map(beside);
    Ok((DockerfileSource::Text(SourceFile::from_bytes(name, &text)), ignore))
}

/// The real directory that a file lies in, and its name there.
fn parent(file: &Path) -> Option<(PathBuf, &std::ffi::OsStr)> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = fs_err::canonicalize(directory.unwrap_or(Path::new("."))).ok()?;
    Some((directory, file.file_name()?))
}

/// A tar that is the context, or a Dockerfile that needs none.
fn from_stdin(file: Option<&str>) -> Result<Sources, Failure> {
    /// A tar's first header.
    const HEADER: u64 = 512;
    let mut first = Vec::new();
    io::stdin().lock().take(HEADER).read_to_end(&mut first)?;
    let rest = io::Cursor::new(first.clone()).chain(io::stdin());
    let is_tar = compress::sniff(&first) != Compression::None
        || first.get(257..262).is_some_and(|magic| magic == b"ustar");
    if is_tar {
        return Ok(Sources {
            context: ContextSource::Tar(Box::new(rest)),
            dockerfile: in_context(file),
            ignore: None,
        });
    }
    if first.is_empty() {
        return Err(Failure::text("failed to read dockerfile: stdin is empty"));
    }
    let mut rest = rest;
    let mut text = Vec::new();
    rest.read_to_end(&mut text)?;
    Ok(Sources {
        context: ContextSource::Empty,
        dockerfile: DockerfileSource::Text(SourceFile::from_bytes("Dockerfile", &text)),
        ignore: None,
    })
}
