//! "Did you mean": the known word that is nearest to a mistyped one (B1-17).

/// The option nearest to `word` by Levenshtein distance, if it is near enough to be meant.
///
/// `None` also if `word` itself is an option. With `case_sensitive` false, case does not count.
#[must_use]
pub fn did_you_mean<'a, S: AsRef<str> + ?Sized + 'a>(
    _word: &str,
    _options: impl IntoIterator<Item = &'a S>,
    _case_sensitive: bool,
) -> Option<&'a str> {
    todo!()
}

/// `message`, with ` (did you mean X?)` behind it if something is near.
#[must_use]
pub fn with_suggestion<'a, S: AsRef<str> + ?Sized + 'a>(
    message: String,
    word: &str,
    options: impl IntoIterator<Item = &'a S>,
    case_sensitive: bool,
) -> String {
    match did_you_mean(word, options, case_sensitive) {
        Some(found) => format!("{message} (did you mean {found}?)"),
        None => message,
    }
}
