//! What differs between two texts, in unified form.

use std::fmt::Write as _;

/// Equal lines that are shown around what differs.
const AROUND: usize = 3;
/// Above this many pairs of lines, what lies between the first and the last difference is told as
/// one change.
const MAX_TABLE: usize = 4_000_000;

/// A line of either text, or of both.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// The difference as `diff -u` writes it; empty if there is none.
pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let edits = edits(&lines(old), &lines(new));
    let changed = |edit: &Edit<'_>| !matches!(edit, Edit::Same(_));
    let Some(first) = edits.iter().position(changed) else { return String::new() };
    let mut out = format!("--- {name}\n+++ {name} (formatted)\n");
    let mut next = first;
    loop {
        let start = next.saturating_sub(AROUND);
        let mut last = next;
        let mut following = None;
        for (index, _) in edits.iter().enumerate().skip(next).filter(|(_, edit)| changed(edit)) {
            if index > last + 2 * AROUND {
                following = Some(index);
                break;
            }
            last = index;
        }
        hunk(&mut out, &edits, start, (last + 1 + AROUND).min(edits.len()));
        match following {
            Some(index) => next = index,
            None => return out,
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hunk(out: &mut String, edits: &[Edit<'_>], start: usize, end: usize) {
    let count = |edits: &[Edit<'_>], old: bool| {
        let of = |edit: &&Edit<'_>| match edit {
            Edit::Same(_) => true,
            Edit::Removed(_) => old,
            Edit::Added(_) => !old,
        };
        edits.iter().filter(of).count()
    };
    let range = |old: bool| {
        let length = count(&edits[start..end], old);
        // A range without lines names the line before it.
        let first = count(&edits[..start], old) + usize::from(length > 0);
        format!("{first},{length}")
    };
    let _ = writeln!(out, "@@ -{} +{} @@", range(true), range(false));
    for edit in &edits[start..end] {
        let (mark, line) = match edit {
            Edit::Same(line) => (' ', line),
            Edit::Removed(line) => ('-', line),
            Edit::Added(line) => ('+', line),
        };
        let end = if line.ends_with('\n') { "" } else { "\n\\ No newline at end of file\n" };
        let _ = write!(out, "{mark}{line}{end}");
    }
}

/// The longest common subsequence of what lies between the equal ends.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Edit<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let (from, to) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut edits: Vec<_> = old[..head].iter().map(|line| Edit::Same(line)).collect();
    middle(from, to, &mut edits);
    edits.extend(old[old.len() - tail..].iter().map(|line| Edit::Same(line)));
    edits
}

fn middle<'a>(old: &[&'a str], new: &[&'a str], edits: &mut Vec<Edit<'a>>) {
    let (mut i, mut j) = (0, 0);
    if old.len().saturating_mul(new.len()) <= MAX_TABLE {
        // common[i][j]: how long the rest from there has in common.
        let width = new.len() + 1;
        let mut common = vec![0_u32; (old.len() + 1) * width];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                common[i * width + j] = if old[i] == new[j] {
                    common[(i + 1) * width + j + 1] + 1
                } else {
                    common[(i + 1) * width + j].max(common[i * width + j + 1])
                };
            }
        }
        while i < old.len() && j < new.len() {
            if old[i] == new[j] {
                edits.push(Edit::Same(old[i]));
                (i, j) = (i + 1, j + 1);
            } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
                edits.push(Edit::Removed(old[i]));
                i += 1;
            } else {
                edits.push(Edit::Added(new[j]));
                j += 1;
            }
        }
    }
    edits.extend(old[i..].iter().map(|line| Edit::Removed(line)));
    edits.extend(new[j..].iter().map(|line| Edit::Added(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks() {
        assert_eq!(unified("x", "a\n", "a\n"), "");
        let head = "--- x\n+++ x (formatted)\n";
        assert_eq!(
            unified("x", "a\nb\n", "a\nc"),
            format!("{head}@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n")
        );
        assert_eq!(unified("x", "", "a\n"), format!("{head}@@ -0,0 +1,1 @@\n+a\n"));
        let old: String = (0..30).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n25\n", "\n");
        let text = unified("x", &old, &new);
        assert!(text.contains("@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n"), "{text}");
        assert!(text.contains("@@ -23,7 +23,6 @@\n 22\n 23\n 24\n-25\n 26\n"), "{text}");
    }
}
