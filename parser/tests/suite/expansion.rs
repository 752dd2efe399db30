//! Tables of words and what they expand to (B3).

use std::collections::BTreeMap;

use gantry_parser::expand::Lexer;
use proptest::prelude::*;

fn env() -> BTreeMap<String, String> {
    [
        ("HOME", "/root"),
        ("USER", "ann"),
        ("CITY", "Zürich 東京"),
        ("EMPTY", ""),
        ("PORTS", "80 443"),
        ("FILE", "a.tar.gz"),
        ("URL", "http://x/y//z"),
        ("STARS", "a*b?c\\d"),
        ("LINES", "one\ntwo"),
        ("REGEX", "()[]{}^$.*?|\\x"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into()
}

/// Lines of `word => value`, or `word !! message`.
fn check(lexer: Lexer, table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some((word, message)) = line.split_once(" !! ") {
            let error = lexer.expand(word, &env()).expect_err(line);
            assert_eq!(error.message, message, "{line}");
        } else {
            let (word, value) = line.split_once(" =>").unwrap();
            let got = lexer.expand(word, &env()).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(got.text, value.strip_prefix(' ').unwrap_or(value), "{line}");
        }
    }
}

#[test]
fn plain_text_quotes_and_escapes() {
    check(
        Lexer::new('\\'),
        r#"
        hello => hello
        he'll'o => hello
        he'llo !! unexpected end of statement while looking for matching single-quote
        he"llo !! unexpected end of statement while looking for matching double-quote
        'a\'b => a\b
        'a\nb' => a\nb
        "a\nb" => a\nb
        a\nb => anb
        "a\"b" => a"b
        "a\\b" => a\b
        a\\b => a\b
        a\' => a'
        "it's" => it's
        '"' => "
        \" => "
        end\ => end
        東\京 => 東京
        'a''b'"c" => abc
        "" =>
        "#,
    );
}

#[test]
fn variables() {
    check(
        Lexer::new('\\'),
        r#"
        $HOME => /root
        ${HOME} => /root
        $HOME/x => /root/x
        a$HOMEb => a
        a${HOME}b => a/rootb
        '$HOME' => $HOME
        "$HOME" => /root
        "'$HOME'" => '/root'
        '"$HOME"' => "$HOME"
        \$HOME => $HOME
        "\$HOME" => $HOME
        $NOPE =>
        x${NOPE}y => xy
        $ => $
        a$ => a$
        $. => $.
        $/ => $/
        $1x => x
        $12 =>
        ${12} =>
        $@ =>
        ${@} =>
        $$ =>
        $CITY => Zürich 東京
        "${CITY}" => Zürich 東京
        $HOME$USER => /rootann
        "#,
    );
}

#[test]
fn defaults_alternatives_and_demands() {
    check(
        Lexer::new('\\'),
        r#"
        ${HOME:-x} => /root
        ${EMPTY:-x} => x
        ${NOPE:-x} => x
        ${EMPTY-x} =>
        ${NOPE-x} => x
        ${HOME:+x} => x
        ${EMPTY:+x} =>
        ${NOPE:+x} =>
        ${EMPTY+x} => x
        ${NOPE+x} =>
        ${NOPE:-$HOME} => /root
        ${NOPE:-${NOPE2:-$USER}} => ann
        ${NOPE:-a${USER}b} => aannb
        ${NOPE:-} =>
        ${NOPE:-'a b'} => a b
        ${NOPE:-"}"} => }
        ${NOPE:-\}} => }
        ${HOME:?gone} => /root
        ${NOPE:?gone} !! NOPE: gone
        ${NOPE?} !! NOPE: is not allowed to be unset
        ${NOPE:?} !! NOPE: is not allowed to be unset
        ${EMPTY:?} !! EMPTY: is not allowed to be empty
        ${EMPTY:?set $USER} !! EMPTY: set ann
        ${EMPTY?} =>
        "#,
    );
}

