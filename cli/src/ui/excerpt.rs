//! Pieces of a Dockerfile shown beside what is said about them.
//!
//! Errors have BuildKit's form, which editors and scripts already know how to find: lines marked
//! with `>>>`, and carets below what is meant. Warnings in full (`--debug`) are denser, since there
//! may be many, and say more than one line beside a place.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use gantry_parser::{Diagnostic, Label, Severity, SourceFile, Span};

/// Shows a diagnostic with what it is about underlined, its reasons and its hint.
pub(crate) fn annotated(diagnostic: &Diagnostic, source: &SourceFile, coloured: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut title = level.primary_title(diagnostic.message.as_str());
    if let Some(code) = diagnostic.code {
        title = title.id(code);
    }
    let mut group = Group::with_title(title);
    if !diagnostic.labels.is_empty() {
        let length = source.text().len();
        let mut snippet = Snippet::source(source.text()).path(source.name());
        for (position, label) in diagnostic.labels.iter().enumerate() {
            let kind =
                if position == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let range = label.span.start.min(length)..label.span.end.min(length);
            let text = (!label.text.is_empty()).then_some(label.text.as_str());
            snippet = snippet.annotation(kind.span(range).label(text));
        }
        group = group.element(snippet);
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A place in a file: the lines to point at, and the bytes of them to underline.
#[derive(Debug)]
pub(crate) struct Place {
    /// The first line, from 1.
    first: usize,
    /// The last line.
    last: usize,
    /// What to underline, and what to say beside it.
    label: Option<Label>,
}

impl Place {
    /// An instruction, with the part of it that is at fault.
    pub(crate) fn instruction(source: &SourceFile, span: Span, part: Option<Span>) -> Self {
        let (first, last) = source.line_range(span);
        let label = part.map(|span| Label { span, text: String::new() });
        Self { first, last, label }
    }

    /// What a diagnostic is about; `None` if that is the file as a whole.
    pub(crate) fn of(diagnostic: &Diagnostic, source: &SourceFile) -> Option<Self> {
        let (first, last) = diagnostic.lines(source)?;
        Some(Self { first, last, label: diagnostic.labels.first().cloned() })
    }

    /// The first and the last line, from 1.
    pub(crate) fn lines(&self) -> (usize, usize) {
        (self.first, self.last)
    }

    /// Shows it as BuildKit does: `Dockerfile:3`, a rule, two to four lines around it, and `>>>`
    /// before each of its own. A row of carets below the line says which part is meant.
    pub(crate) fn show(&self, source: &SourceFile) -> String {
        let count = source.line_count();
        if count == 0 || self.first == 0 {
            return String::new();
        }
        // An end that is missing is missed after the last line.
        let first = self.first.min(count);
        let last = self.last.clamp(first, count);
        let (mut from, mut to) = (first, last);
        let padding = if first == last { 4 } else { 2 };
        let mut added = 0;
        while added < padding {
            if from > 1 {
                from -= 1;
                added += 1;
            }
            if to < count {
                to += 1;
                added += 1;
            }
            added += 1;
        }
        let rule = "-".repeat(20);
        let mut text = format!("{}:{first}\n{rule}\n", source.name());
        for number in from..=to {
            let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
            text.push_str(&format!(" {number:3} | {mark} {}\n", source.line(number)));
            if let Some(carets) = self.carets(source, number) {
                text.push_str(&format!("     |     {carets}\n"));
            }
        }
        text.push_str(&rule);
        text.push('\n');
        text
    }

    /// The row below line `number`, if what is underlined begins there and is not all of it.
    fn carets(&self, source: &SourceFile, number: usize) -> Option<String> {
        let Label { span, text } = self.label.as_ref()?;
        if source.line_of(span.start) != number {
            return None;
        }
        let line = source.line(number);
        let column = source.position(span.start).column - 1;
        let before: String = line.chars().take(column).collect();
        let wanted = source.slice(*span).lines().next().unwrap_or("").trim_end();
        if text.is_empty() && (wanted.is_empty() || wanted == line.trim()) {
            return None;
        }
        // Tabs stay tabs, so that the carets stand where the text does.
        let blank = |part: &str| " ".repeat(console::measure_text_width(part));
        let indent: Vec<String> = before.split('\t').map(blank).collect();
        let carets = "^".repeat(console::measure_text_width(wanted).max(1));
        Some(format!("{}{carets} {text}", indent.join("\t")).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> SourceFile {
        SourceFile::new(
            "Dockerfile",
            "FROM busybox\n\nRUN a && \\\n  b\nCOPY target/app /bin/\nCMD x\n",
        )
    }

    fn shown(source: &SourceFile, span: Span, part: Option<Span>) -> String {
        Place::instruction(source, span, part).show(source)
    }

    #[test]
    fn lines_are_shown_as_buildkit_shows_them() {
        insta::assert_snapshot!(shown(&file(), Span::new(0, 12), None), @r"
        Dockerfile:1
        --------------------
           1 | >>> FROM busybox
           2 |     
           3 |     RUN a && \
        --------------------
        ");
        insta::assert_snapshot!(shown(&file(), Span::new(14, 27), None), @r"
        Dockerfile:3
        --------------------
           2 |     
           3 | >>> RUN a && \
           4 | >>>   b
           5 |     COPY target/app /bin/
        --------------------
        ");
        insta::assert_snapshot!(shown(&file(), Span::new(51, 56), None), @"
        Dockerfile:6
        --------------------
           4 |       b
           5 |     COPY target/app /bin/
           6 | >>> CMD x
        --------------------
        ");
        assert_eq!(shown(&SourceFile::new("Dockerfile", ""), Span::new(0, 0), None), "");
    }

    #[test]
    fn the_part_that_is_meant_is_underlined() {
        insta::assert_snapshot!(shown(&file(), Span::new(29, 50), Some(Span::new(34, 44))), @r"
        Dockerfile:5
        --------------------
           3 |     RUN a && \
           4 |       b
           5 | >>> COPY target/app /bin/
             |          ^^^^^^^^^^
           6 |     CMD x
        --------------------
        ");
        let tabs = SourceFile::new("x", "COPY\té\tb c\n");
        insta::assert_snapshot!(shown(&tabs, Span::new(0, 11), Some(Span::new(8, 9))), @"
        x:1
        --------------------
           1 | >>> COPY	é	b c
             |         	 	^
        --------------------
        ");
        let whole = shown(&file(), Span::new(0, 12), Some(Span::new(0, 12)));
        assert!(!whole.contains('^'), "{whole}");
    }

    #[test]
    fn places_outside_the_file_do_no_harm() {
        let far = Span::new(5000, 6000);
        let text = shown(&file(), far, Some(far));
        assert!(text.starts_with("Dockerfile:6\n"), "{text}");
    }

    #[test]
    fn bytes_are_underlined() {
        let diagnostic =
            Diagnostic::error("`target/app` is not in the build context", Span::new(34, 44))
                .with_label("not there")
                .and_label(Span::new(0, 12), "this stage")
                .with_note("line 3 of `.dockerignore`, `target`, excludes it")
                .with_hint("To let it in, add `!target/app` below line 3");
        insta::assert_snapshot!(annotated(&diagnostic, &file(), false), @"
        error: `target/app` is not in the build context
         --> Dockerfile:5:6
          |
        1 | FROM busybox
          | ------------ this stage
        ...
        5 | COPY target/app /bin/
          |      ^^^^^^^^^^ not there
          |
          = note: line 3 of `.dockerignore`, `target`, excludes it
          = hint: To let it in, add `!target/app` below line 3
        ");
    }

    #[test]
    fn spans_outside_the_file_do_no_harm() {
        let diagnostic = Diagnostic::error("x", Span::new(5000, 6000));
        assert!(annotated(&diagnostic, &file(), false).contains("error: x"));
        assert!(annotated(&Diagnostic::error_in_file("y"), &file(), false).contains("error: y"));
    }
}
