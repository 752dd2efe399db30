//! Outputs as typed → outputs as meant.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use gantry_executor::{Annotation, Dest, Output};
use gantry_image::Reference;

use super::spec::{Kind, OutputSpec};
use crate::commands::build::parse_tag;
use crate::ui::Failure;

/// What the command line says of outputs.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) specs: &'a [OutputSpec],
    pub(crate) load: bool,
    pub(crate) push: bool,
    /// `--annotation`
    pub(crate) annotations: Vec<Annotation>,
    /// Docker's media types for all images (`--format docker`).
    pub(crate) docker_types: bool,
    /// Files keep their times (`--rewrite-timestamp=false`).
    pub(crate) keep_times: bool,
    pub(crate) has_tags: bool,
    /// `--allow buildx.local.delete`
    pub(crate) may_delete: bool,
    /// Whether there are several platforms.
    pub(crate) several: bool,
    /// Whether something is to be said about the result.
    pub(crate) attested: bool,
    /// `BUILDX_NO_DEFAULT_LOAD`
    pub(crate) nothing_by_default: bool,
}

/// The outputs of a build, and what they mean for other flags.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) outputs: Vec<Output>,
    /// Names for the image in the store, besides `--tag`.
    pub(crate) names: Vec<Reference>,
    /// What the image is called, with its digest, if it has no name.
    pub(crate) dangling_prefix: Option<Reference>,
    /// Whether the image in the store is also called by its names with its digest.
    pub(crate) canonical: bool,
    /// `source-date-epoch` of an output.
    pub(crate) epoch: Option<String>,
    /// Whether one of them is nothing but files, which have no image ID.
    pub(crate) has_files: bool,
    /// Whether nothing was asked for, and so nothing is made.
    pub(crate) cache_only: bool,
}

/// Makes outputs of what was asked for; of nothing, an image in the store.
///
/// # Errors
/// In buildx's words.
pub(crate) fn resolve(wanted: &Wanted<'_>) -> Result<Outputs, Failure> {
    let mut resolved = Outputs::default();
    let mut pushes = Vec::new();
    for spec in &specs(wanted) {
        // As for buildx, `--tag` stands in the place of the names of outputs.
        let names = spec.names.iter().filter(|_| !wanted.has_tags);
        let names = names.map(|name| parse_tag(name)).collect::<Result<Vec<_>, _>>()?;
        if let Some(epoch) = &spec.image.epoch {
            resolved.epoch = Some(epoch.clone());
        }
        if spec.push {
            if names.is_empty() && !wanted.has_tags {
                return Err(Failure::text("tag is needed when pushing to registry"));
            }
            pushes.push(Output::Registry {
                names: names.clone(),
                by_digest: spec.push_by_digest,
                options: spec.image.options.clone(),
            });
        }
        resolved.add(spec, names, wanted)?;
    }
    resolved.cache_only = wanted.specs.is_empty() && resolved.outputs.is_empty();
    if resolved.outputs.iter().filter(|output| output.is_stream()).count() > 1 {
        return Err(Failure::text("multiple outputs configured to write to stdout"));
    }
    resolved.outputs.extend(pushes);
    Ok(resolved)
}

impl Outputs {
    /// Adds what one output writes besides a push; `names` are those of the image in it.
    fn add(
        &mut self,
        spec: &OutputSpec,
        names: Vec<Reference>,
        wanted: &Wanted<'_>,
    ) -> Result<(), Failure> {
        let options = spec.image.options.clone();
        let dest = spec.dest.as_deref();
        let output = match spec.kind {
            Kind::CacheOnly => return Ok(()),
            Kind::Image => return self.store(spec, names),
            Kind::Docker => {
                check_docker(spec, wanted)?;
                if dest.is_none() {
                    return self.store(spec, names);
                }
                Output::Docker { dest: stream(dest, "docker")?, names, options }
            }
            Kind::Oci => {
                let dest = match spec.tar {
                    true => stream(dest, "oci")?,
                    false => Dest::Directory(directory(dest, "oci")?),
                };
                Output::Oci { dest, tar: spec.tar, names, options }
            }
            Kind::Local => {
                self.has_files = true;
                let dest = directory(dest, "local")?;
                check_delete(spec, &dest, wanted)?;
                let (split, delete, prefix) = (spec.split, spec.delete, spec.prefix.clone());
                Output::Local { dest, split, delete, prefix }
            }
            Kind::Tar => {
                self.has_files = true;
                Output::Tar { dest: stream(dest, "tar")?, prefix: spec.prefix.clone() }
            }
        };
        self.outputs.push(output);
        Ok(())
    }

    /// Adds an image in the store.
    fn store(&mut self, spec: &OutputSpec, names: Vec<Reference>) -> Result<(), Failure> {
        self.names.extend(names);
        if let Some(prefix) = &spec.image.dangling_prefix {
            self.dangling_prefix = Some(parse_tag(prefix)?);
        }
        if spec.store {
            self.canonical |= spec.image.canonical;
            let mut options = spec.image.options.clone();
            // What is loaded is the image alone.
            options.attestations.none |= spec.kind == Kind::Docker;
            self.outputs.push(Output::Store { options });
        }
        Ok(())
    }
}