#[test]
fn trimming() {
    check(
        Lexer::new('\\'),
        r"
        ${FILE%.*} => a.tar
        ${FILE%%.*} => a
        ${FILE#*.} => tar.gz
        ${FILE##*.} => gz
        ${FILE#?} => .tar.gz
        ${FILE%??} => a.tar.
        ${FILE#x} => a.tar.gz
        ${FILE#} => a.tar.gz
        ${FILE#*} => a.tar.gz
        ${FILE##*} =>
        ${FILE%%*} =>
        ${URL#*/} => /x/y//z
        ${URL##*/} => z
        ${URL%/*} => http://x/y/
        ${URL%%//*} => http:
        ${STARS#*\*} => b?c\d
        ${STARS#a\*b\?} => c\d
        ${STARS%\\d} => a*b?c
        ${NOPE#*} =>
        ${NOPE%x} =>
        ${FILE#$USER} => a.tar.gz
        ${HOME#/$NOPE} => root
        ${CITY%% *} => Zürich
        ${CITY#* 東} => 京
        ${REGEX#()[]{\}^$.\*\?|\\} => x
        ${FILE#[a]} => a.tar.gz
        ${FILE#\x} !! invalid pattern (\x) in substitution: invalid escape '\x'
        ",
    );
}

#[test]
fn replacing() {
    check(
        Lexer::new('\\'),
        r"
        ${FILE/./_} => a_tar.gz
        ${FILE//./_} => a_tar_gz
        ${FILE/a*/x} => x
        ${FILE//a?/x} => xtx.gz
        ${FILE/./} => atar.gz
        ${FILE//./} => atargz
        ${URL//\//-} => http:--x-y--z
        ${URL/\/\//\}} => http:\}x/y//z
        ${URL//x*y/$USER} => http://ann//z
        ${FILE/none/x} => a.tar.gz
        ${NOPE/a/b} =>
        ${FILE//$NOPE/x} => xax.xtxaxrx.xgxzx
        ${FILE/$NOPE/x} => xa.tar.gz
        ${FILE/x} !! syntax error: missing '/' in ${}
        ${FILE//x} !! syntax error: missing '/' in ${}
        ${FILE/a/b !! syntax error: missing '}'
        ${FILE/\q/b} !! invalid pattern (\q) in substitution: invalid escape '\q'
        ",
    );
}

#[test]
fn stars_stop_at_line_ends() {
    let text = |word: &str| Lexer::new('\\').expand(word, &env()).unwrap().text;
    assert_eq!(text("${LINES##*}"), "\ntwo");
    assert_eq!(text("${LINES//*/x}"), "x\nx");
    assert_eq!(text("${LINES%%*}"), "one\n");
}

#[test]
fn what_is_malformed_says_so() {
    check(
        Lexer::new('\\'),
        r"
        ${ !! syntax error: missing '}'
        ${HOME !! syntax error: missing '}'
        ${HOME:-x !! syntax error: missing '}'
        ${HOME: !! syntax error: missing '}'
        ${} !! syntax error: bad substitution
        ${:x} !! syntax error: bad substitution
        ${{x} !! syntax error: bad substitution
        ${HOME:=x} !! unsupported modifier (:=) in substitution
        ${HOME=x} !! unsupported modifier (=) in substitution
        ${HOME:#x} !! unsupported modifier (:#) in substitution
        ${HOME^} !! unsupported modifier (^) in substitution
        ${HOME ?x} !! unsupported modifier ( ) in substitution
        ",
    );
    let error = Lexer::new('\\').expand("a\"${}\"", &env()).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"failed to process "a\"${}\"": syntax error: bad substitution"#
    );
}

#[test]
fn other_escape_and_modes() {
    check(
        Lexer::new('`'),
        r#"
        `$HOME => $HOME
        C:\$USER => C:\ann
        "a`"b\c" => a"b\c
        "#,
    );
    check(
        Lexer::for_heredoc(),
        r#"
        echo "$HOME" 'it => echo "/root" 'it
        '$HOME' => '/root'
        \$HOME => $HOME
        a\\b\c => a\bc
        "#,
    );
    let raw = Lexer { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Lexer::new('\\') };
    check(
        raw,
        r#"
        a'b'"c $NOPE" => a'b'"c $NOPE"
        a\ b => a\ b
        ${NOPE:-x y} => ${NOPE:-x y}
        ${NOPE#x} => ${NOPE#x}
        ${NOPE/a/b} => ${NOPE/a/b}
        ${NOPE} $HOME => ${NOPE} /root
        "#,
    );
}

#[test]
fn words_are_split_after_expansion() {
    let words = |word: &str| Lexer::new('\\').expand(word, &env()).unwrap().words;
    assert_eq!(words("$PORTS"), ["80", "443"]);
    assert_eq!(words("a$PORTS"), ["a80", "443"]);
    assert_eq!(words("\"$PORTS\" x"), ["80 443", "x"]);
    assert_eq!(words("  a   b\tc\\ d 'e f' "), ["a", "b", "c d", "e f"]);
    assert_eq!(words("a\"\" \"\" b"), ["a", "b"]);
    assert_eq!(words("$EMPTY"), Vec::<String>::new());
    assert_eq!(words("${NOPE:-x y}"), ["x", "y"]);
    assert_eq!(words("<< EOF x"), ["<< EOF", "x"]);
}

#[test]
fn names_that_were_looked_up_are_told() {
    let expanded = Lexer::new('\\').expand("$HOME ${NOPE:-$USER} '$CITY'", &env()).unwrap();
    assert_eq!(expanded.used.into_iter().collect::<Vec<_>>(), ["HOME", "USER"]);
    assert_eq!(expanded.unset.into_iter().collect::<Vec<_>>(), ["NOPE"]);
}

#[test]
fn deep_nesting_is_refused_and_not_crashed_on() {
    for depth in [50, 100_000] {
        let word = format!("{}x{}", "${NOPE:-".repeat(depth), "}".repeat(depth));
        let result = Lexer::new('\\').expand(&word, &env());
        match depth {
            50 => assert_eq!(result.unwrap().text, "x"),
            _ => assert!(result.unwrap_err().message.contains("nested")),
        }
    }
}

/// Globs of `${}` by definition: try everything.
fn matches(pattern: &[char], value: &[char]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some(('*', rest)) => (0..=value.len()).any(|n| matches(rest, &value[n..])),
        Some(('?', rest)) => !value.is_empty() && matches(rest, &value[1..]),
        Some((c, rest)) => value.first() == Some(c) && matches(rest, &value[1..]),
    }
}

proptest! {
    #[test]
    fn never_panics(word in "[a-c${}:\\-+?#%/'\"\\\\* <é]{0,24}") {
        for lexer in [Lexer::new('\\'), Lexer::new('`'), Lexer::for_heredoc()] {
            let _ = lexer.expand(&word, &env());
        }
    }

    #[test]
    fn plain_words_stay(word in "[a-zA-Z0-9/._=,:+-]{0,20}") {
        prop_assert_eq!(Lexer::new('\\').expand(&word, &()).unwrap().text, word);
    }

    #[test]
    fn trims_are_the_shortest_and_the_longest(pattern in "[ab*?]{0,5}", value in "[ab]{0,7}") {
        let env = BTreeMap::from([("V".to_owned(), value.clone()), ("P".to_owned(), pattern.clone())]);
        let (p, v): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
        let prefixes: Vec<usize> = (0..=v.len()).filter(|n| matches(&p, &v[..*n])).collect();
        let suffixes: Vec<usize> = (0..=v.len()).filter(|n| matches(&p, &v[*n..])).collect();
        let cut = |word: &str| Lexer::new('\\').expand(word, &env).unwrap().text;
        let rest = |n: Option<&usize>| value[n.copied().unwrap_or(0)..].to_owned();
        let head = |n: Option<&usize>| value[..n.copied().unwrap_or(v.len())].to_owned();
        prop_assert_eq!(cut("${V#$P}"), rest(prefixes.first()));
        prop_assert_eq!(cut("${V##$P}"), rest(prefixes.last()));
        prop_assert_eq!(cut("${V%$P}"), head(suffixes.last()));
        prop_assert_eq!(cut("${V%%$P}"), head(suffixes.first()));
    }
}
