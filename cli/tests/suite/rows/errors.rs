//! Every error of the language, one line each: what is said, where, what is underlined, and that
//! a hint follows; exit code 1, and a store in which nothing has changed.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use crate::sandbox::Sandbox;

/// A Dockerfile that is refused.
struct Case {
    row: &'static str,
    dockerfile: String,
    args: Vec<String>,
    error: String,
    /// The line that is shown, and the part of it that is underlined; `None`: it is about the file
    /// or the command line as a whole.
    place: Option<(usize, String)>,
}

#[test]
fn every_error_names_its_place_and_what_to_do_and_leaves_nothing() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.write("dir/file", "in a directory");
    sandbox.write("file", "a file");
    sandbox.write("ignored", "not to be seen");
    sandbox.write(".dockerignore", "ignored\n");
    sandbox.write("../tmp/large", vec![b'x'; 600 << 10]);
    // From here on the base image is a tree, and nothing of it is made anew.
    sandbox.write("Dockerfile", "FROM busybox\nRUN true\n");
    sandbox.gantry(["build", "--network", "none", "."]).success();
    let before = contents(&sandbox);
    let server = Server::start();
    let cases = cases(&sandbox, &server.address);
    let mut wrong = Vec::new();
    for case in &cases {
        sandbox.write("Dockerfile", &case.dockerfile);
        let mut words = vec!["build", "--network", "none", "--progress", "plain", "-t", "bad"];
        words.extend(case.args.iter().map(String::as_str));
        words.push(".");
        let shown = sandbox.gantry_words(&words).code(1).stderr;
        wrong.extend(compare(case, &shown));
        assert_eq!(contents(&sandbox), before, "{}: {shown}", case.row);
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(sandbox.project().to_str().unwrap()), "{}", case.row);
        assert!(!mounts.contains(sandbox.store().to_str().unwrap()), "{}", case.row);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    every_row_has_a_case(&cases);
}

/// What is not as it should be.
fn compare(case: &Case, shown: &str) -> Option<String> {
    let (excerpt, error) = shown.rsplit_once("ERROR: ").unwrap_or(("", shown));
    let (message, rest) = error.split_once('\n').unwrap_or((error, ""));
    let message = message.strip_prefix("failed to solve: ").unwrap_or(message);
    let hint = rest.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or("");
    // Other errors of the same file are shown before; this one's place stands last.
    let place = excerpt.rfind("Dockerfile:").map(|at| underlined(&excerpt[at..]));
    let place = place.filter(|_| excerpt.trim_end().ends_with("--------------------"));
    let fine = message == case.error && place == case.place && !hint.trim().is_empty();
    (!fine).then(|| {
        format!(
            "{}: {:?}\n  wanted {:?} at {:?}\n  got    {message:?} at {place:?}\n  hint: {hint}",
            case.row, case.dockerfile, case.error, case.place
        )
    })
}

/// The line that is shown, and what of it is underlined: all of it if there are no carets.
fn underlined(excerpt: &str) -> (usize, String) {
    // `  12 | >>> ` stands before a line, and as many spaces before the carets.
    const MARGIN: usize = 11;
    let mut lines = excerpt.lines();
    let number = lines.next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let mut marked = lines.skip_while(|line| !line.contains("| >>> "));
    let line = marked.next().unwrap_or_default();
    let mut text: Vec<char> = line.chars().skip(MARGIN).collect();
    let mut below = marked.next().unwrap_or_default();
    if below.contains("| >>> ") {
        // What is underlined may stand in a later line of the instruction.
        let all: Vec<&str> = excerpt.lines().collect();
        if let Some(at) = all.iter().position(|line| line.contains("     |     ")) {
            below = all[at];
            text = all[at - 1].chars().skip(MARGIN).collect();
        }
    }
    let carets: Vec<usize> = below
        .chars()
        .skip(MARGIN)
        .enumerate()
        .filter(|(_, c)| *c == '^')
        .map(|(at, _)| at)
        .collect();
    let part = match (carets.first(), carets.last()) {
        (Some(first), Some(last)) if below.starts_with("     |     ") => {
            text[*first..=*last.min(&(text.len() - 1))].iter().collect()
        }
        _ => text.iter().collect::<String>().trim().to_owned(),
    };
    (number, part)
}

