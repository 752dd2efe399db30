//! Here-documents: how a delimiter is read, and how tabs are stripped (B8-01..04).

/// What `[fd]<<[-]WORD` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// WORD without quotes.
    pub name: String,
    /// The number in front, else 0.
    pub fd: u32,
    /// There is a `-`.
    pub chomp: bool,
    /// No quote in WORD.
    pub expand: bool,
}

/// Reads one word of a line as the opening of a here-document, if it is one and nothing else.
#[must_use]
pub fn parse_word(_word: &str) -> Option<Opening> {
    todo!()
}

/// Drops the tabs at the start of every line.
#[must_use]
pub fn strip_tabs(_text: &str) -> String {
    todo!()
}
