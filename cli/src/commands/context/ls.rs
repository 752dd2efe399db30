//! `gantry context ls`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use gantry_executor::{BuildRequest, ContextFile, Explored, explore};
use gantry_tree::FileKind;
use serde_json::{Value, json};

use super::super::build::source;
use super::super::build::values::KeyValue;
use super::Context;
use crate::progress::harmless;
use crate::ui::table::align;
use crate::ui::{Failure, human};

/// List the files of a build context
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry context ls [OPTIONS] [PATH]")]
pub(crate) struct LsArgs {
    /// The context; the current directory if left out
    #[arg(value_name = "PATH", default_value = ".")]
    path: String,
    /// Name of the Dockerfile (default: `PATH/Dockerfile`)
    #[arg(short, long, value_name = "string")]
    file: Option<String>,
    /// Set build-time variables
    #[arg(long = "build-arg", value_name = "stringArray")]
    build_args: Vec<KeyValue>,
    /// Also list what is dropped, each file with the line of the ignore file that decided
    #[arg(long)]
    why: bool,
    /// List directories instead, those with the most bytes first
    #[arg(long, conflicts_with_all = ["why", "unused"])]
    size: bool,
    /// Only what no instruction uses
    #[arg(long)]
    unused: bool,
    /// Format output: 'table' or 'json'
    #[arg(long, value_name = "string", default_value = "table", value_parser = ["table", "json"])]
    format: String,
}

pub(crate) fn run(args: &LsArgs, context: &Context) -> Result<ExitCode, Failure> {
    if args.path == "-" || args.file.as_deref() == Some("-") {
        return Err(Failure::text("What is on stdin can't be looked at")
            .with_hint("Unpack it into a directory"));
    }
    let sources = source::find(&args.path, args.file.as_deref())?;
    let mut request = BuildRequest::new(sources.dockerfile, sources.context);
    request.ignore = sources.ignore;
    request.build_args = args
        .build_args
        .iter()
        .filter_map(|arg| {
            let value = arg.value.clone().or_else(|| std::env::var(&arg.key).ok());
            Some((arg.key.clone(), value?))
        })
        .collect();
    let store = context.existing_store()?;
    let explored = explore(request, store.as_ref())?;
    if let Some(error) = &explored.unclear {
        if args.unused {
            let error = Failure::text(format_args!("{error}"));
            return Err(error.context("It can't be told what the instructions use"));
        }
        context
            .ui
            .note(format_args!("WARNING: It can't be told what the instructions use: {error}"));
    }
    let json = args.format == "json";
    match (args.size, json) {
        (true, _) => {
            let directories = directories(&explored.files);
            match json {
                true => context.ui.line(serde_json::to_string_pretty(
                    &directories.iter().map(Directory::document).collect::<Value>(),
                )?)?,
                false => context.ui.write(&sizes(&directories))?,
            }
        }
        (false, true) => {
            let files = shown(&explored, args).map(|file| document(file, &explored));
            context.ui.line(serde_json::to_string_pretty(&files.collect::<Value>())?)?;
        }
        (false, false) => context.ui.write(&table(&explored, args))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The files that were asked for; directories only say that they are there.
fn shown<'a>(explored: &'a Explored, args: &LsArgs) -> impl Iterator<Item = &'a ContextFile> {
    let (why, unused) = (args.why, args.unused);
    explored.files.iter().filter(move |file| {
        file.kind != FileKind::Dir
            && (file.kept || (why && !unused))
            && !(unused && (!file.used_by.is_empty() || file.definition))
    })
}

/// `.dockerignore:3 *.log`, or why there is no such line.
fn rule(file: &ContextFile, explored: &Explored) -> String {
    match (&file.rule, &explored.ignore_file) {
        (Some((line, pattern)), Some(name)) => format!("{name}:{line} {pattern}"),
        (None, Some(_)) => "no line matches".to_owned(),
        (_, None) => "no ignore file".to_owned(),
    }
}

fn table(explored: &Explored, args: &LsArgs) -> String {
    let mut lines = vec![match args.why {
        true => "\tSIZE\tPATH\tRULE".to_owned(),
        false => "SIZE\tPATH".to_owned(),
    }];
    for file in shown(explored, args) {
        let size = human::fine_size(file.size);
        let path = harmless(file.path.as_bytes());
        lines.push(match args.why {
            true => {
                let kept = if file.kept { "kept" } else { "dropped" };
                format!("{kept}\t{size}\t{path}\t{}", harmless(rule(file, explored).as_bytes()))
            }
            false => format!("{size}\t{path}"),
        });
    }
    let mut text = align(&lines);
    let is_file = |file: &&ContextFile| file.kind != FileKind::Dir;
    let total = |name: &str, which: &dyn Fn(&ContextFile) -> bool| {
        let files = || explored.files.iter().filter(is_file).filter(|file| which(file));
        let bytes = files().map(|file| file.size).sum();
        format!("{name}:\t{} files, {}", files().count(), human::fine_size(bytes))
    };
    let mut totals = vec![total("Kept", &|file| file.kept), total("Dropped", &|file| !file.kept)];
    if explored.unclear.is_none() {
        totals.push(total("Unused", &|file| {
            file.kept && !file.definition && file.used_by.is_empty()
        }));
    }
    text.push('\n');
    text.push_str(&align(&totals));
    text
}

fn document(file: &ContextFile, explored: &Explored) -> Value {
    let rule = file.rule.as_ref().map(
        |(line, pattern)| json!({ "file": explored.ignore_file, "line": line, "pattern": pattern }),
    );
    let mut document = json!({
        "path": file.path,
        "size": file.size,
        "kept": file.kept,
        "rule": rule,
        "definition": file.definition,
    });
    if explored.unclear.is_none() {
        document["used_by"] = file.used_by.clone().into();
    }
    document
}

/// A directory with all that is kept below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Directory {
    path: String,
    size: u64,
    files: u64,
    unused: u64,
}

impl Directory {
    fn document(&self) -> Value {
        json!({
            "path": self.path, "size": self.size, "files": self.files, "unused_size": self.unused,
        })
    }
}

/// All directories, the largest first; the context itself is `.`.
fn directories(files: &[ContextFile]) -> Vec<Directory> {
    let mut found: BTreeMap<&str, Directory> = BTreeMap::new();
    for file in files.iter().filter(|file| file.kept && file.kind != FileKind::Dir) {
        let slashes = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        for path in slashes.chain(["."]) {
            let directory = found.entry(path).or_default();
            directory.size += file.size;
            directory.files += 1;
            if file.used_by.is_empty() && !file.definition {
                directory.unused += file.size;
            }
        }
    }
    let mut directories: Vec<Directory> = found
        .into_iter()
        .map(|(path, directory)| Directory { path: path.to_owned(), ..directory })
        .collect();
    directories.sort_by_key(|directory| std::cmp::Reverse(directory.size));
    directories
}

fn sizes(directories: &[Directory]) -> String {
    let mut lines = vec!["SIZE\tFILES\tUNUSED\tDIRECTORY".to_owned()];
    for directory in directories {
        let (size, unused) = (human::fine_size(directory.size), human::fine_size(directory.unused));
        let path = harmless(directory.path.as_bytes());
        lines.push(format!("{size}\t{}\t{unused}\t{path}", directory.files));
    }
    align(&lines)
}
