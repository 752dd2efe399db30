//! One way to write a Dockerfile, without another meaning.
//!
//! Keywords (also `AS`, `CMD` and `NONE`) are in upper case; where the grammar splits words there
//! is one space, or a line end and four spaces if the author continued the line there; comments
//! keep their place; trailing blanks, repeated blank lines and blank lines in continuations go.
//! Text that the builder hands on as it is stays byte for byte, the indentation of continued shell
//! lines included: it is part of what a RUN step is looked up by, so that no build starts anew
//! because a file was formatted. The same goes for here-documents, and for the text of ONBUILD,
//! which is stored in the image.

mod gaps;

use super::lines::{Line, Lines};
use super::logical::Logical;
use super::{directive, errors::Errors, statement};
use crate::{Diagnostic, SourceFile, Span};

/// What continued lines begin with.
const INDENT: &str = "    ";

/// Writes the file anew. Doing it twice changes nothing more, and parsing the result gives the
/// same instructions at other places.
///
/// # Errors
/// The file's errors, if it has any: nobody knows what was meant.
pub fn format(source: &SourceFile) -> Result<String, Vec<Diagnostic>> {
    let parsed = super::parse(source);
    if parsed.has_errors() {
        return Err(parsed.diagnostics);
    }
    let mut errors = Errors::new(source);
    let mut lines = Lines::new(source);
    let escape = directive::read(&mut lines.clone(), &mut errors).escape;
    let mut writer = Writer { out: String::new(), escape, blank: false };
    while let Some(line) = lines.peek() {
        if line.comment().is_some() {
            lines.next();
            writer.line(line.text.trim());
        } else if line.is_blank() {
            lines.next();
            // A comment above which the first blank line went would become a directive.
            writer.blank |= !writer.out.is_empty() || lines.peek().is_some_and(is_comment);
        } else {
            let start = lines.offset();
            let Some(logical) = Logical::read(&mut lines, escape) else { continue };
            let end = lines.offset();
            let heredocs = statement::has_heredocs(&logical, &mut lines, &mut errors);
            if logical.text.contains('\r') {
                // Carriage returns amid a line: where it ends is a matter of each of them.
                writer.verbatim(source.slice(Span::new(start, end)));
            } else {
                writer.statement(source, &logical, end, heredocs);
            }
            if heredocs {
                writer.bodies(lines.since(end));
            }
        }
    }
    Ok(writer.out)
}

fn is_comment(line: Line<'_>) -> bool {
    line.comment().is_some()
}

struct Writer {
    out: String,
    escape: char,
    /// Blank lines stood here.
    blank: bool,
}

impl Writer {
    fn line(&mut self, text: &str) {
        if std::mem::take(&mut self.blank) {
            self.out.push('\n');
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Writes an instruction as it stands in the file.
    fn verbatim(&mut self, text: &str) {
        self.line(text.strip_suffix('\n').unwrap_or(text));
    }

    /// Writes an instruction whose lines end before byte `end` of the file.
    fn statement(&mut self, source: &SourceFile, logical: &Logical, end: usize, heredocs: bool) {
        let joints = logical.joints(source, end);
        let text = logical.text.trim();
        let start = logical.text.len() - logical.text.trim_start().len();
        let mut body = String::new();
        let mut joints = joints.iter().peekable();
        // Where the file continues a line before anything is said; only comments can matter.
        while let Some(joint) = joints.next_if(|joint| joint.at <= start) {
            if !joint.comments.is_empty() {
                self.broken(&mut body, "", &joint.comments);
            }
        }
        for part in gaps::parts(text, self.escape, heredocs) {
            let (from, to) = (start + part.start, start + part.end);
            if part.gap {
                let mut comments = Vec::new();
                let mut broken = false;
                while let Some(joint) = joints.next_if(|joint| joint.at <= to) {
                    comments.extend(joint.comments.iter().copied());
                    broken = true;
                }
                if broken {
                    self.broken(&mut body, " ", &comments);
                    body.push_str(INDENT);
                } else if !part.tight {
                    body.push(' ');
                }
                continue;
            }
            let mut at = from;
            while let Some(joint) = joints.next_if(|joint| joint.at < to) {
                push(&mut body, &logical.text[at..joint.at], part.upper);
                self.broken(&mut body, "", &joint.comments);
                at = joint.at;
            }
            push(&mut body, &logical.text[at..to], part.upper);
        }
        if self.continues(&body) {
            // What kept the escape character from continuing the line must stay: blanks of odd
            // kinds, or another one at the end of the file.
            body.push_str(&logical.text[start + text.len()..]);
            if self.continues(&body) {
                body.push(self.escape);
            }
        }
        self.line(&body);
        for comment in joints.flat_map(|joint| &joint.comments) {
            self.line(comment);
        }
    }

    /// Whether a line that ends so goes on in the next.
    fn continues(&self, text: &str) -> bool {
        let text = text.trim_end_matches('\r').trim_end_matches([' ', '\t']);
        text.strip_suffix(self.escape).is_some_and(|content| !content.ends_with(self.escape))
    }

    /// Ends a line that goes on, and writes the comments that stand there.
    fn broken(&self, body: &mut String, space: &str, comments: &[&str]) {
        body.push_str(space);
        body.push(self.escape);
        body.push('\n');
        for comment in comments {
            body.push_str(INDENT);
            body.push_str(comment);
            body.push('\n');
        }
    }

    /// Writes here-documents as they are, and ends the last line.
    fn bodies(&mut self, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.out.push_str(text.trim_end_matches('\r'));
        self.out.push('\n');
    }
}

fn push(body: &mut String, text: &str, upper: bool) {
    if upper {
        body.push_str(&text.to_uppercase());
    } else {
        body.push_str(text);
    }
}
