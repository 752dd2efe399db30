//! Titles of vertices: `[linux/amd64->arm64 stage 2/5] ONBUILD RUN …`, as BuildKit has them.

use std::borrow::Cow;

use gantry_image::Platform;
use gantry_parser::{
    Instruction,
    expand::{Lexer, Lookup},
};

use crate::lower::{
    Lowering,
    stage::State,
    stages::{Base, Origin, Stage, Stages},
    variables::Variables,
};

/// How the steps of a stage are counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    /// The stage's name, unless there is only one.
    stage: Option<String>,
    platform: Option<String>,
    /// How many have been titled.
    index: usize,
    total: usize,
}

impl Counter {
    /// Counts what will be a step: FROM with an image, and every instruction with a layer.
    pub(super) fn new(
        lowering: &Lowering<'_>,
        stages: &Stages<'_>,
        stage: &Stage<'_>,
        platform: &Platform,
    ) -> Self {
        if stage.implicit {
            return Counter::default();
        }
        let from = usize::from(!matches!(stage.base, Base::Scratch | Base::Stage(_)));
        let steps = stage.commands.iter().filter(|command| {
            matches!(
                command.statement.instruction,
                Instruction::Run(_)
                    | Instruction::Copy(_)
                    | Instruction::Add(_)
                    | Instruction::Workdir(_)
            )
        });
        Counter {
            stage: (!stages.is_single()).then(|| stage.shown.clone()),
            platform: lowering.options.multi_platform.then(|| platform.to_string()),
            index: 0,
            total: from + steps.count(),
        }
    }

    /// Goes on to the next step.
    pub(super) fn count(&mut self) {
        self.index += 1;
    }

    /// Returns the title of a step.
    pub(super) fn title(&self, text: &str, origin: Origin, variables: &Variables) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        let mut title = String::with_capacity(text.len() + 32);
        title.push('[');
        if let Some(platform) = &self.platform {
            title.push_str(platform);
            title.push_str(&cross(platform, variables));
            title.push(' ');
        }
        if let Some(stage) = &self.stage {
            title.push_str(stage);
            title.push(' ');
        }
        let width = self.total.ilog10() as usize + 1;
        push_number(&mut title, self.index + 1, width);
        title.push('/');
        push_number(&mut title, self.total, 1);
        title.push_str("] ");
        if origin != Origin::Stage {
            title.push_str("ONBUILD ");
        }
        title.push_str(text);
        title
    }
}

/// Names the platform that a stage compiles for, if it runs on another one: `->arm64`.
fn cross(platform: &str, variables: &Variables) -> String {
    let target = match variables.get("TARGETPLATFORM") {
        Some(text) => text.parse::<Platform>().ok(),
        None => variables.get("TARGETARCH").map(|arch| {
            let os = variables.get("TARGETOS").unwrap_or("linux");
            Platform::new(os, arch, variables.get("TARGETVARIANT"))
        }),
    };
    let (Some(target), Ok(base)) = (target, platform.parse::<Platform>()) else {
        return String::new();
    };
    if target.os != base.os {
        return format!("->{target}");
    }
    if target.architecture == base.architecture {
        return String::new();
    }
    match &target.variant {
        Some(variant) => format!("->{}/{variant}", target.architecture),
        None => format!("->{}", target.architecture),
    }
}

/// Returns the text of an instruction for its title: keyword in upper case, variables expanded
/// where that works, `masked` ones replaced by stars.
pub(super) fn text<'w>(
    lexer: Lexer,
    state: &State,
    name: &str,
    written: &'w str,
    masked: &[String],
) -> Cow<'w, str> {
    struct Masking<'a>(&'a Variables, &'a [String]);
    impl Lookup for Masking<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            if self.1.iter().any(|masked| masked == name) {
                return Some("****");
            }
            self.0.get(name)
        }
    }
    let text = plain(name, written);
    let special =
        |byte: u8| matches!(byte, b'$' | b'"' | b'\'') || char::from(byte) == lexer.escape;
    if !text.bytes().any(special) {
        return text;
    }
    match lexer.value(&text, &Masking(&state.variables, masked)) {
        Ok(expanded) => Cow::Owned(expanded.text),
        Err(_) => text,
    }
}

/// Returns an instruction with its keyword in upper case and one space behind it, as nearly all
/// are written.
fn plain<'w>(name: &str, written: &'w str) -> Cow<'w, str> {
    if let Some(rest) = written.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '))
        && rest.starts_with(|c: char| !c.is_whitespace())
    {
        return Cow::Borrowed(written);
    }
    let rest = written.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    Cow::Owned([name, " ", rest].concat())
}

/// Writes a number into a field of at least `width` characters.
fn push_number(text: &mut String, number: usize, width: usize) {
    let mut digits = [b' '; 20];
    let (mut at, mut rest) = (digits.len(), number);
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let at = at.min(digits.len() - width);
    text.extend(digits[at..].iter().copied().map(char::from));
}
