//! What reads texts and bytes of others, fed with examples, with changed examples, and with noise.
//!
//! A target panics, hangs or contradicts itself, or it is fine; that it answers nonsense with an
//! error is not looked at.

mod changed;

use std::collections::BTreeMap;

use bolero::check;
use gantry_image::layer::{self, Limits};
use gantry_parser::expand::Lexer;
use gantry_parser::ignore::IgnoreFile;
use gantry_parser::mount::Mount;
use gantry_parser::{SourceFile, Span, Word, format, heredoc, lint, parse};
use gantry_tree::Manifest;

use changed::Examples;

/// Runs `target` with every example as it is, and then with what bolero makes up.
fn run(examples: Examples, target: fn(&[u8])) {
    examples.iter().for_each(target);
    check!().for_each(|bytes: &[u8]| target(&examples.changed(bytes)));
}

#[test]
fn parser() {
    run(Examples::dockerfiles(), |bytes| {
        let source = SourceFile::from_bytes("Dockerfile", bytes);
        let parsed = parse(&source);
        let _ = lint::check(&parsed.dockerfile, None);
        for statement in &parsed.dockerfile.statements {
            assert!(statement.span.end <= source.text().len());
            // A keyword that goes on in the next line is told without the line's end.
            let keyword = source.slice(statement.keyword.span);
            assert!(keyword.contains('\n') || keyword == statement.keyword.text, "{keyword:?}");
        }
        for label in parsed.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
            assert!(label.span.end <= source.text().len());
        }
        if let Ok(text) = format::format(&source) {
            let again = SourceFile::new("Dockerfile", text.as_str());
            assert_eq!(format::format(&again).as_deref(), Ok(text.as_str()));
            let count = parsed.dockerfile.statements.len();
            assert_eq!(parse(&again).dockerfile.statements.len(), count);
        }
    });
}

#[test]
fn expansion() {
    run(Examples::of("expansion"), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let env = [("A", "a.b/c d"), ("B", ""), ("C", "x*?\\")];
        let env: BTreeMap<String, String> =
            env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for lexer in [Lexer::new('\\'), Lexer::new('`'), Lexer::for_heredoc()] {
            if let Ok(expanded) = lexer.expand(&text, &env) {
                assert!(expanded.used.iter().all(|name| env.contains_key(name)));
                assert!(expanded.unset.iter().all(|name| !env.contains_key(name)));
            }
        }
        let _ = heredoc::openings(&text);
    });
}

#[test]
fn ignore() {
    run(Examples::of("ignore"), |bytes| {
        let Ok(file) = IgnoreFile::parse(&String::from_utf8_lossy(bytes)) else { return };
        for path in ["a", "a/b", "README.md", "a/x/y.md", "b?/*"] {
            // A walk and a single question have the same answer.
            let mut state = file.root();
            for (end, _) in path.match_indices('/') {
                state = file.enter(&state, &path.as_bytes()[..end]);
            }
            let verdict = file.matches(path.as_bytes());
            assert_eq!(file.matches_in(&state, path.as_bytes()), verdict, "{path}");
            if file.prunes(path.as_bytes()) {
                assert!(file.matches(format!("{path}/below").as_bytes()).excluded, "{path}");
            }
        }
    });
}

#[test]
fn mount() {
    run(Examples::of("mount"), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let span = Span::new(0, text.len());
        if let Ok(mount) = Mount::parse(&Word::new(text, span)) {
            let _ = mount.evaluate(|word| Ok::<_, ()>(word.text.clone()));
            assert!(mount.fields.iter().all(|field| field.text.span.end <= span.end));
        }
    });
}

/// Small ones, so that a hole of a terabyte is refused and not read.
const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 1 << 10 };

#[test]
fn layer() {
    run(Examples::of("layer").with_checksums(), |bytes| {
        if let Ok(read) = layer::index(&mut &bytes[..], &LIMITS) {
            assert_eq!(read.size, bytes.len() as u64);
            let encoded = read.manifest.encode();
            assert_eq!(Manifest::decode(&encoded).as_ref(), Ok(&read.manifest));
        }
    });
}

#[test]
fn manifest() {
    let layers = Examples::of("layer");
    let encoded = layers.iter().map(|mut bytes| {
        let read = layer::index(&mut bytes, &LIMITS).expect("the example is a layer");
        read.manifest.encode()
    });
    run(Examples::new(encoded.collect()), |bytes| {
        if let Ok(manifest) = Manifest::decode(bytes) {
            assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
    });
}
