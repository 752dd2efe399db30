//! `WWW-Authenticate`: what a registry wants to see (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

/// One way to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// Names in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Reads all challenges of a header's value. What can't be understood is left out.
pub(super) fn parse(text: &str) -> Vec<Challenge> {
    let mut rest = Rest(text);
    let mut found: Vec<Challenge> = Vec::new();
    loop {
        rest.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = rest.take(is_token);
        if word.is_empty() {
            // Neither a word nor the end: whatever it is, it's no name.
            if rest.0.is_empty() {
                return found;
            }
            rest.skip_one();
            continue;
        }
        rest.skip(|c| c.is_ascii_whitespace());
        match (rest.0.strip_prefix('='), found.last_mut()) {
            // A name in front of `=` is a parameter, and else the next scheme.
            (Some(after), Some(challenge)) => {
                rest = Rest(after);
                rest.skip(|c| c.is_ascii_whitespace());
                let value = rest.value();
                challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
            }
            // A parameter of nothing.
            (Some(after), None) => {
                rest = Rest(after);
                rest.skip(|c| c.is_ascii_whitespace());
                rest.value();
            }
            (None, _) => found
                .push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() }),
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c)
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.take(unwanted);
    }

    fn skip_one(&mut self) {
        let mut chars = self.0.chars();
        chars.next();
        self.0 = chars.as_str();
    }

    /// A quoted string, or a word.
    fn value(&mut self) -> String {
        let Some(rest) = self.0.strip_prefix('"') else {
            return self.take(|c| c != ',' && !c.is_ascii_whitespace()).to_owned();
        };
        let mut value = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => value.extend(chars.next()),
                c => value.push(c),
            }
        }
        self.0 = chars.as_str();
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let parsed = parse(text);
        let one = |challenge: &Challenge| {
            let parameters =
                challenge.parameters.iter().map(|(name, value)| format!(" {name}=<{value}>"));
            format!("{}{}", challenge.scheme, parameters.collect::<String>())
        };
        parsed.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn challenges_of_registries_are_understood() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull,push""#,
                "bearer realm=<https://auth.docker.io/token> scope=<repository:library/a:pull,push> service=<registry.docker.io>",
            ),
            (r#"Basic realm="Registry Realm""#, "basic realm=<Registry Realm>"),
            (r#"BEARER Realm = https://a/t , service=x"#, "bearer realm=<https://a/t> service=<x>"),
            (
                r#"Negotiate, Basic realm="a, b", Bearer realm="c""#,
                "negotiate; basic realm=<a, b>; bearer realm=<c>",
            ),
            (r#"Basic realm="say \"hi\\\"""#, r#"basic realm=<say "hi\">"#),
            ("Basic", "basic"),
            ("realm=x", ""),
            (r#"Basic realm="open"#, "basic realm=<open>"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn quoted_values_come_back(value in "[ -~]{0,40}", name in "[a-z]{1,8}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = parse(&format!("Bearer {name}=\"{quoted}\", other=1"));
            prop_assert_eq!(&parsed[0].parameters[&name], &value);
        }
    }
}
