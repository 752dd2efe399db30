//! `FROM`: which image or stage, for which platform. Only global ARGs are seen here.

use gantry_image::Platform;
use gantry_parser::{
    Diagnostic, Span, Word,
    ast::Stage as Written,
    did_you_mean,
    expand::{Expanded, Lexer},
    lint,
};

use crate::lower::{
    LowerOptions,
    stages::{Base, Stage, Stages},
    variables::{Globals, expand},
};

/// Reads FROM lines.
pub(super) struct From<'a, 'w> {
    pub(super) options: &'a LowerOptions,
    pub(super) globals: &'a Globals,
    pub(super) lexer: &'a Lexer,
    pub(super) warnings: &'w mut Vec<Diagnostic>,
}

impl From<'_, '_> {
    /// Returns the stage that a FROM begins, without commands.
    pub(super) fn stage<'a>(
        &mut self,
        written: &Written<'a>,
        stages: &Stages<'_>,
    ) -> Result<Stage<'a>, Diagnostic> {
        let from = written.from;
        let image = expand(self.lexer, &from.image, self.globals)?;
        self.warn_undeclared(&image, &from.image);
        if image.text.is_empty() {
            let message = format!("base name ({}) should not be blank", from.image.text);
            return Err(self.suggest(message, &image, from.image.span));
        }
        let platform = match &from.platform {
            Some(word) => Some(self.platform(word)?),
            None => None,
        };
        let name = from.stage_name();
        let for_platform = platform.as_ref().unwrap_or(self.options.target_platform());
        let replaced = name.as_deref().and_then(|n| self.options.named_context(n, for_platform));
        let base = match replaced {
            Some(key) => Base::Context(key.to_owned()),
            None => stages.base(&image.text, self.options, for_platform),
        };
        Ok(Stage {
            shown: name.clone().unwrap_or_else(|| format!("stage-{}", written.index)),
            name,
            span: written.statement.span,
            base_word: Word::new(image.text, from.image.span),
            base,
            platform,
            commands: Vec::new(),
            implicit: false,
        })
    }

    fn platform(&mut self, word: &Word) -> Result<Platform, Diagnostic> {
        let expanded = expand(self.lexer, word, self.globals)?;
        self.warn_undeclared(&expanded, word);
        if expanded.text.is_empty() {
            let message = format!("empty platform value from expression {}", word.text);
            return Err(self.suggest(message, &expanded, word.span));
        }
        expanded.text.parse().map_err(|error| {
            let message = format!("failed to parse platform {}", word.text);
            Diagnostic::error(message, word.span)
                .with_note(format!("{error}"))
                .with_hint("Write a platform like `linux/amd64` or `linux/arm64`")
        })
    }

    fn suggest(&self, message: String, expanded: &Expanded, span: Span) -> Diagnostic {
        let meant = expanded
            .unset
            .iter()
            .find_map(|name| did_you_mean(name, self.globals.values.keys(), true));
        if let Some(meant) = meant {
            let message = format!("{message} (did you mean {meant}?)");
            return Diagnostic::error(message, span).with_hint(format!("Write `${{{meant}}}`"));
        }
        let error = Diagnostic::error(message, span);
        match expanded.unset.iter().next() {
            Some(name) => error.with_hint(format!(
                "Give `{name}` a value: `--build-arg {name}=…`, or `ARG {name}=…` above the first FROM"
            )),
            None => error.with_hint("Name an image, a stage above, or `scratch`"),
        }
    }

    fn warn_undeclared(&mut self, expanded: &Expanded, word: &Word) {
        for name in &expanded.unset {
            if self.globals.declared.contains(name) {
                continue;
            }
            let known = self.globals.values.keys().chain(&self.globals.declared);
            let message = lint::undefined_arg_in_from::message(name, known);
            self.warnings.push(Diagnostic::warning("UndefinedArgInFrom", message, word.span));
        }
    }
}