/// What is in the store that a build could have put there.
fn contents(sandbox: &Sandbox) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in ["layers", "blobs/sha256", "work", "mounts"] {
        for entry in fs_err::read_dir(sandbox.store().join(name)).unwrap() {
            all.insert(format!("{name}/{}", entry.unwrap().file_name().display()));
        }
    }
    let images = sandbox.gantry(["images", "--all", "--no-trunc"]).success().stdout;
    // The age of an image is told in words.
    all.extend(images.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()));
    all
}

/// The rows of errors are those that the list of rules has; each has its case here.
fn every_row_has_a_case(cases: &[Case]) {
    let with_errors = [
        "B1-02", "B1-03", "B1-10", "B1-11", "B1-12", "B1-14", "B1-15", "B2-04", "B2-05", "B2-06",
        "B2-07", "B2-08", "B3-04", "B3-05", "B3-06", "B3-07", "B3-08", "B3-10", "B3-11", "B3-12",
        "B4-01", "B4-03", "B4-05", "B4-06", "B4-07", "B4-09", "B4-10", "B4-11", "B4-12", "B4-17",
        "B4-18", "B4-19", "B4-20", "B4-21", "B4-23", "B4-24", "B4-25", "B4-26", "B4-30", "B4-31",
        "B5-01", "B5-02", "B5-06", "B5-07", "B5-10", "B5-11", "B5-12", "B5-14", "B5-15", "B5-16",
        "B5-17", "B5-18", "B6-01", "B6-03", "B6-06", "B6-11", "B6-12", "B6-14", "B6-16", "B6-17",
        "B6-19", "B6-21", "B6-22", "B6-23", "B6-25", "B7-14", "B8-02", "B8-08", "B8-14", "B8-16",
        "B8-17",
    ];
    let here: BTreeSet<&str> = cases.iter().map(|case| case.row).collect();
    assert_eq!(here, with_errors.into());
}

/// Serves one file, and nothing else.
struct Server {
    address: String,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let found = request[..length].starts_with(b"GET /file ");
                let (status, body) = if found { ("200 OK", "hi") } else { ("404 Not Found", "") };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { address }
    }
}

fn case(row: &'static str, dockerfile: &str, error: &str, place: Option<(usize, &str)>) -> Case {
    Case {
        row,
        dockerfile: dockerfile.to_owned(),
        args: Vec::new(),
        error: error.to_owned(),
        place: place.map(|(line, text)| (line, text.to_owned())),
    }
}

/// A line below `FROM busybox`.
fn line(row: &'static str, line: &str, error: &str, underlined: &str) -> Case {
    case(row, &format!("FROM busybox\n{line}\n"), error, Some((2, underlined)))
}

/// The same, refused as the grammar refuses what an instruction says.
fn parse(row: &'static str, text: &str, error: &str, underlined: &str) -> Case {
    line(row, text, &format!("dockerfile parse error on line 2: {error}"), underlined)
}

impl Case {
    fn with(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }
}

fn cases(sandbox: &Sandbox, server: &str) -> Vec<Case> {
    let mut all = lexical();
    all.extend(expansion());
    all.extend(instructions());
    all.extend(mounts(&sandbox.project().join("../tmp/large")));
    all.extend(copies(server));
    all.extend(rest());
    all
}

