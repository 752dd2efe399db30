//! Git sources: commits of repositories, fetched and checked out, with nothing else done.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_executor::{BuildError, Secret, build};
use gantry_solver::{CancelToken, Observer};

use crate::common::{Heard, Sandbox, explain, set_mode};
use crate::repositories::Server;

const FILES: &[(&str, &str)] =
    &[("README", "one"), ("docs/guide", "guide"), ("run.sh", "#!/bin/sh")];

#[test]
fn a_repository_is_added_without_its_git_directory() {
    needs_root!();
    let server = Server::start();
    let repository = server.repository("r", FILES);
    set_mode(&repository.path.join("run.sh"), 0o755);
    repository.commit(&[]);
    let sandbox = Sandbox::new();
    let text = format!("FROM busybox\nADD {} /src\n", repository.url);
    let built = sandbox.build(&text);
    assert_eq!(built.top(), ["src", "src/README", "src/docs", "src/docs/guide", "src/run.sh"]);
    let file = built.file("src/README");
    assert_eq!((file.mode, file.uid, file.gid), (0o644, 0, 0));
    assert_eq!(built.file("src/run.sh").mode, 0o755);
    assert_eq!(built.text("src/docs/guide"), "guide");
    // The reference is asked for again, and the commit is not fetched again.
    server.asked();
    assert_eq!(sandbox.build(&text).ran(), Vec::<String>::new());
    assert!(server.asked().len() <= 2);
    repository.commit(&[("README", "two")]);
    assert_eq!(sandbox.build(&text).text("src/README"), "two");
    sandbox.assert_clean();
}

#[test]
fn branches_tags_commits_and_directories_can_be_named() {
    needs_root!();
    let server = Server::start();
    let repository = server.repository("r", FILES);
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "-a", "v1", "-m", "first"]);
    let tag = repository.git(&["rev-parse", "v1"]);
    repository.git(&["checkout", "-q", "-b", "topic/x"]);
    repository.commit(&[("README", "topic")]);
    repository.git(&["checkout", "-q", "main"]);
    repository.commit(&[("README", "later")]);
    let sandbox = Sandbox::new();
    let add = |flags: &str, rest: &str| {
        format!("FROM busybox\nADD {flags} {}{rest} /src/\n", repository.url)
    };
    let readme = |flags: &str, rest: &str| sandbox.build(&add(flags, rest)).text("src/README");
    assert_eq!(readme("", "#topic/x"), "topic");
    assert_eq!(readme("", "?branch=topic/x"), "topic");
    assert_eq!(readme("", "#v1"), "one");
    assert_eq!(readme("", "?tag=v1"), "one");
    assert_eq!(readme("", &format!("#{first}")), "one");
    assert_eq!(readme("", &format!("?ref=main&fetch-by-commit=1&commit={first}")), "one");
    assert_eq!(readme(&format!("--checksum={}", &first[..8]), "#v1"), "one");
    assert_eq!(readme(&format!("--checksum={tag}"), "#v1"), "one");
    let built = sandbox.build(&add("", "#v1:docs"));
    assert_eq!(built.top(), ["src", "src/guide"]);
    let built = sandbox.build(&add("", "?ref=v1&mtime=commit"));
    assert_eq!(built.file("src/README").mtime.secs, 1_700_000_000);
    // A whole commit that is known needs no connection.
    server.asked();
    sandbox.build(&add("", &format!("#{first}")));
    assert_eq!(server.asked(), Vec::<String>::new());

    let failed = |flags: &str, rest: &str| explain(&sandbox.fail(&add(flags, rest)));
    let text = failed("--checksum=0123456", "#v1");
    assert!(text.contains(&format!("expected checksum to match 0123456, got {first}")), "{text}");
    assert!(failed("", "#nope").contains("repository does not contain ref nope"));
    assert!(failed("", &format!("#{}", "0".repeat(40))).contains("is no commit of"));
    assert!(failed("", "#v1:nope").contains("the repository has no directory \"nope\""));
    assert!(
        failed("--keep-git-dir=false", "?keep-git-dir=1")
            .contains("inconsistent keep-git-dir configuration")
    );
    assert!(
        failed("--keep-git-dir", "?keep-git-dir=0")
            .contains("inconsistent keep-git-dir configuration")
    );
    sandbox.assert_clean();
}