/// Refuses what would need an index, which docker's images and archives have none of.
fn check_docker(spec: &OutputSpec, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let hint = match (wanted.several, wanted.attested && spec.dest.is_some()) {
        (true, _) => "An index goes into the store without `--load`, or into `type=oci`",
        (false, true) => "Attestations need an index: name `type=oci`, or ask for none",
        (false, false) => return Ok(()),
    };
    let (how, instead) = match spec.dest {
        Some(_) => ("does not support", ", use the oci exporter instead"),
        None => ("does not currently support", ""),
    };
    let what = format_args!("docker exporter {how} exporting manifest lists{instead}");
    Err(Failure::text(what).with_hint(hint))
}

/// Refuses to delete files outside of the current directory unless that was allowed.
fn check_delete(spec: &OutputSpec, dest: &Path, wanted: &Wanted<'_>) -> Result<(), Failure> {
    if !spec.delete || wanted.may_delete || is_below_here(dest) {
        return Ok(());
    }
    Err(Failure::text(format_args!(
        "mode=delete for {}, which is not below the current directory, is not allowed",
        dest.display()
    ))
    .with_hint("Allow it with `--allow=buildx.local.delete`"))
}

/// The outputs with what `--load` and `--push` add or change.
fn specs(wanted: &Wanted<'_>) -> Vec<OutputSpec> {
    let mut specs = wanted.specs.to_vec();
    if wanted.push {
        let images = specs.iter_mut().filter(|spec| spec.kind == Kind::Image);
        if images.map(|spec| spec.push = true).count() == 0 {
            specs.push(OutputSpec { push: true, ..OutputSpec::new(Kind::Image) });
        }
    }
    let loads = |spec: &OutputSpec| spec.kind == Kind::Docker && spec.dest.is_none();
    if wanted.load && !specs.iter().any(loads) {
        specs.push(OutputSpec::new(Kind::Docker));
    }
    if specs.is_empty() && !wanted.nothing_by_default {
        specs.push(OutputSpec::new(Kind::Image));
    }
    for spec in &mut specs {
        spec.annotate(&wanted.annotations);
        spec.image.options.docker_types |= wanted.docker_types;
        spec.image.options.keep_times |= wanted.keep_times;
    }
    specs
}

/// A file, or stdout if that is no terminal.
fn stream(dest: Option<&str>, what: &str) -> Result<Dest, Failure> {
    match dest {
        None | Some("" | "-") if io::stdout().is_terminal() => Err(Failure::text(format_args!(
            "dest file is required for {what} exporter. refusing to write to console"
        ))),
        None | Some("" | "-") => Ok(Dest::Writer(Box::new(io::stdout()))),
        Some(path) if Path::new(path).is_dir() => {
            Err(Failure::text(format_args!("destination file {path} is a directory")))
        }
        Some(path) => Ok(Dest::File(path.into())),
    }
}

fn directory(dest: Option<&str>, what: &str) -> Result<PathBuf, Failure> {
    match dest {
        None | Some("") => Err(Failure::text(format_args!("dest is required for {what} exporter"))),
        Some(path) if Path::new(path).is_file() => {
            Err(Failure::text(format_args!("destination directory {path} is a file")))
        }
        Some(path) => Ok(path.into()),
    }
}

/// Whether a directory, which may not be there yet, is below the current one and not it itself.
fn is_below_here(path: &Path) -> bool {
    let real = |path: &Path| {
        // What is not there yet can't be a link.
        let there = path.ancestors().find(|part| part.symlink_metadata().is_ok())?;
        let rest = path.strip_prefix(there).ok()?;
        Some(fs_err::canonicalize(there).ok()?.join(rest))
    };
    let Ok(here) = std::env::current_dir().and_then(fs_err::canonicalize) else { return false };
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    !climbs && real(&here.join(path)).is_some_and(|real| real.starts_with(&here) && real != here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_worded_as_buildx_words_them() {
        let resolved = |texts: &[&str], several| {
            let specs: Vec<OutputSpec> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let wanted = Wanted { specs: &specs, several, ..Wanted::default() };
            resolve(&wanted).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(resolved(&["type=local"], false), "dest is required for local exporter");
        assert_eq!(
            resolved(&["type=local,dest=/bin/sh"], false),
            "destination directory /bin/sh is a file"
        );
        assert_eq!(
            resolved(&["type=docker,dest=/tmp"], false),
            "destination file /tmp is a directory"
        );
        assert_eq!(
            resolved(&["type=docker"], true),
            "docker exporter does not currently support exporting manifest lists"
        );
        assert_eq!(
            resolved(&["type=docker,dest=x"], true),
            "docker exporter does not support exporting manifest lists, use the oci exporter \
             instead"
        );
        assert_eq!(resolved(&["type=registry"], false), "tag is needed when pushing to registry");
    }

    #[test]
    fn load_and_push_add_to_outputs() {
        let kinds = |texts: &[&str], load, push| -> Vec<(Kind, bool)> {
            let specs: Vec<OutputSpec> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let wanted = Wanted { specs: &specs, load, push, ..Wanted::default() };
            super::specs(&wanted).iter().map(|spec| (spec.kind, spec.push)).collect()
        };
        assert_eq!(kinds(&[], false, false), [(Kind::Image, false)]);
        assert_eq!(kinds(&[], true, false), [(Kind::Docker, false)]);
        assert_eq!(kinds(&["type=docker"], true, false), [(Kind::Docker, false)]);
        assert_eq!(
            kinds(&["type=docker,dest=x"], true, false),
            [(Kind::Docker, false), (Kind::Docker, false)]
        );
        assert_eq!(kinds(&["type=image"], false, true), [(Kind::Image, true)]);
        assert_eq!(kinds(&["out"], false, true), [(Kind::Local, false), (Kind::Image, true)]);
    }
}
