//! Where contexts and Dockerfiles come from, as typed: `PATH | URL`, `-f`, `--build-context`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use crate::repositories::Server;
use crate::sandbox::Sandbox;

/// Serves one text under every path; returns its address.
fn serve(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = text.len();
            // A client that goes away is no failure of the test.
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
            );
        }
    });
    address
}

#[test]
fn a_repository_is_built_by_its_address() {
    let server = Server::start();
    let repository = server.repository(
        "r",
        &[
            ("Dockerfile", "FROM busybox\nCOPY f /f\n"),
            ("f", "1"),
            ("sub/D", "FROM busybox\nCOPY f /g\n"),
            ("sub/f", "2"),
        ],
    );
    let sandbox = Sandbox::new().with_busybox();
    let shown = sandbox.gantry(["build", "-t", "x", &repository.url]).success().stderr;
    assert!(shown.contains("[internal] load git source http://127.0.0.1:"), "{shown}");
    let cat = |image: &str, path: &str| {
        sandbox.gantry(["run", "--rm", image, "cat", path]).success().stdout
    };
    assert_eq!(cat("x", "/f"), "1");
    let sub = format!("{}#main:sub", repository.url);
    sandbox.gantry(["build", "-q", "-t", "y", "-f", "D", &sub]).success();
    assert_eq!(cat("y", "/g"), "2");
    let dockerfile = b"FROM busybox\nCOPY sub/f /h\n";
    sandbox
        .gantry_with_input(["build", "-q", "-t", "z", "-f", "-", &repository.url], dockerfile)
        .success();
    assert_eq!(cat("z", "/h"), "2");

    let wrong = format!("{}?nope=1", repository.url);
    let shown = sandbox.gantry(["build", &wrong]).code(1).stderr;
    assert!(shown.contains("unable to prepare context: unexpected query \"nope\""), "{shown}");
    let shown = sandbox.gantry(["build", &format!("{}#nope", repository.url)]).code(1).stderr;
    assert!(shown.contains("repository does not contain ref nope"), "{shown}");
    // `--upload-pack` would be an option, if it were not refused.
    let hostile = format!("{}#--upload-pack=id", repository.url);
    let shown = sandbox.gantry(["build", &hostile]).code(1).stderr;
    assert!(shown.contains("invalid git reference"), "{shown}");
}

#[test]
fn a_dockerfile_is_built_by_its_address() {
    let address = serve("FROM busybox\nRUN echo hi > /hi\n");
    let sandbox = Sandbox::with([("f", "f")]).with_busybox();
    let url = format!("{address}/some/Dockerfile");
    sandbox.gantry(["build", "-q", "-t", "x", &url]).success();
    sandbox.gantry(["build", "-q", "-t", "y", "-f", &url, "."]).success();
    let id = |name: &str| sandbox.gantry(["inspect", "-f", "{{.Id}}", name]).success().stdout;
    assert_eq!(id("x"), id("y"));
}

#[test]
fn named_contexts_are_of_all_kinds() {
    let server = Server::start();
    let repository = server.repository("r", &[("f", "repository")]);
    let address = serve("download");
    let sandbox = Sandbox::with([
        ("dir/f", "directory"),
        (
            "Dockerfile",
            "FROM docker.io/library/base:latest\nCOPY --from=dir f /1\nCOPY --from=git f /2\n\
             COPY --from=file name /3\nCOPY --from=layout /etc/passwd /4\nRUN cat /1 /2 /3\n",
        ),
    ])
    .with_busybox();
    sandbox.write("Layout", "FROM busybox\n");
    let layout = "type=oci,dest=layout,tar=false";
    sandbox.gantry(["build", "-q", "-f", "Layout", "-t", "some:1.0", "-o", layout, "."]).success();
    let git = format!("git={}", repository.url);
    let file = format!("file={address}/name?x=y");
    let build = |layout: &str| {
        let contexts =
            ["base=docker-image://busybox", "dir=dir", git.as_str(), file.as_str(), layout];
        let [a, b, c, d, e] = contexts.map(|context| format!("--build-context={context}"));
        sandbox.gantry(["build", &a, &b, &c, &d, &e, "."])
    };
    let shown = build("layout=oci-layout://layout:1.0").success().stderr;
    assert!(shown.contains("directoryrepositorydownload"), "{shown}");
    assert!(shown.contains(&format!("[context git] {}", repository.url)), "{shown}");
    build("layout=oci-layout://layout").success();
    let shown = build("layout=oci-layout://layout:2.0").code(1).stderr;
    assert!(shown.contains("there is no such image in the OCI layout"), "{shown}");
}

#[test]
fn what_is_no_context_is_told() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\n")]);
    for (context, message) in [
        ("x", "invalid context value: x, expected key=value"),
        ("x=ftp://y", "unsupported context source ftp for x"),
        ("x=target:y", "unsupported context source target for x"),
        ("a b=.", "invalid context name a b"),
        ("x=https://h/r.git?mtime=z", "invalid mtime value: \"z\""),
    ] {
        let shown = sandbox.gantry(["build", "--build-context", context, "."]).code(1).stderr;
        assert!(shown.contains(message), "{context}: {shown}");
    }
}
