//! Checks: what is legal in a Dockerfile and still unwise, and whether that fails the build.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use gantry_image::Platform;
use gantry_parser::ast::CheckOptions;
use gantry_parser::ignore::IgnoreFile;
use gantry_parser::lint::{self, Base, World};
use gantry_parser::{Diagnostic, Dockerfile, parse_check};
use gantry_solver::{BoxFuture, Dated, ImageRequest, Resolve, ResolveError, ResolvedImage};

/// The build argument whose value takes the place of the file's `check` directive.
const OPTIONS: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What there is to say about options that make no sense.
const OPTIONS_ARE: &str =
    "Options are `skip=RULE,RULE`, `error=true` and `experimental=RULE`, with `;` between them";

/// The rules that count for one build, and what they may know of it.
#[derive(Debug)]
pub(super) struct Checks<'a> {
    options: Option<CheckOptions>,
    build_args: &'a BTreeMap<String, String>,
    ignore: Option<&'a IgnoreFile>,
    platforms: Vec<String>,
}

impl<'a> Checks<'a> {
    /// Reads the options that the build was given.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(
        build_args: &'a BTreeMap<String, String>,
        ignore: Option<&'a IgnoreFile>,
        platforms: &[Platform],
    ) -> Result<Self, Vec<Diagnostic>> {
        let options = build_args.get(OPTIONS).map(|text| parse_check(text)).transpose();
        let options = options
            .map_err(|message| vec![Diagnostic::error_in_file(message).with_hint(OPTIONS_ARE)])?;
        let platforms = platforms.iter().map(ToString::to_string).collect();
        Ok(Self { options, build_args, ignore, platforms })
    }

    /// Puts the findings of all rules together: of those that look at the text, the ignore file and
    /// the base images that were `seen`, and of those that lowering looked at, if it came that far.
    /// In the order of the file, each once.
    pub(super) fn merge(
        &self,
        dockerfile: &Dockerfile,
        seen: &Seen<'_>,
        lowered: Option<Vec<Diagnostic>>,
    ) -> Vec<Diagnostic> {
        let place = |other: &Diagnostic| (other.code, other.span(), other.message.clone());
        let mut found: Vec<Diagnostic> = Vec::new();
        for platform in &self.platforms {
            let world = World {
                build_args: self.build_args,
                ignore: self.ignore,
                platform,
                base: &|name, platform| seen.base(name, platform),
            };
            for finding in lint::check_in(dockerfile, self.options.as_ref(), &world) {
                if !found.iter().any(|other| place(other) == place(&finding)) {
                    found.push(finding);
                }
            }
        }
        if lowered.is_some() {
            // Who lowered it knew all variables, and these rules' text is the same.
            let variables = [Some("UndefinedVar"), Some("UndefinedArgInFrom")];
            found.retain(|finding| !variables.contains(&finding.code));
        }
        let skips = lint::effective(dockerfile, self.options.as_ref());
        for finding in lowered.unwrap_or_default() {
            let skipped = skips.zip(finding.code).is_some_and(|(o, code)| o.skip.contains(code))
                || lint::is_skipped_at(dockerfile, &finding);
            if !skipped && !found.iter().any(|other| place(other) == place(&finding)) {
                found.push(finding);
            }
        }
        found.sort_by_key(|finding| finding.span().map_or(0, |span| span.start));
        found
    }

    /// Says so if a finding is to fail the build (`check=error=true`).
    pub(super) fn violation(
        &self,
        dockerfile: &Dockerfile,
        findings: &[Diagnostic],
    ) -> Option<Diagnostic> {
        let fails = lint::effective(dockerfile, self.options.as_ref())?.error;
        let message = lint::violation(findings).filter(|_| fails)?;
        let hint = "Mend what they found, or leave them out: `# check=skip=RULE;error=true`";
        Some(Diagnostic::error_in_file(message).with_hint(hint))
    }
}

/// Resolves images, and remembers what rules may ask about them: nothing is looked up twice.
pub(super) struct Seen<'a> {
    inner: &'a dyn Resolve,
    /// By the name and the platform that was asked for.
    bases: Mutex<Vec<(String, Platform, Base)>>,
    times: Mutex<HashMap<Dated, Option<i64>>>,
}

impl<'a> Seen<'a> {
    /// Has seen nothing yet.
    pub(super) fn new(inner: &'a dyn Resolve) -> Self {
        Self { inner, bases: Mutex::default(), times: Mutex::default() }
    }

    fn base(&self, name: &str, platform: &str) -> Option<Base> {
        let platform = platform.parse::<Platform>().ok().map(|platform| platform.normalized());
        let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let found = bases.iter().find(|(known, wanted, _)| {
            known == name && platform.as_ref().is_none_or(|platform| *wanted == *platform)
        });
        found.map(|(_, _, base)| base.clone())
    }
}

impl Resolve for Seen<'_> {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        Box::pin(async move {
            let image = self.inner.image(request).await?;
            let env = image.config.config.env.iter().filter_map(|var| var.split_once('='));
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let base = Base { env, platform: image.config.platform().normalized().to_string() };
            let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
            bases.push((request.name.text().to_owned(), request.platform.normalized(), base));
            drop(bases);
            Ok(image)
        })
    }

    fn time<'a>(&'a self, source: &'a Dated) -> BoxFuture<'a, Result<Option<i64>, ResolveError>> {
        Box::pin(async move {
            let known = |times: &Mutex<HashMap<Dated, Option<i64>>>| {
                times.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied()
            };
            if let Some(time) = known(&self.times) {
                return Ok(time);
            }
            let time = self.inner.time(source).await?;
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.insert(source.clone(), time);
            Ok(time)
        })
    }
}
