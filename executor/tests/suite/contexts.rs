//! Contexts and Dockerfiles that lie elsewhere, and the ignore files of those that don't.

use gantry_executor::{BuildRequest, ContextSource, DockerfileSource, NamedContext};
use gantry_parser::SourceFile;
use gantry_solver::Event;
use gantry_solver::op::{GitOp, HttpOp};

use crate::common::{Sandbox, explain};
use crate::{http, repositories};

const DOCKERFILE: &str = "FROM busybox\nCOPY . /all\n";

fn git(url: &str) -> ContextSource {
    ContextSource::Git(GitOp::parse(url).unwrap())
}

fn request(context: ContextSource) -> BuildRequest {
    let mut request = BuildRequest::new(DockerfileSource::Default, context);
    request.network = gantry_executor::DefaultNetwork::None;
    request
}

/// C2-02.
#[test]
fn a_repository_is_a_context() {
    needs_root!();
    let server = repositories::Server::start();
    let files = [
        ("Dockerfile", DOCKERFILE),
        (".dockerignore", "kept"),
        ("kept", "kept"),
        ("sub/Containerfile", "FROM busybox\nCOPY here /here\n"),
        ("sub/here", "here"),
        ("other", "FROM busybox\nCOPY kept /other\n"),
    ];
    let repository = server.repository("r", &files);
    let sandbox = Sandbox::new();
    let built = sandbox.run(request(git(&repository.url)));
    assert_eq!(built.text("all/kept"), "kept", "an ignore file does not count");
    assert!(!built.files().contains_key("all/.git"));
    let mut keep = request(git(&repository.url));
    keep.build_args.insert("BUILDKIT_CONTEXT_KEEP_GIT_DIR".to_owned(), "1".to_owned());
    assert!(sandbox.run(keep).files().contains_key("all/.git/HEAD"));
    let built = sandbox.run(request(git(&format!("{}#main:sub", repository.url))));
    assert_eq!(built.text("here"), "here");
    let mut other = request(git(&repository.url));
    other.dockerfile = DockerfileSource::InContext("other".to_owned());
    assert_eq!(sandbox.run(other).text("other"), "kept");
    // What a commit does not touch stays cached.
    repository.commit(&[("unrelated", "x")]);
    let mut other = request(git(&repository.url));
    other.dockerfile = DockerfileSource::InContext("other".to_owned());
    assert_eq!(sandbox.run(other).ran(), Vec::<String>::new());

    let (failed, events) = sandbox.try_request(request(git(&format!("{}#no", repository.url))));
    let text = explain(&failed.map(drop).unwrap_err());
    assert!(text.contains("repository does not contain ref no"), "{text}");
    assert!(events.iter().any(|event| matches!(event, Event::Failed { .. })));
    let text = explain(&sandbox.fail_request(request(git(&format!("{}#:none", repository.url)))));
    assert!(text.contains("the repository has no directory \"none\""), "{text}");
    sandbox.assert_clean();
}