fn lexical() -> Vec<Case> {
    let long = format!("FROM busybox\nENV A={}\n", "x".repeat(70_000));
    let unknown = "unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)";
    vec![
        case(
            "B1-02",
            &long,
            "dockerfile line greater than max allowed size of 65535",
            Some((2, long.lines().nth(1).unwrap())),
        ),
        case("B1-03", "", "the Dockerfile cannot be empty", None),
        case("B1-03", "# nothing\n", "file with no instructions", None),
        parse("B1-10", "FNTRYPOINT [\"a\"]", unknown, "FNTRYPOINT"),
        parse(
            "B1-11",
            "RUN --mont=type=tmpfs true",
            "unknown flag: --mont (did you mean mount?)",
            "--mont=type=tmpfs",
        ),
        parse("B1-11", "COPY --link --link a b", "duplicate flag specified: --link", "--link"),
        parse("B1-11", "COPY --chown a b", "missing a value on flag: --chown", "--chown"),
        parse("B1-11", "COPY --link=x a b", "expecting boolean value for flag --link, not: x", "x"),
        line(
            "B1-12",
            "CMD [\"a\", 5]",
            "when using JSON array syntax, arrays must be comprised of strings only",
            "[\"a\", 5]",
        ),
        parse("B1-14", "USER", "USER requires exactly one argument", "USER"),
        parse("B1-15", "ENV", "ENV requires at least one argument", "ENV"),
        parse("B1-15", "LABEL", "LABEL requires at least one argument", "LABEL"),
        parse("B1-15", "ARG", "ARG requires at least one argument", "ARG"),
        parse("B1-15", "ONBUILD", "ONBUILD requires at least one argument", "ONBUILD"),
        parse("B1-15", "EXPOSE", "EXPOSE requires at least one argument", "EXPOSE"),
        parse("B1-15", "VOLUME", "VOLUME requires at least one argument", "VOLUME"),
        parse("B1-15", "HEALTHCHECK", "HEALTHCHECK requires at least one argument", "HEALTHCHECK"),
        parse("B1-15", "SHELL", "SHELL requires at least one argument", "SHELL"),
        case(
            "B2-04",
            "# escape=`\n# escape=`\nFROM busybox\n",
            "only one escape parser directive can be used",
            Some((2, "# escape=`")),
        ),
        case(
            "B2-05",
            "# escape=x\nFROM busybox\n",
            "invalid escape token 'x' does not match ` or \\",
            Some((1, "x")),
        ),
        case(
            "B2-06",
            "# syntax=example/other:1\nFROM busybox\n",
            "frontend example/other:1 is not supported: Dockerfiles are read by gantry itself",
            Some((1, "example/other:1")),
        ),
        case(
            "B2-07",
            "FROM busybox\n",
            "empty BUILDKIT_SYNTAX build-arg is invalid, it must name a frontend",
            None,
        )
        .with(&["--build-arg", "BUILDKIT_SYNTAX="]),
        case(
            "B2-08",
            "# check=skipp=A\nFROM busybox\n",
            "invalid check option \"skipp\"",
            Some((1, "skipp=A")),
        ),
        case(
            "B2-08",
            "# check=error=true\nFROM busybox\nMAINTAINER me\n",
            "lint violation found for rules: MaintainerDeprecated",
            None,
        ),
    ]
}

fn expansion() -> Vec<Case> {
    let process = |row, word: &str, error: &str| {
        line(row, &format!("ENV A={word}"), &format!("failed to process {word:?}: {error}"), word)
    };
    vec![
        process("B3-04", "\"${x:?must be there}\"", "x: must be there"),
        process("B3-04", "${x?}", "x: is not allowed to be unset"),
        process("B3-04", "${HOMELESS:?}", "HOMELESS: is not allowed to be unset"),
        process("B3-05", "${x#\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'"),
        process("B3-06", "${x%\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'"),
        process("B3-07", "${x/a}", "syntax error: missing '/' in ${}"),
        process(
            "B3-08",
            "${x##\\[}",
            "invalid pattern (\\[) in substitution: invalid escape '\\['",
        ),
        process("B3-10", "${x:=w}", "unsupported modifier (:=) in substitution"),
        process("B3-11", "${x", "syntax error: missing '}'"),
        process("B3-11", "${}", "syntax error: bad substitution"),
        process(
            "B3-12",
            "'x",
            "unexpected end of statement while looking for matching single-quote",
        ),
        process(
            "B3-12",
            "\"x",
            "unexpected end of statement while looking for matching double-quote",
        ),
    ]
}

