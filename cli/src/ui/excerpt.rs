//! Pieces of a Dockerfile shown beside what is said about them.
//!
//! Two forms: with the very bytes underlined, for whoever has to mend them; and BuildKit's, whole
//! lines marked with `>>>`, which editors and scripts already know how to find.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use gantry_parser::{Diagnostic, Severity, SourceFile};

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

/// Shows the lines `first..=last` (from 1) of a file as BuildKit does: `Dockerfile:3`, a rule, two
/// to four lines around them, and `>>>` before each of them.
pub(crate) fn buildkit(source: &SourceFile, first: usize, last: usize) -> String {
    let lines: Vec<&str> = source.text().split('\n').collect();
    if first == 0 || first > lines.len() {
        return String::new();
    }
    let last = last.clamp(first, lines.len());
    let (mut from, mut to) = (first, last);
    let padding = if first == last { 4 } else { 2 };
    let mut added = 0;
    while added < padding {
        if from > 1 {
            from -= 1;
            added += 1;
        }
        if to < lines.len() {
            to += 1;
            added += 1;
        }
        added += 1;
    }
    let rule = "-".repeat(20);
    let mut text = format!("{}:{first}\n{rule}\n", source.name());
    for number in from..=to {
        let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
        let line = lines[number - 1].trim_end_matches('\r');
        text.push_str(&format!(" {number:3} | {mark} {line}\n"));
    }
    text.push_str(&rule);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_parser::Span;

    fn file() -> SourceFile {
        SourceFile::new(
            "Dockerfile",
            "FROM busybox\n\nRUN a && \\\n  b\nCOPY target/app /bin/\nCMD x\n",
        )
    }

    #[test]
    fn lines_are_shown_as_buildkit_shows_them() {
        insta::assert_snapshot!(buildkit(&file(), 1, 1), @r"
        Dockerfile:1
        --------------------
           1 | >>> FROM busybox
           2 |     
           3 |     RUN a && \
        --------------------
        ");
        insta::assert_snapshot!(buildkit(&file(), 3, 4), @r"
        Dockerfile:3
        --------------------
           2 |     
           3 | >>> RUN a && \
           4 | >>>   b
           5 |     COPY target/app /bin/
        --------------------
        ");
        assert_eq!(buildkit(&file(), 99, 99), "");
        assert_eq!(buildkit(&file(), 0, 0), "");
    }

    #[test]
    fn bytes_are_underlined() {
        let diagnostic =
            Diagnostic::error("`target/app` is not in the build context", Span::new(33, 43))
                .with_label("not there")
                .and_label(Span::new(0, 12), "this stage")
                .with_note("line 3 of `.dockerignore`, `target`, excludes it")
                .with_hint("To let it in, add `!target/app` below line 3");
        insta::assert_snapshot!(annotated(&diagnostic, &file(), false), @"
        error: `target/app` is not in the build context
         --> Dockerfile:5:5
          |
        1 | FROM busybox
          | ------------ this stage
        ...
        5 | COPY target/app /bin/
          |     ^^^^^^^^^^ not there
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
