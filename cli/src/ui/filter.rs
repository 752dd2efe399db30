//! `--filter key=value`, given any number of times.

use std::collections::BTreeMap;

use super::Failure;

/// A filter as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    key: String,
    value: String,
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) =
            text.split_once('=').ok_or("bad format of filter (expected name=value)")?;
        Ok(Self { key: key.trim().to_lowercase(), value: value.trim().to_owned() })
    }
}

/// All filters of a command. Values of one key are alternatives, different keys must all hold.
#[derive(Debug, Default)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Gathers filters, of which only those with a key in `known` are taken.
    ///
    /// # Errors
    /// Another key: `invalid filter 'x'`.
    pub(crate) fn new(filters: &[Filter], known: &[&str]) -> Result<Self, Failure> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Filter { key, value } in filters {
            if !known.contains(&key.as_str()) {
                return Err(Failure::text(format_args!("invalid filter '{key}'"))
                    .with_hint(format!("Filters here are {}", known.join(", "))));
            }
            all.entry(key.clone()).or_default().push(value.clone());
        }
        Ok(Self(all))
    }

    /// The values given for a key; empty if it wasn't given.
    pub(crate) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether some value of `key` fits, or there is none to fit.
    pub(crate) fn allow(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    }

    /// A key whose value is `true` or `false`.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.values(key).last().map(String::as_str) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Failure::text(format_args!("invalid filter '{key}={other}'"))),
        }
    }

    /// Whether labels fit: `label=key` asks for a label, `label=key=value` for its value as well.
    pub(crate) fn allow_labels<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        // Labels are the one key of which all values must hold.
        self.values("label").iter().all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => get(key) == Some(value),
            None => get(wanted).is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Filters {
        let typed: Vec<Filter> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Filters::new(&typed, &["label", "dangling", "reference"]).unwrap()
    }

    #[test]
    fn values_of_a_key_are_alternatives_and_labels_are_not() {
        let given = filters(&["reference=a", "Reference=b", "label=k", "label=l=1"]);
        assert!(given.allow("reference", |value| value == "b"));
        assert!(!given.allow("reference", |value| value == "c"));
        assert!(given.allow("before", |_| false), "not asked for");
        assert!(given.allow_labels(|key| Some(if key == "l" { "1" } else { "x" })));
        assert!(!given.allow_labels(|key| (key == "l").then_some("1")));
    }

    #[test]
    fn mistakes_are_named() {
        assert!("foo".parse::<Filter>().is_err());
        let bogus = ["bogus=1".parse().unwrap()];
        assert_eq!(Filters::new(&bogus, &["a"]).unwrap_err().to_string(), "invalid filter 'bogus'");
        assert!(filters(&["dangling=maybe"]).flag("dangling").is_err());
        assert_eq!(filters(&["dangling=true"]).flag("dangling").unwrap(), Some(true));
    }
}