/// C2-03.
#[test]
fn an_address_is_a_tar_or_a_dockerfile() {
    needs_root!();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [("Dockerfile", DOCKERFILE), ("f", "file")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let server = http::Server::start(&String::from_utf8(tar.into_inner().unwrap()).unwrap());
    let url = format!("{}/context.tar", server.address);
    let sandbox = Sandbox::new();
    let built = sandbox.run(request(ContextSource::Http(url.clone())));
    assert_eq!(built.text("all/f"), "file");
    assert_eq!(sandbox.run(request(ContextSource::Http(url))).ran(), Vec::<String>::new());

    let server = http::Server::start("FROM busybox\nRUN echo hi > /hi\n");
    let url = format!("{}/Dockerfile", server.address);
    let built = sandbox.run(request(ContextSource::Http(url.clone())));
    assert_eq!(built.text("hi"), "hi\n");
    // The same as the Dockerfile of a directory.
    let mut remote = request(ContextSource::Directory(sandbox.context()));
    remote.dockerfile = DockerfileSource::Url(url);
    assert_eq!(sandbox.run(remote).text("hi"), "hi\n");
    let missing = format!("http://me:secret@{}/missing", &server.address["http://".len()..]);
    let text = explain(&sandbox.fail_request(request(ContextSource::Http(missing))));
    assert!(text.contains("404") && !text.contains("secret"), "{text}");
    sandbox.assert_clean();
}

/// B8-16, B8-17.
#[test]
fn named_contexts_are_repositories_and_files() {
    needs_root!();
    let repositories = repositories::Server::start();
    let repository =
        repositories.repository("r", &[("a/f", "file"), ("bin/tool", "tool"), ("x", "x")]);
    let server = http::Server::start("downloaded");
    let sandbox = Sandbox::new();
    let text = "FROM busybox\n\
         COPY --from=src a /a\n\
         COPY --from=file name.txt /n\n\
         RUN --mount=from=src,source=bin,target=/m cat /m/tool > /tool\n\
         RUN --mount=from=file,target=/m cat /m/name.txt > /name\n";
    let with = |text: &str| {
        let mut request = sandbox.request(text);
        let git = NamedContext::Git(GitOp::parse(&repository.url).unwrap());
        let http = HttpOp::new(format!("{}/dir/name.txt?q", server.address));
        request.named_contexts.insert("src".to_owned(), git);
        request.named_contexts.insert("file".to_owned(), NamedContext::Http(http));
        request
    };
    let built = sandbox.run(with(text));
    assert_eq!(built.text("a/f"), "file");
    assert_eq!(built.text("n"), "downloaded");
    assert_eq!(built.text("tool"), "tool");
    assert_eq!(built.text("name"), "downloaded");
    assert_eq!(sandbox.run(with(text)).ran(), Vec::<String>::new());
    // Only what is taken counts.
    repository.commit(&[("x", "changed")]);
    assert_eq!(sandbox.run(with(text)).ran(), Vec::<String>::new());
    assert_eq!(sandbox.run(with("FROM src\nCOPY --from=src x /y\n")).text("y"), "changed");
    sandbox.assert_clean();
}

/// C2-08, C3-01, C3-08.
#[test]
fn podmans_names_are_known() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("Containerfile", DOCKERFILE),
        (".dockerignore", "b"),
        (".containerignore", "a"),
        ("a", "a"),
        ("b", "b"),
    ]);
    let build = || sandbox.run(request(ContextSource::Directory(sandbox.context())));
    let has = |path: &str| build().files().contains_key(path);
    assert!(!has("all/a") && has("all/b"));
    sandbox.write("Containerfile.containerignore", "b");
    assert!(has("all/a") && !has("all/b"));
    sandbox.write("Containerfile.dockerignore", "");
    assert!(has("all/a") && has("all/b"));
    sandbox.assert_clean();
}

/// B7-14: an archive has the time that its server tells, else that of the newest file in it.
#[test]
fn b7_14_the_time_of_what_an_address_sends() {
    needs_root!();
    let mut tar = tar::Builder::new(Vec::new());
    let dockerfile = "FROM scratch AS src\nADD ADDRESS/f /f\nFROM busybox\nCOPY . /all\n";
    for (path, text, mtime) in [("Dockerfile", dockerfile, 1_600_000_000), ("f", "file", 5)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(mtime);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let body = String::from_utf8(tar.into_inner().unwrap()).unwrap();
    let server = http::Server::start(&body);
    let sandbox = Sandbox::new();
    let created = |path: &str, epoch: &str, dockerfile: Option<&str>| {
        let mut request = request(ContextSource::Http(format!("{}/{path}", server.address)));
        if let Some(text) = dockerfile {
            let text = text.replace("ADDRESS", &server.address);
            request.dockerfile = DockerfileSource::Text(SourceFile::new("Dockerfile", text));
        }
        request.build_args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_owned());
        let built = sandbox.run(request);
        built.config().value().created.clone().unwrap().to_string()
    };
    assert_eq!(
        created("a.tar", "context", Some("FROM busybox\nRUN true\n")),
        "2023-11-14T22:13:20Z"
    );
    let undated = created("undated", "context", Some("FROM busybox\nRUN true\n"));
    assert_eq!(undated, "2020-09-13T12:26:40Z");
    assert_eq!(created("undated", "src", Some(dockerfile)), "2023-11-14T22:13:20Z");
    sandbox.assert_clean();
}

