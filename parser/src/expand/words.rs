//! Splitting at unquoted spaces while a word is expanded.

/// Collects characters into words.
///
/// Spaces that come as [`split`](Self::split) end a word; what comes as [`raw`](Self::raw) (it
/// was quoted or escaped) never does.
#[derive(Default)]
pub(super) struct Words {
    done: Vec<String>,
    current: String,
}

impl Words {
    pub(super) fn split(&mut self, text: &str) {
        for c in text.chars() {
            self.split_char(c);
        }
    }

    pub(super) fn split_char(&mut self, c: char) {
        if !c.is_whitespace() {
            self.current.push(c);
        } else if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.current.push_str(text);
    }

    pub(super) fn raw_char(&mut self, c: char) {
        self.current.push(c);
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}
