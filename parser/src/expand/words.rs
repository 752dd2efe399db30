//! Splitting at unquoted spaces while a word is expanded.

/// Collects characters into words.
///
/// Spaces that come as [`split`](Self::split) end a word; what comes as [`raw`](Self::raw) (it
/// was quoted or escaped) never does.
pub(super) struct Words {
    /// Whether anybody asks for them; else nothing is collected.
    wanted: bool,
    done: Vec<String>,
    current: String,
}

impl Words {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, done: Vec::new(), current: String::new() }
    }

    pub(super) fn split(&mut self, text: &str) {
        if !self.wanted {
            return;
        }
        for c in text.chars() {
            if !c.is_whitespace() {
                self.current.push(c);
            } else if !self.current.is_empty() {
                self.done.push(std::mem::take(&mut self.current));
            }
        }
    }

    pub(super) fn raw(&mut self, text: &str) {
        if self.wanted {
            self.current.push_str(text);
        }
    }

    pub(super) fn raw_char(&mut self, c: char) {
        if self.wanted {
            self.current.push(c);
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}
