//! GitHub Actions: lines that its runner understands, which fold a log and mark lines of a file.

use std::path::{Path, PathBuf};

/// The line that begins a group.
pub(crate) fn group(title: &str) -> String {
    format!("::group::{}\n", data(title))
}

/// The line that ends a group.
pub(crate) const END_GROUP: &str = "::endgroup::\n";

/// Whether this runs there.
pub(crate) fn is_on() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// What a file is called from the root of the repository, which is where the runner reads paths
/// from.
pub(crate) fn name_of(path: &Path) -> String {
    let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let root = root.or_else(|| std::env::current_dir().ok());
    let below = fs_err::canonicalize(path).ok().zip(root).and_then(|(real, root)| {
        Some(real.strip_prefix(fs_err::canonicalize(root).ok()?).ok()?.to_path_buf())
    });
    below.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}

/// Something that is marked in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its path, seen from the repository's root.
    pub(crate) file: String,
    /// First and last line, counted from 1.
    pub(crate) lines: Option<(usize, usize)>,
    /// A few words over the message.
    pub(crate) title: Option<String>,
}

impl Mark {
    /// The line that marks it: `::error file=Dockerfile,line=3::text`.
    pub(crate) fn line(&self, kind: &str, text: &str) -> String {
        let mut line = format!("::{kind} file={}", property(&self.file));
        if let Some((first, last)) = self.lines {
            line.push_str(&format!(",line={first}"));
            if last > first {
                line.push_str(&format!(",endLine={last}"));
            }
        }
        if let Some(title) = &self.title {
            line.push_str(&format!(",title={}", property(title)));
        }
        format!("{line}::{}", data(text))
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_line_early_is_escaped() {
        let mark = |lines| Mark { file: "a,b/Dockerfile".to_owned(), lines, title: None };
        assert_eq!(
            mark(Some((3, 3))).line("error", "50%\nof it: x"),
            "::error file=a%2Cb/Dockerfile,line=3::50%25%0Aof it: x"
        );
        let titled = Mark { title: Some("T: 1".to_owned()), ..mark(Some((1, 4))) };
        assert_eq!(
            titled.line("warning", "x"),
            "::warning file=a%2Cb/Dockerfile,line=1,endLine=4,title=T%3A 1::x"
        );
        assert_eq!(mark(None).line("notice", "x"), "::notice file=a%2Cb/Dockerfile::x");
    }
}
