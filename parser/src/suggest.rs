//! "Did you mean": the known word that is nearest to a mistyped one (B1-17).

/// Anything at this distance or further is no typing error; the number is BuildKit's (and hcl's).
const TOO_FAR: usize = 3;

/// The option nearest to `word` by Levenshtein distance, if fewer than three edits lie between.
///
/// Of several equally near ones the first wins, and before it one that has two letters exchanged:
/// `RNU` is `RUN` and not `ENV`. `None` also if `word` itself is an option: then
/// the word is not what was wrong. With `case_sensitive` false, case does not count, and the
/// suggestion is given in the case in which `word` is written.
#[must_use]
pub fn did_you_mean<S: AsRef<str>>(
    word: &str,
    options: impl IntoIterator<Item = S>,
    case_sensitive: bool,
) -> Option<String> {
    let fold = |text: &str| if case_sensitive { text.to_owned() } else { text.to_lowercase() };
    let wanted = fold(word);
    let mut best: Option<((usize, usize), String)> = None;
    for option in options {
        let option = fold(option.as_ref());
        if option == wanted {
            return None;
        }
        // Each missing character is an edit, so most options need no table.
        if option.chars().count().abs_diff(wanted.chars().count()) >= TOO_FAR {
            continue;
        }
        let distance = strsim::levenshtein(&wanted, &option);
        if distance > best.as_ref().map_or(TOO_FAR - 1, |((distance, _), _)| *distance) {
            continue;
        }
        let distance = (distance, strsim::osa_distance(&wanted, &option));
        if best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, option));
        }
    }
    let (_, found) = best?;
    if !case_sensitive && word == word.to_uppercase() && word != word.to_lowercase() {
        return Some(found.to_uppercase());
    }
    Some(found)
}

/// `message`, with ` (did you mean X?)` behind it if something is near.
#[must_use]
pub fn with_suggestion<S: AsRef<str>>(
    message: String,
    word: &str,
    options: impl IntoIterator<Item = S>,
    case_sensitive: bool,
) -> String {
    suggested(message, word, options, case_sensitive).0
}

/// The same together with what is near, for the hint.
#[must_use]
pub fn suggested<S: AsRef<str>>(
    message: String,
    word: &str,
    options: impl IntoIterator<Item = S>,
    case_sensitive: bool,
) -> (String, Option<String>) {
    match did_you_mean(word, options, case_sensitive) {
        Some(found) => (format!("{message} (did you mean {found}?)"), Some(found)),
        None => (message, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wins_unless_it_is_far() {
        let stages = ["build", "bundle", "test"];
        assert_eq!(did_you_mean("bulid", stages, true).as_deref(), Some("build"));
        assert_eq!(did_you_mean("RNU", ["ENV", "RUN"], false).as_deref(), Some("RUN"));
        assert_eq!(did_you_mean("xyz", stages, true), None);
        assert_eq!(did_you_mean("test", stages, true), None);
    }

    #[test]
    fn the_case_of_the_word_is_kept() {
        let names = ["ENTRYPOINT", "EXPOSE"];
        assert_eq!(did_you_mean("FNTRYPOINT", names, false).as_deref(), Some("ENTRYPOINT"));
        assert_eq!(did_you_mean("fntrypoint", names, false).as_deref(), Some("entrypoint"));
        assert_eq!(did_you_mean("expos", names, true), None);
    }
}
