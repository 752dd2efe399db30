//! [`Row`]: one line of the table, and how it is printed.

use std::time::Duration;

use crate::peer::{NAMES, Peers};

macro_rules! kinds {
    ($($name:ident = $heading:literal,)*) => {
        /// What a row is about. `BENCHMARKS.md` has a paragraph for each, under its heading.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($name,)* }

        impl Kind {
            #[cfg(test)]
            const ALL: &[Kind] = &[$(Kind::$name,)*];

            fn heading(self) -> &'static str {
                match self { $(Kind::$name => $heading,)* }
            }
        }
    };
}

kinds! {
    Lowering = "500 instructions: read, parse, lower",
    Cached = "Cached rebuild, few files",
    CachedStages = "Cached rebuild, 500 instructions in 50 stages",
    ColdStages = "500 instructions in 50 stages, all run",
    ChangedStages = "500 instructions in 50 stages, the first step changed",
    CachedFiles = "Cached rebuild, many files",
    Ignoring = "Ignore patterns",
    CopyFiles = "COPY of many files, and a RUN on top",
    ChangedFile = "One file changed",
    Step = "One RUN step",
    Steps = "Many RUN steps",
    Chatty = "A chatty step",
    Layers = "A stage with many layers",
    Pull = "Pull to ready-to-run",
    PushAgain = "Push of what is there",
    Save = "Save",
    Load = "Load",
    Gzip = "A compressed OCI archive",
    ManyFiles = "Big trees: very many files",
    LargeFile = "Big trees: one large file",
    Deep = "Big trees: deep directories",
    HardLinks = "Big trees: hard links",
    Sparse = "Big trees: sparse files",
}

/// One line of the table; times are medians.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) work: String,
    pub(crate) gantry: Duration,
    pub(crate) floor: Duration,
    /// The largest ratio that the design allows; `None` where it says nothing.
    pub(crate) budget: Option<f64>,
    pub(crate) floor_is: &'static str,
    /// The most memory that gantry had resident, in bytes.
    pub(crate) memory: Option<u64>,
    /// What the peers took for the same.
    pub(crate) peers: Peers<Option<Duration>>,
}

impl Row {
    pub(crate) fn ratio(&self) -> f64 {
        self.gantry.as_secs_f64() / self.floor.as_secs_f64().max(1e-9)
    }
}

/// Prints a row as one line of JSON: times in seconds, memory in bytes.
fn print_json(row: &Row) {
    let seconds = |time: Option<Duration>| {
        time.map_or("null".to_owned(), |time| time.as_secs_f64().to_string())
    };
    // No name of ours holds a character that JSON would want escaped.
    print!(
        "{{\"kind\":\"{}\",\"work\":\"{}\",\"gantry\":{},\"floor\":{},\"budget\":{},\"peak\":{}",
        row.kind.heading(),
        row.work,
        row.gantry.as_secs_f64(),
        row.floor.as_secs_f64(),
        row.budget.map_or("null".to_owned(), |budget| budget.to_string()),
        row.memory.map_or("null".to_owned(), |bytes| bytes.to_string()),
    );
    for (name, time) in NAMES.iter().zip(row.peers.each()) {
        print!(",\"{name}\":{}", seconds(*time));
    }
    println!("}}");
}

/// Prints the table's head.
pub(crate) fn print_head(json: bool) {
    if json {
        return;
    }
    print!(
        "{:<52} {:>11} {:>11} {:>7} {:>7} {:>7}",
        "work", "gantry", "floor", "ratio", "budget", "peak"
    );
    for name in NAMES {
        print!(" {name:>10}");
    }
    println!(" {:>7}  floor", "faster");
}

/// Prints a row as soon as it is measured.
pub(crate) fn print(row: &Row, json: bool) {
    if json {
        return print_json(row);
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    print!(
        "{:<52} {:>8.2} ms {:>8.2} ms {:>6.2}x ",
        row.work,
        millis(row.gantry),
        millis(row.floor),
        row.ratio()
    );
    match row.budget {
        Some(budget) => print!("{budget:>6.2}x "),
        None => print!("{:>7} ", "-"),
    }
    match row.memory {
        Some(bytes) => print!("{:>4} MB", bytes.div_ceil(1_000_000)),
        None => print!("{:>7}", "-"),
    }
    for time in row.peers.each() {
        match time {
            Some(time) => print!(" {:>7.0} ms", millis(*time)),
            None => print!(" {:>10}", "-"),
        }
    }
    match row.peers.each().into_iter().flatten().min() {
        Some(best) => print!(" {:>6.1}x", best.as_secs_f64() / row.gantry.as_secs_f64().max(1e-9)),
        None => print!(" {:>7}", "-"),
    }
    println!("  {}", row.floor_is);
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn each_row_has_its_paragraph_and_each_paragraph_its_row() {
        let text = include_str!("../../BENCHMARKS.md");
        let (_, rows) = text.split_once("\n## The rows\n").expect("a part about the rows");
        let headings: Vec<&str> =
            rows.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.heading()).collect();
        assert_eq!(headings, known);
        for part in rows.split("\n### ").skip(1) {
            let (heading, body) = part.split_once('\n').expect("a body");
            assert!(body.trim().len() > 100, "`{heading}` explains nothing");
        }
    }
}