#[test]
fn the_git_directory_stays_if_asked_for() {
    needs_root!();
    let server = Server::start();
    let repository = server.repository("r", FILES);
    repository.git(&["tag", "v1"]);
    let address = repository.url.replace("http://", "http://me:hunter2@");
    let sandbox = Sandbox::new();
    let built =
        sandbox.build(&format!("FROM busybox\nADD --keep-git-dir {address}?branch=main /src\n"));
    assert_eq!(built.text("src/.git/HEAD"), "ref: refs/heads/main\n");
    let config = built.text("src/.git/config");
    assert!(config.contains(&repository.url) && !config.contains("hunter2"), "{config}");
    assert!(!built.files().keys().any(|path| path.contains(".git/hooks")));
    let built = sandbox.build(&format!("FROM busybox\nADD {address}?keep-git-dir&tag=v1 /src\n"));
    let tag = built.files().contains_key("src/.git/refs/tags/v1");
    assert!(tag, "{:?}", built.own_paths());
    sandbox.assert_clean();
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() {
    needs_root!();
    let server = Server::start();
    let inner = server.repository("inner", &[("lib", "lib")]);
    let outer = server.repository("outer", FILES);
    outer.git(&["submodule", "--quiet", "add", &inner.url, "inner"]);
    outer.commit(&[]);
    let sandbox = Sandbox::new();
    let built = sandbox.build(&format!("FROM busybox\nADD {} /src\n", outer.url));
    assert_eq!(built.text("src/inner/lib"), "lib");
    assert!(!built.files().keys().any(|path| path.ends_with("/.git")));
    let built = sandbox.build(&format!("FROM busybox\nADD {}?submodules=0 /src\n", outer.url));
    assert!(!built.files().contains_key("src/inner/lib"));
    sandbox.assert_clean();
}

#[test]
fn hostile_repositories_and_references_lead_nowhere() {
    needs_root!();
    let server = Server::start();
    let repository = server.repository("r", FILES);
    symlink("/etc", repository.path.join("escape")).unwrap();
    symlink("../../..", repository.path.join("up")).unwrap();
    repository.commit(&[]);
    let sandbox = Sandbox::new();
    let mark = sandbox.dir.path().join("mark");
    let failed = |rest: &str| {
        explain(&sandbox.fail(&format!("FROM busybox\nADD {}{rest} /src\n", repository.url)))
    };
    for reference in [
        format!("--upload-pack=touch${{IFS}}{}", mark.display()),
        "-x".to_owned(),
        "main:refs/heads/x:y".replace(':', "%3A"),
        "a..b".to_owned(),
        "*".to_owned(),
    ] {
        let text = failed(&format!("?ref={reference}"));
        assert!(text.contains("invalid git reference"), "{reference}: {text}");
    }
    assert!(!mark.exists());
    for subdir in ["escape", ".git", "README"] {
        let text = failed(&format!("#main:{subdir}"));
        assert!(text.contains("the repository has no directory"), "{subdir}: {text}");
    }
    // What leads upwards stops at the repository's root.
    let text = format!("FROM busybox\nADD {}#main:up/../docs /src\n", repository.url);
    assert_eq!(sandbox.build(&text).text("src/guide"), "guide");
    for remote in ["-x@127.0.0.1:y", "ssh://-oProxyCommand=x/y", "http://169.254.169.254/x.git"] {
        let text = explain(&sandbox.fail(&format!("FROM busybox\nADD {remote} /src\n")));
        assert!(!text.contains("fetch"), "{remote}: {text}");
    }
    // A submodule that is a path of this host.
    let secret = server.repository("secret", &[("key", "key")]);
    let path = secret.path.to_str().unwrap();
    repository.git(&["submodule", "--quiet", "add", path, "stolen"]);
    repository.commit(&[]);
    let text = failed("");
    assert!(text.contains("transport 'file' not allowed"), "{text}");
    sandbox.assert_clean();
}

#[test]
fn credentials_are_secrets_and_stay_so() {
    needs_root!();
    let server = Server::start();
    let repository = server.repository("r", FILES);
    // `x-access-token:s3cret-token`, as curl would send it.
    server.require("basic eC1hY2Nlc3MtdG9rZW46czNjcmV0LXRva2Vu");
    let sandbox = Sandbox::new();
    let host = repository.url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let text = format!("FROM busybox\nADD {} /src\n", repository.url);
    let request = |secrets: &[(&str, &str)]| {
        let mut request = sandbox.request(&text);
        for (id, value) in secrets {
            request.secrets.insert((*id).to_owned(), Secret::from_bytes(*value));
        }
        request
    };
    let refused = explain(&sandbox.fail_request(request(&[])));
    assert!(refused.contains("--secret id=GIT_AUTH_TOKEN"), "{refused}");
    let wrong = explain(&sandbox.fail_request(request(&[("GIT_AUTH_TOKEN", "wr0ng")])));
    assert!(!wrong.contains("wr0ng"), "{wrong}");
    // Another host's is not sent here.
    let other = request(&[("GIT_AUTH_TOKEN.example.com", "s3cret-token")]);
    let _ = sandbox.fail_request(other);
    let scoped = format!("GIT_AUTH_TOKEN.{host}");
    let built = sandbox.run(request(&[(&scoped, "s3cret-token\n"), ("GIT_AUTH_TOKEN", "wr0ng")]));
    assert_eq!(built.text("src/README"), "one");
    server.require("Bearer abcdef");
    repository.commit(&[("README", "two")]);
    let built = sandbox.run(request(&[("GIT_AUTH_HEADER.127.0.0.1", "Bearer abcdef")]));
    assert_eq!(built.text("src/README"), "two");
    let events = format!("{:?}", built.events);
    assert!(!events.contains("abcdef") && !events.contains("s3cret"));
    sandbox.assert_clean();
}

#[test]
fn a_server_that_says_nothing_does_not_hold_up_a_cancel() {
    needs_root!();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let sandbox = Sandbox::new();
    let request = sandbox.request(&format!("FROM busybox\nADD http://{address}/x.git /src\n"));
    let cancel = CancelToken::new();
    let canceler = cancel.clone();
    let asked = std::thread::spawn(move || {
        // The connection stays open until it is known that git has ended.
        let (connection, _) = silent.accept().unwrap();
        canceler.cancel();
        connection
    });
    let started = Instant::now();
    let observer: Arc<dyn Observer> = Arc::new(Heard::default());
    let built = build(request, &sandbox.store, &sandbox.host, observer, &cancel);
    assert!(matches!(built, Err(BuildError::Canceled)), "{built:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let mut connection = asked.join().unwrap();
    // Its end of the connection is closed: nothing is left of it.
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut left = Vec::new();
    assert!(std::io::Read::read_to_end(&mut connection, &mut left).is_ok());
    sandbox.assert_clean();
}