fn instructions() -> Vec<Case> {
    let stage_name = "dockerfile parse error on line 1: invalid name for build stage: \"1\", name can't start with a number or contain symbols";
    let from = "FROM busybox AS build\nRUN true\n";
    let circle = "FROM busybox AS a\nCOPY --from=b /x /\nFROM busybox AS b\nCOPY --from=a /x /\n";
    let blank = |text: &str, error: &str, word| case("B4-05", text, error, Some((1, word)));
    vec![
        case(
            "B4-01",
            "FROM busybox AS\n",
            "dockerfile parse error on line 1: FROM requires either one or three arguments",
            Some((1, "busybox AS")),
        ),
        case("B4-03", "FROM busybox AS 1\n", stage_name, Some((1, "1"))),
        blank("FROM $X\n", "base name ($X) should not be blank", "$X"),
        case(
            "B4-06",
            "FROM --platform=$X busybox\n",
            "empty platform value from expression $X",
            Some((1, "$X")),
        ),
        case(
            "B4-06",
            "FROM --platform=a/b/c/d busybox\n",
            "failed to parse platform a/b/c/d",
            Some((1, "a/b/c/d")),
        ),
        case(
            "B4-07",
            "FROM busybo\n",
            "busybo: failed to resolve source metadata for docker.io/library/busybo:latest: \
             `registries.conf` blocks `docker.io/library/busybo` (did you mean busybox?)",
            Some((1, "busybo")),
        ),
        case(
            "B4-09",
            from,
            "target stage \"bulid\" could not be found (did you mean build?)",
            None,
        )
        .with(&["--target", "bulid"]),
        case(
            "B4-10",
            circle,
            "circular dependency detected on stage: a",
            Some((2, "COPY --from=b /x /")),
        ),
        line(
            "B4-11",
            "RUN false",
            "process \"/bin/sh -c false\" did not complete successfully: exit code: 1",
            "RUN false",
        ),
        parse("B4-12", "RUN", "RUN requires at least one argument", "RUN"),
        line("B4-17", "LABEL a", "LABEL must have two arguments", "a"),
        line(
            "B4-17",
            "LABEL a=b c",
            "Syntax error - can't find = in \"c\". Must be of the form: name=value",
            "c",
        ),
        parse("B4-17", "LABEL =b", "LABEL names can not be blank", "=b"),
        line("B4-18", "ENV a", "ENV must have two arguments", "a"),
        line(
            "B4-18",
            "ENV a=b c",
            "Syntax error - can't find = in \"c\". Must be of the form: name=value",
            "c",
        ),
        line("B4-19", "EXPOSE x", "invalid containerPort: x", "x"),
        line("B4-19", "EXPOSE 80/xyz", "invalid port: \"80/xyz\": invalid proto: xyz", "80/xyz"),
        line("B4-19", "EXPOSE 70000", "invalid containerPort: 70000", "70000"),
        line("B4-19", "EXPOSE 90-80", "invalid containerPort: 90-80", "90-80"),
        parse("B4-20", "VOLUME [\"\"]", "VOLUME specified can not be an empty string", "\"\""),
        case(
            "B4-21",
            "FROM busybox\nUSER nobodyknows\nRUN true\n",
            "process \"/bin/sh -c true\" did not complete successfully: unable to find user nobodyknows: no matching entries in passwd file",
            Some((3, "RUN true")),
        ),
        parse("B4-23", "ARG =x", "ARG names can not be blank", "=x"),
        line("B4-24", "STOPSIGNAL SIGNOTHING", "invalid signal: SIGNOTHING", "SIGNOTHING"),
        parse("B4-25", "HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments", "x"),
        parse("B4-25", "HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD", "CMD"),
        parse("B4-25", "HEALTHCHECK X y", "Unknown type \"X\" in HEALTHCHECK (try CMD)", "X"),
        parse(
            "B4-25",
            "HEALTHCHECK --interval=1us CMD x",
            "Interval \"interval\" cannot be less than 1ms",
            "1us",
        ),
        parse("B4-25", "HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)", "-1"),
        parse("B4-26", "SHELL sh -c", "SHELL requires the arguments to be in JSON form", "sh -c"),
        parse("B4-26", "SHELL []", "SHELL requires at least one argument", "[]"),
        case(
            "B4-30",
            "RUN true\nFROM busybox\n",
            "no build stage in current context",
            Some((1, "RUN true")),
        ),
        case("B4-31", "ARG A=1\n", "dockerfile contains no stages to build", None),
    ]
}

