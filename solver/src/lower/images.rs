//! Base images of the stages that the target needs, and the ONBUILD triggers that they bring.
//!
//! Nothing else is resolved: a stage that nobody needs costs nothing, not even a look-up.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use gantry_image::{Platform, Reference};
use gantry_parser::{Diagnostic, Instruction, SourceFile, parse_trigger, suggest::with_suggestion};

use crate::{
    lower::{
        Context, LowerOptions, cycles, go,
        stages::{Base, Origin, Stage, Stages, Written},
    },
    resolve::{ImageName, ImageRequest, Resolve, ResolveError, ResolvedImage},
};

/// The images of stages, by number; filled by [`resolve`].
pub(super) type Images = BTreeMap<usize, Arc<ResolvedImage>>;

/// Resolves what the target needs, and puts ONBUILD triggers in front of the stages' commands.
///
/// Triggers can ask for further stages and images, so this goes on until nothing is new.
///
/// # Errors
/// Images that can't be had; names that are none, also of stages that nobody needs; triggers
/// that make no sense.
pub(super) async fn resolve(
    stages: &mut Stages<'_>,
    target: usize,
    options: &LowerOptions,
    resolve: &dyn Resolve,
) -> Result<Images, Vec<Diagnostic>> {
    check_names(stages)?;
    let mut images = Images::new();
    let mut known: HashMap<ImageRequest, Arc<ResolvedImage>> = HashMap::new();
    let mut triggered = vec![false; stages.list.len()];
    loop {
        let reachable = stages.reachable(target);
        let mut wanted: Vec<(usize, ImageRequest)> = Vec::new();
        for (index, stage) in stages.list.iter().enumerate() {
            if reachable[index]
                && !images.contains_key(&index)
                && let Some(request) = request(stage, options)
            {
                wanted.push((index, request));
            }
        }
        let mut requests: Vec<&ImageRequest> = Vec::new();
        for (_, request) in &wanted {
            if !known.contains_key(request) && !requests.contains(&request) {
                requests.push(request);
            }
        }
        let answers = join(requests.iter().map(|request| resolve.image(request)).collect()).await;
        let mut errors = Vec::new();
        for (request, answer) in requests.into_iter().zip(answers) {
            match answer {
                Ok(image) => drop(known.insert(request.clone(), Arc::new(image))),
                Err(error) => {
                    let asking = wanted.iter().find(|(_, wanted)| wanted == request);
                    let stage = asking.map(|(index, _)| &stages.list[*index]);
                    errors.push(failed(stages, stage, request, &error));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for (index, request) in wanted {
            if let Some(image) = known.get(&request) {
                images.insert(index, image.clone());
            }
        }
        let before = stages.list.len();
        let mut any = false;
        for index in (0..before).filter(|index| reachable[*index]) {
            if !std::mem::replace(&mut triggered[index], true) {
                any |= add_triggers(stages, index, images.get(&index), options)?;
            }
        }
        triggered.resize(stages.list.len(), false);
        if !any {
            return Ok(images);
        }
        cycles::check(stages).map_err(|error| vec![error])?;
    }
}

fn check_names(stages: &Stages<'_>) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    for stage in &stages.list {
        if let Base::Image(name) = &stage.base
            && let Err(error) = name.parse::<Reference>()
        {
            let message = format!("failed to parse stage name {}: {error}", go::quote(name));
            let lower = name.to_lowercase();
            let hint = match stages.list.iter().any(|s| s.name.as_ref() == Some(&lower)) {
                true => format!("Names of stages are in lower case: `FROM {lower}`"),
                false => "Names of images are in lower case: `name`, `name:tag` or `host/name:tag`"
                    .to_owned(),
            };
            let error = Diagnostic::error(message, stage.base_word.span).with_hint(hint);
            errors.push(error.within(stage.span));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Returns which image a stage holds or builds upon, if it is one.
fn request(stage: &Stage<'_>, options: &LowerOptions) -> Option<ImageRequest> {
    let name = match &stage.base {
        Base::Image(name) => ImageName::Reference(name.clone()),
        Base::Context(key) => match options.contexts.get(key)? {
            Context::Image(name) if name != "scratch" => ImageName::Reference(name.clone()),
            Context::OciLayout(name) => ImageName::OciLayout(name.clone()),
            Context::Image(_) | Context::Local | Context::Git(_) | Context::Http(_) => return None,
        },
        Base::Scratch | Base::Stage(_) => return None,
    };
    Some(ImageRequest { name, platform: platform(stage, options).clone() })
}

/// Returns the platform of a stage that builds upon no other stage.
pub(super) fn platform<'p>(stage: &'p Stage<'_>, options: &'p LowerOptions) -> &'p Platform {
    stage.platform.as_ref().unwrap_or_else(|| options.target_platform())
}

fn failed(
    stages: &Stages<'_>,
    stage: Option<&Stage<'_>>,
    request: &ImageRequest,
    error: &ResolveError,
) -> Diagnostic {
    const COMMON: [&str; 9] =
        ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora", "node", "python"];
    let name = request.name.text();
    let known = stages.names().chain(COMMON);
    let message = with_suggestion(format!("{name}: {}", error.message), name, known, true);
    let mut diagnostic = match stage {
        Some(stage) => Diagnostic::error(message, stage.base_word.span).within(stage.span),
        None => Diagnostic::error_in_file(message),
    };
    let mut cause = error.source.as_ref().map(|source| &**source as &dyn std::error::Error);
    while let Some(error) = cause {
        diagnostic = diagnostic.with_note(error.to_string());
        cause = error.source();
    }
    match &error.hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic.with_hint("`gantry images` lists what is there"),
    }
}

/// Puts the triggers of a stage's base in front of its commands; returns whether there were any.
fn add_triggers<'a>(
    stages: &mut Stages<'a>,
    index: usize,
    image: Option<&Arc<ResolvedImage>>,
    options: &LowerOptions,
) -> Result<bool, Vec<Diagnostic>> {
    let stage = &stages.list[index];
    if stage.implicit || stage.replaced(options) {
        return Ok(false);
    }
    let span = stage.span;
    let mut triggers: Vec<(Written<'a>, Origin)> = Vec::new();
    let mut errors = Vec::new();
    if let Base::Stage(base) = stage.base {
        for command in &stages.list[base].commands {
            if let Written::Here(statement) = &command.statement
                && let Instruction::Onbuild(onbuild) = &statement.instruction
            {
                triggers.push((Written::Here(&onbuild.trigger), Origin::Trigger));
            }
        }
    }
    for text in image.iter().flat_map(|image| &image.config.config.on_build) {
        let parsed = parse_trigger(&SourceFile::new("ONBUILD", text.as_str()), '\\');
        let failed = parsed.diagnostics.into_iter().filter(Diagnostic::is_error);
        errors.extend(failed.map(|error| foreign(error, text, stage)));
        let parsed = parsed.dockerfile.statements.into_iter();
        triggers.extend(parsed.map(|s| (Written::There(Box::new(s)), Origin::ImageTrigger)));
    }
    let any = !triggers.is_empty();
    let platform = options.target_platform();
    let mut commands = Vec::with_capacity(triggers.len());
    for (statement, origin) in triggers {
        match stages.command(statement, origin, options, platform) {
            Ok(command) => commands.push(command),
            Err(error) if origin == Origin::ImageTrigger => {
                let text = error.message.clone();
                errors.push(foreign(error, &text, &stages.list[index]));
            }
            Err(error) => errors.push(error.within(span)),
        }
    }
    stages.list[index].commands.splice(0..0, commands);
    if errors.is_empty() { Ok(any) } else { Err(errors) }
}

/// Turns an error about the text of a trigger into one about the FROM that brought it.
pub(super) fn foreign(error: Diagnostic, trigger: &str, stage: &Stage<'_>) -> Diagnostic {
    // The line in it is one of the trigger's text.
    let message = match error.message.split_once(": ") {
        Some((line, rest)) if line.starts_with("dockerfile parse error on line") => rest,
        _ => &error.message,
    };
    let mut moved = Diagnostic::error(message, stage.base_word.span).within(stage.span);
    moved.severity = error.severity;
    moved.code = error.code;
    moved.notes = error.notes;
    moved.hint = error.hint;
    moved.with_note(format!("`{}` has the trigger `ONBUILD {trigger}`", stage.base_word.text))
}

/// Waits for all futures at once.
async fn join<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(move |context| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if let Some(running) = future {
                match running.as_mut().poll(context) {
                    Poll::Ready(ready) => (*future, *output) = (None, Some(ready)),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return Poll::Pending;
        }
        Poll::Ready(futures.iter_mut().filter_map(|(_, output)| output.take()).collect())
    })
    .await
}