/// A context that looks as it did is not listed again; whatever changes in it shows in its looks.
#[test]
fn every_change_of_a_known_context_counts() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("src/a/file", "1"),
        ("src/b/other", "x"),
        ("src/drop/z", "no"),
        (".dockerignore", "src/drop\n"),
    ]);
    let src = sandbox.context().join("src");
    std::os::unix::fs::symlink("a", src.join("link")).unwrap();
    // Longer than the grain of the clock that stamps files.
    let build = || {
        std::thread::sleep(std::time::Duration::from_millis(40));
        sandbox.build("FROM busybox\nCOPY src /src\n").ran()
    };
    let nothing = Vec::<String>::new();
    assert_eq!(build(), ["COPY src /src"]);
    assert_eq!((build(), build()), (nothing.clone(), nothing.clone()));
    let changes: [(&str, &dyn Fn()); 7] = [
        ("content", &|| fs_err::write(src.join("a/file"), "2").unwrap()),
        ("mode", &|| crate::common::set_mode(&src.join("a/file"), 0o751)),
        ("mode of a directory", &|| crate::common::set_mode(&src.join("b"), 0o700)),
        ("a new file", &|| fs_err::write(src.join("b/new"), "").unwrap()),
        ("a name", &|| fs_err::rename(src.join("b/new"), src.join("b/newer")).unwrap()),
        ("a file less", &|| fs_err::remove_file(src.join("b/other")).unwrap()),
        ("a link", &|| {
            fs_err::remove_file(src.join("link")).unwrap();
            std::os::unix::fs::symlink("b", src.join("link")).unwrap();
        }),
    ];
    for (what, change) in changes {
        change();
        assert_eq!(build(), ["COPY src /src"], "{what}");
        assert_eq!((build(), build()), (nothing.clone(), nothing.clone()), "{what}");
    }
    fs_err::write(src.join("drop/z"), "still no").unwrap();
    assert_eq!(build(), nothing, "what is left out does not count");
    fs_err::write(sandbox.context().join(".dockerignore"), "").unwrap();
    assert_eq!(build(), ["COPY src /src"], "the rules count");
    sandbox.assert_clean();
}

/// Each selection of a context is known apart, and one that changed takes nothing from the others.
#[test]
fn selections_of_one_context_are_known_apart() {
    needs_root!();
    let sandbox = Sandbox::with([
        ("src/a/file", "1"),
        ("src/b", "x"),
        ("docs/text", "text"),
        ("docs/draft.md", "draft"),
        ("single", "one"),
    ]);
    let context = sandbox.context();
    let write = |path: &str, text: &str| fs_err::write(context.join(path), text).unwrap();
    let dockerfile = "FROM busybox\nCOPY --link src /src\n\
                      COPY --link --exclude=*.md docs /docs\nCOPY --link single /single\n";
    let build = || {
        // Longer than the grain of the clock that stamps files.
        std::thread::sleep(std::time::Duration::from_millis(40));
        sandbox.build(dockerfile)
    };
    let nothing = Vec::<String>::new();
    assert_eq!(build().ran().len(), 3);
    assert_eq!(build().ran(), nothing);
    write("docs/draft.md", "another draft");
    assert_eq!(build().ran(), nothing, "what is left out does not count");
    write("src/a/file", "2");
    let built = build();
    assert_eq!(built.ran(), ["COPY --link src /src"]);
    assert_eq!((built.text("src/a/file"), built.text("src/b")), ("2".to_owned(), "x".to_owned()));
    // The first build of two that change, and one in which nothing is left to be told.
    write("single", "two");
    fs_err::remove_dir_all(context.join("src/a")).unwrap();
    let built = build();
    assert_eq!(built.ran().len(), 2, "{:?}", built.ran());
    assert_eq!(built.text("single"), "two");
    assert!(!built.files().contains_key("src/a/file"));
    assert!(!built.files().contains_key("docs/draft.md"));
    assert_eq!(build().ran(), nothing);
    sandbox.assert_clean();
}

/// Where only the step before changed, the files are taken as a glance saw them.
#[test]
fn files_that_were_only_glanced_at_are_copied() {
    needs_root!();
    let sandbox = Sandbox::with([("src/a/file", "1"), ("src/tool", "x"), ("src/.ignored", "")]);
    sandbox.write(".dockerignore", "src/.ignored");
    let src = sandbox.context().join("src");
    crate::common::set_mode(&src.join("tool"), 0o751);
    std::os::unix::fs::symlink("tool", src.join("link")).unwrap();
    fs_err::hard_link(src.join("a/file"), src.join("a/name")).unwrap();
    let build = |before: &str| {
        std::thread::sleep(std::time::Duration::from_millis(40));
        sandbox.build(&format!("FROM busybox\nRUN echo {before} > /before\nCOPY src /src\n"))
    };
    let first = build("1");
    assert_eq!(build("1").ran(), Vec::<String>::new());
    let second = build("2");
    let mut ran = second.ran();
    ran.sort();
    assert_eq!(ran, ["COPY src /src", "RUN echo 2 > /before"]);
    let (mut first, mut second) = (first.files(), second.files());
    first.remove("before");
    second.remove("before");
    assert!(first.contains_key("src/link") && !first.contains_key("src/.ignored"));
    assert_eq!(second, first);
    sandbox.assert_clean();
}