fn mounts(large: &Path) -> Vec<Case> {
    let mount = |row, text: &str, error: &str, underlined: &str| {
        parse(row, &format!("RUN --mount={text} true"), error, underlined)
    };
    let later =
        "FROM busybox AS a\nRUN --mount=from=b,target=/t true\nFROM busybox AS b\nRUN true\n";
    let secret = format!("id=s,src={}", large.display());
    vec![
        mount("B5-01", "typ=x", "unexpected key 'typ' in 'typ=x' (did you mean type?)", "typ=x"),
        mount("B5-01", "x", "invalid field 'x' must be a key=value pair", "x"),
        mount("B5-01", "type=tmp", "unsupported mount type \"tmp\" (did you mean tmpfs?)", "type=tmp"),
        mount("B5-01", "from=$X,target=/t", "'from' doesn't support variable expansion, define alias stage instead", "$X"),
        line("B5-02", "RUN --mount=type=tmpfs,target=/ true", "invalid mount target \"/\"", "type=tmpfs,target=/"),
        case("B5-06", later, "cannot mount from stage \"b\" to \"/t\", stage needs to be defined before current command", Some((2, "from=b,target=/t"))).with(&["--target", "a"]),
        mount("B5-07", "type=cache,target=/c,sharing=x", "unsupported sharing value \"x\"", "sharing=x"),
        mount("B5-07", "target=/c,sharing=locked", "invalid cache sharing set for bind mount", "target=/c,sharing=locked"),
        mount("B5-10", "target=/c,size=1m", "unexpected key 'size' for mount type 'bind'", "size=1m"),
        mount("B5-11", "type=secret", "invalid secret mount. one of source, target required", "type=secret"),
        mount("B5-11", "type=secret,id=a,source=b", "both source and id can't be set", "type=secret,id=a,source=b"),
        mount("B5-11", "type=secret,id=a,from=b", "secret mount should not have a from", "type=secret,id=a,from=b"),
        line("B5-11", "RUN --mount=type=secret,id=mysecret,required true", "secret mysecret: not found", "RUN --mount=type=secret,id=mysecret,required true"),
        line("B5-12", "RUN --mount=type=secret,id=s true", "secret s too big. max size 500KB", "RUN --mount=type=secret,id=s true").with(&["--secret", &secret]),
        mount("B5-14", "type=ssh,source=/x", "ssh does not support source", "type=ssh,source=/x"),
        line("B5-14", "RUN --mount=type=ssh,id=x,required true", "unset ssh forward key x", "RUN --mount=type=ssh,id=x,required true"),
        mount("B5-15", "target=/t,uid=1", "uid not allowed for \"bind\" type mounts", "target=/t,uid=1"),
        mount("B5-15", "type=cache,target=/t,mode=9", "invalid value 9 for mode", "mode=9"),
        parse("B5-16", "RUN --network=x true", "invalid network mode \"x\"", "x"),
        line("B5-16", "RUN --network=host true", "entitlement network.host is not allowed", "RUN --network=host true"),
        parse("B5-17", "RUN --security=x true", "security \"x\" is not valid", "x"),
        line("B5-17", "RUN --security=insecure true", "entitlement security.insecure is not allowed", "RUN --security=insecure true"),
        line("B5-18", "RUN --device=v.com/d=x true", "`RUN --device` is not supported", "v.com/d=x"),
    ]
}

