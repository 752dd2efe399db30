//! One CSV record into fields, with the place of each.

use super::{Field, Invalid, Mount};
use crate::{Span, Word};

/// Splits the value of `--mount`.
pub(super) fn parse(text: &Word) -> Result<Mount, Invalid> {
    let invalid = |message: String, span, hint: String| Invalid { message, span, hint };
    let records = csv(text).map_err(|error| {
        let hint = "Write `key=value` fields with commas between them".to_owned();
        invalid(format!("failed to parse csv mounts: {error}"), text.span, hint)
    })?;
    let mut fields = Vec::new();
    for record in records {
        let (key, value) = match record.text.split_once('=') {
            Some((key, _)) => {
                let at = key.len() + 1;
                (key, Some(record.part(at, record.text.len())))
            }
            None => (record.text.as_str(), None),
        };
        let key = key.to_lowercase();
        if key == "from"
            && let Some(value) = &value
            && value.text.find('$').is_some_and(|at| at + 1 < value.text.len())
        {
            let message =
                format!("'{key}' doesn't support variable expansion, define alias stage instead");
            let hint = format!("Add a stage `FROM {value} AS files`, and write `from=files`");
            return Err(invalid(message, value.span, hint));
        }
        fields.push(Field { key, value, text: record });
    }
    Ok(Mount { text: text.clone(), fields })
}

/// Splits one CSV record as Go's `encoding/csv` does; an error is Go's text.
pub(crate) fn csv(text: &Word) -> Result<Vec<Word>, String> {
    let all = text.text.as_str();
    if all.is_empty() {
        return Err("EOF".to_owned());
    }
    let error =
        |at: usize, what: &str| Err(format!("parse error on line 1, column {}: {what}", at + 1));
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let rest = &all[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut inner = quoted;
            let after = loop {
                let Some(end) = inner.find('"') else {
                    return error(all.len(), "extraneous or missing \" in quoted-field");
                };
                value.push_str(&inner[..end]);
                inner = &inner[end + 1..];
                match inner.strip_prefix('"') {
                    Some(more) => {
                        value.push('"');
                        inner = more;
                    }
                    None => break inner,
                }
            };
            let end = all.len() - after.len();
            let span = text.part(at, end).span;
            // The quotes are part of the span and not of the text.
            fields.push(Word::new(value, span));
            at = end;
            if after.is_empty() {
                return Ok(fields);
            }
            if !after.starts_with(',') {
                return error(end - 1, "extraneous or missing \" in quoted-field");
            }
            at += 1;
        } else {
            let end = rest.find(',').map_or(all.len(), |comma| at + comma);
            if let Some(bare) = all[at..end].find('"') {
                return error(at + bare, "bare \" in non-quoted field");
            }
            fields.push(text.part(at, end));
            if end == all.len() {
                return Ok(fields);
            }
            at = end + 1;
        }
    }
}

impl Word {
    /// The part from byte `start` to `end` of the text, with its place if that can be told: where
    /// quotes, escapes or continuations were taken out, the place is that of the whole word.
    pub(crate) fn part(&self, start: usize, end: usize) -> Self {
        let text = self.text.get(start..end).unwrap_or("");
        let span = if self.span.len() == self.text.len() {
            Span::new(self.span.start + start, self.span.start + end)
        } else {
            self.span
        };
        Self::new(text, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[&str], &str>) {
        let word = Word::new(text, Span::new(100, 100 + text.len()));
        let got = csv(&word).map(|fields| fields.iter().map(|f| f.text.clone()).collect());
        let expect = expect
            .map(|fields| fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>())
            .map_err(str::to_owned);
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn records() {
        check("a,b=c,", Ok(&["a", "b=c", ""]));
        check("\"a,b\",\"c\"\"d\"", Ok(&["a,b", "c\"d"]));
        check("", Err("EOF"));
        check("a\"b", Err("parse error on line 1, column 2: bare \" in non-quoted field"));
        check(
            "\"a",
            Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field"),
        );
        check(
            "\"a\"b",
            Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field"),
        );
    }

    #[test]
    fn places() {
        let word = Word::new("type=bind,from=x", Span::new(10, 26));
        let mount = parse(&word).unwrap();
        assert_eq!(mount.from(), Some(&Word::new("x", Span::new(25, 26))));
        assert_eq!(mount.fields[0].text.span, Span::new(10, 19));
    }
}