fn copies(server: &str) -> Vec<Case> {
    let arity = "requires at least two arguments, but only one was provided. Destination could not be determined";
    let chmod = "invalid chmod parameter: '64a'. it should be octal string and between 0 and 07777";
    let from_variable = "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
    let later = "FROM busybox AS y\nCOPY --from=x /a /b\nFROM busybox AS x\nRUN true\n";
    let missing = "failed to compute cache key: \"/badfile\": not found";
    let git = |query: &str, error: &str| {
        let word = format!("https://{server}/x.git?{query}");
        line("B6-21", &format!("ADD {word} /d"), error, &word)
    };
    let zeros = format!("sha256:{}", "0".repeat(64));
    let hi = "sha256:8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    let url = format!("http://{server}/file");
    let mismatch = format!("ADD --checksum={zeros} {url} /f");
    let gone = format!("ADD http://{server}/gone /f");
    vec![
        parse("B6-01", "COPY a", &format!("COPY {arity}"), "a"),
        parse("B6-01", "ADD a", &format!("ADD {arity}"), "a"),
        line(
            "B6-03",
            "COPY dir /etc/passwd",
            "cannot copy to non-directory: /etc/passwd",
            "COPY dir /etc/passwd",
        ),
        line("B6-06", "COPY badfile /", missing, "badfile"),
        line(
            "B6-11",
            "COPY --chown=nobodyknows file /",
            "unable to find user nobodyknows: no matching entries in passwd file",
            "COPY --chown=nobodyknows file /",
        ),
        line(
            "B6-11",
            "COPY --chown=0:nogroupofmine file /",
            "unable to find group nogroupofmine: no matching entries in group file",
            "COPY --chown=0:nogroupofmine file /",
        ),
        line("B6-12", "COPY --chmod=64a file /", chmod, "64a"),
        line(
            "B6-14",
            "COPY --parents a/b/c /",
            "failed to compute cache key: \"/a/b/c\": not found",
            "a/b/c",
        ),
        line("B6-16", "COPY --from=$X /a /b", from_variable, "$X"),
        line("B6-16", "COPY --from=9 /a /b", "invalid stage index 9", "9"),
        case(
            "B6-16",
            later,
            "cannot copy from stage \"x\", it needs to be defined before current stage \"y\"",
            Some((2, "x")),
        )
        .with(&["--target", "y"]),
        line(
            "B6-17",
            "COPY https://example.com/f /",
            "source can't be a URL for COPY",
            "https://example.com/f",
        ),
        line(
            "B6-17",
            "COPY https://example.com/f.git /",
            "source can't be a git ref for COPY",
            "https://example.com/f.git",
        ),
        line(
            "B6-19",
            &gone,
            &format!("invalid response status 404 Not Found for http://{server}/gone"),
            &gone,
        ),
        git("x=1", "unexpected query \"x\""),
        git("ref=", "query \"ref\" has no value"),
        git("ref=a#b", "ref conflicts: \"b\" vs \"a\""),
        git("branch=a&tag=b", "branch conflicts with tag"),
        git("mtime=x", "invalid mtime value: \"x\" (must be \"checkout\" or \"commit\")"),
        line(
            "B6-22",
            "ADD --keep-git-dir https://example.com/x.git?keep-git-dir=false /d",
            "inconsistent keep-git-dir configuration",
            "--keep-git-dir",
        ),
        line(
            "B6-23",
            &format!("COPY --checksum={zeros} file /"),
            "checksum can't be specified for COPY",
            &format!("--checksum={zeros}"),
        ),
        line(
            "B6-23",
            &format!("ADD --checksum={zeros} {url} {url} /d/"),
            "checksum can't be specified for multiple sources",
            &zeros,
        ),
        line(
            "B6-23",
            &format!("ADD --checksum={zeros} file /"),
            "checksum requires HTTP(S) or Git sources",
            &zeros,
        ),
        line("B6-23", &mismatch, &format!("digest mismatch {hi}: {zeros}"), &mismatch),
        line(
            "B6-25",
            "COPY ignored /",
            "failed to compute cache key: \"/ignored\": not found",
            "ignored",
        ),
    ]
}

fn rest() -> Vec<Case> {
    let context = |text: &str, error: &str, row| {
        case(row, "FROM busybox\n", error, None).with(&["--build-context", text])
    };
    let git = "https://example.com/x.git?x=1";
    vec![
        case("B7-14", "FROM busybox\n", "invalid SOURCE_DATE_EPOCH: x", None)
            .with(&["--build-arg", "SOURCE_DATE_EPOCH=x"]),
        line("B8-02", "RUN <<EOF\ntrue", "unterminated heredoc", "<<EOF"),
        parse(
            "B8-08",
            "COPY a <<EOF\nEOF",
            "COPY cannot accept a heredoc as a destination",
            "<<EOF",
        ),
        parse(
            "B8-14",
            "ONBUILD ONBUILD RUN true",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
            "ONBUILD",
        ),
        parse("B8-14", "ONBUILD FROM busybox", "FROM isn't allowed as an ONBUILD trigger", "FROM"),
        parse(
            "B8-14",
            "ONBUILD MAINTAINER me",
            "MAINTAINER isn't allowed as an ONBUILD trigger",
            "MAINTAINER",
        ),
        context(
            &format!("x={git}"),
            &format!("invalid context specifier {git} for x: unexpected query \"x\""),
            "B8-16",
        ),
        context("x=ftp://y", "unsupported context source ftp for x", "B8-16"),
        case("B8-17", "FROM x\n", "nowhere: could not be read as an OCI layout", Some((1, "x")))
            .with(&["--build-context", "x=oci-layout://nowhere"]),
    ]
}
