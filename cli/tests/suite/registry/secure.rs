//! Registries behind TLS: whom to trust, whom to show what, and by which flag or file (E-12, E-25).

use super::{Server, check_store, lines, made, push};
use crate::sandbox::Sandbox;

/// Where docker and podman look for the certificates of a registry.
fn certs_d(server: &Server) -> String {
    format!("../home/.config/containers/certs.d/{}", server.host)
}

fn copy(server: &Server, name: &str, sandbox: &Sandbox, to: &str) {
    sandbox.write(to, fs_err::read(server.dir().join(name)).unwrap());
}

/// A sandbox that trusts the server's authority.
fn trusting(server: &Server, sandbox: Sandbox) -> Sandbox {
    copy(server, "ca.pem", &sandbox, &format!("{}/ca.crt", certs_d(server)));
    sandbox
}

const PASSWORDS: &str = "auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n";

#[test]
fn e_25_an_authority_of_ones_own() {
    let Some(server) = Server::with_tls("", PASSWORDS) else { return };
    let (here, name) = (made(), server.name("made:1"));
    let login = ["login", "-u", "user", "--password-stdin", &server.host];
    let error = here.gantry_with_input(login, b"secret").code(1).stderr;
    assert!(error.contains("certificate") && !error.contains("secret"), "{error}");
    let here = trusting(&server, here);
    here.gantry_with_input(login, b"secret").success();
    assert!(push(&here, &name).contains("1: digest: sha256:"));
    let there = trusting(&server, Sandbox::new());
    there.gantry_with_input(login, b"secret").success();
    there.gantry(["pull", "-q", &name]).success();
    // A base image too.
    there.write("Dockerfile", format!("FROM {name}\nRUN cat /tmp/cool-file\n"));
    there.gantry(["rmi", &name]).success();
    let told = there.gantry(["build", "--progress=plain", "--pull", "."]).success().stderr;
    assert!(told.contains("cool content"), "{told}");
    check_store(&there);
}

#[test]
fn e_25_who_shows_a_certificate_gets_in() {
    let clients = ", clientcas: [DIR/ca.pem]";
    let Some(server) = Server::with_tls(clients, "") else { return };
    let name = server.name("made:1");
    let here = trusting(&server, made());
    here.gantry(["tag", "made", &name]).success();
    let error = here.gantry(["push", &name]).code(1).stderr;
    assert!(error.contains(&server.host), "{error}");
    for file in ["client.cert", "client.key"] {
        copy(&server, file, &here, &format!("{}/{file}", certs_d(&server)));
    }
    here.gantry(["push", "-q", &name]).success();
    // Or by a flag, for this once.
    let there = Sandbox::new();
    for (file, to) in [("ca.pem", "ca.crt"), ("client.cert", "me.cert"), ("client.key", "me.key")] {
        copy(&server, file, &there, &format!("certs/{to}"));
    }
    there.gantry(["pull", "-q", "--cert-dir", "certs", &name]).success();
    there.write("Dockerfile", format!("FROM {name}\n"));
    there.gantry(["build", "-q", "--pull", "--cert-dir=certs", "."]).success();
    let _ = there.gantry(["build", "-q", "--pull", "."]).code(1);
    let error = there.gantry(["pull", "--cert-dir", "nowhere", &name]).code(1).stderr;
    assert!(error.contains("nowhere"), "{error}");
}

/// C1-32, and the key `registry.insecure` of outputs.
#[test]
fn e_25_certificates_that_are_not_looked_at() {
    let Some(server) = Server::with_tls("", "") else { return };
    let (here, name) = (made(), server.name("made:1"));
    here.gantry(["tag", "made", &name]).success();
    let _ = here.gantry(["push", &name]).code(1);
    here.gantry(["push", "-q", "--tls-verify=false", &name]).success();
    let there = Sandbox::with([("Dockerfile", &format!("FROM {name}\nRUN echo > /new\n"))]);
    let _ = there.gantry(["pull", &name]).code(1);
    there.gantry(["pull", "-q", "--tls-verify=false", &name]).success();
    let _ = there.gantry(["build", "-q", "--pull", "."]).code(1);
    there.gantry(["build", "-q", "--pull", "--tls-verify=false", "."]).success();
    let two = server.name("made:2");
    let output = |more: &str| format!("type=image,name={two},push=true{more}");
    let error = there.gantry(["build", "-o", &output(""), "."]).code(1).stderr;
    assert!(error.contains("certificate"), "{error}");
    there.gantry(["build", "-q", "-o", &output(",registry.insecure=true"), "."]).success();
    // By a file.
    let rule = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", server.host);
    let other = Sandbox::new();
    other.write("../home/.config/containers/registries.conf", &rule);
    other.gantry(["pull", "-q", &two]).success();
    // Unless the flag says otherwise.
    let error = other.gantry(["pull", "--tls-verify", &two]).code(1).stderr;
    assert!(error.contains("certificate"), "{error}");
    let kept = Sandbox::new();
    kept.write(
        "../home/.config/buildkit/buildkitd.toml",
        format!("[registry.\"{}\"]\ninsecure = true\n", server.host),
    );
    kept.gantry(["pull", "-q", &two]).success();
}

/// Plain http is for loopback and for whom it was allowed.
#[test]
fn e_25_tls_where_it_is_insisted_upon() {
    let Some(server) = Server::start() else { return };
    let here = made();
    push(&here, &server.name("made:1"));
    let error = here.gantry(["pull", "--tls-verify=true", &server.name("made:1")]).code(1).stderr;
    assert!(error.contains("Failed to connect to the registry"), "{error}");
    here.gantry(["pull", "-q", "--tls-verify=false", &server.name("made:1")]).success();
}

/// C1-32: `--creds`, `--authfile`, `--retry`.
#[test]
fn e_19_and_21_credentials_by_flags_and_files() {
    let Some(server) = Server::with_password() else { return };
    let (here, name) = (made(), server.name("made:1"));
    here.gantry(["tag", "made", &name]).success();
    let error = here.gantry(["push", "--creds", "user:wrong-one", &name]).code(1).stderr;
    assert!(error.contains("`user` from `--creds`"), "{error}");
    assert!(!error.contains("wrong-one"), "{error}");
    here.gantry(["push", "-q", "--creds", "user:secret", &name]).success();
    let there = Sandbox::with([("Dockerfile", &format!("FROM {name}\n"))]);
    let error = there.gantry(["pull", &name]).code(1).stderr;
    assert!(error.contains("access denied"), "{error}");
    there.gantry(["pull", "-q", "--retry=0", "--creds=user:secret", &name]).success();
    let _ = there.gantry(["build", "--pull", "."]).code(1);
    there.gantry(["build", "-q", "--pull", "--creds=user:secret", "."]).success();
    let error = there.gantry(["pull", "--creds=user", &name]).code(1).stderr;
    assert!(error.contains("no password"), "{error}");
    // A file that is named counts, and no other.
    let login =
        ["login", "-u", "user", "--password-stdin", "--authfile", "mine.json", &server.host];
    there.gantry_with_input(login, b"secret").success();
    assert!(there.read("mine.json").starts_with(b"{"));
    let _ = there.gantry(["pull", &name]).code(1);
    there.gantry(["pull", "-q", "--authfile", "mine.json", &name]).success();
    there.gantry(["build", "-q", "--pull", "--authfile", "mine.json", "."]).success();
    let out = there.gantry(["logout", "--authfile", "mine.json", &server.host]).success().stdout;
    assert!(out.starts_with("Removing login credentials"), "{out}");
    let _ = there.gantry(["pull", "--authfile", "mine.json", &name]).code(1);
    let error = there.gantry(["pull", "--authfile", "nowhere.json", &name]).code(1).stderr;
    assert!(error.contains("nowhere.json"), "{error}");
    // `auth` in base64, and user and password as they are; docker's file and podman's.
    let entry = |entry: &str| format!("{{\"auths\": {{\"{}\": {entry}}}}}", server.host);
    let split = entry("{\"username\": \"user\", \"password\": \"secret\"}");
    let joined = entry("{\"auth\": \"dXNlcjpzZWNyZXQ=\"}");
    for (file, text) in [
        ("../home/.docker/config.json", &split),
        ("../home/.docker/config.json", &joined),
        ("../home/.config/containers/auth.json", &joined),
    ] {
        let fresh = Sandbox::new();
        fresh.write(file, text);
        fresh.gantry(["pull", "-q", &name]).success();
    }
    let fresh = Sandbox::new().env("DOCKER_CONFIG", there.project().to_str().unwrap());
    there.write("config.json", &joined);
    fresh.gantry(["pull", "-q", &name]).success();
    let fresh = Sandbox::new().env("XDG_RUNTIME_DIR", there.project().to_str().unwrap());
    there.write("containers/auth.json", &split);
    fresh.gantry(["pull", "-q", &name]).success();
    let fresh = Sandbox::new()
        .env("REGISTRY_AUTH_FILE", there.project().join("config.json").to_str().unwrap());
    fresh.gantry(["pull", "-q", &name]).success();
}

/// A helper of the test's own, which answers from a file and forgets on request.
#[test]
fn e_22_and_23_credential_helpers() {
    use std::os::unix::fs::PermissionsExt;
    let Some(server) = Server::with_password() else { return };
    let name = server.name("made:1");
    let here = made();
    let path = here.project().join("helpers");
    let here = here.env("PATH", &format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", path.display()));
    here.write("helpers/docker-credential-drawer", DRAWER);
    let program = path.join("docker-credential-drawer");
    fs_err::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    let of_all = "{\"credsStore\": \"drawer\"}".to_owned();
    let of_one = format!("{{\"credHelpers\": {{\"{}\": \"drawer\"}}}}", server.host);
    for config in [of_all, of_one] {
        here.write("../home/.docker/config.json", &config);
        here.gantry(["tag", "made", &name]).success();
        let _ = here.gantry(["push", &name]).code(1);
        let login = ["login", "-u", "user", "--password-stdin", &server.host];
        let kept = here.gantry_with_input(login, b"secret").success();
        assert!(!kept.stderr.contains("unencrypted"), "{}", kept.stderr);
        assert!(
            !String::from_utf8(here.read("../home/.docker/config.json")).unwrap().contains("c2Vj")
        );
        here.gantry(["push", "-q", &name]).success();
        here.gantry(["logout", &server.host]).success();
        let _ = here.gantry(["push", &name]).code(1);
    }
    assert_eq!(lines(&here, &["images", "-q", &name]).len(), 1);
}

const DRAWER: &str = r#"#!/bin/sh
file=$HOME/drawer
case $1 in
  store) cat > "$file" ;;
  erase) cat > /dev/null; rm -f "$file" ;;
  get)
    cat > /dev/null
    if [ -e "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
esac
"#;

/// Files below a directory that hold one of these texts.
fn holding(dir: &std::path::Path, texts: &[&str]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs_err::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs_err::read(entry.path()).unwrap();
                let holds = |text: &&str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
                if texts.iter().any(holds) {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

/// Neither right nor wrong ones, whatever is asked with them, are told or kept anywhere but in the
/// file that they came from.
#[test]
fn e_20_no_credential_is_told_or_kept() {
    let Some(server) = Server::with_password() else { return };
    let (wrong, right) = ("wr0ng-Pa55word", "user:secret");
    // As they are sent: `user:wr0ng-Pa55word` and `user:secret`.
    let secrets = [wrong, "dXNlcjp3cjBuZy1QYTU1d29yZA==", "dXNlcjpzZWNyZXQ="];
    let name = server.name("made:1");
    let here = made().env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    here.write("From", format!("FROM {name}\nRUN true\n"));
    here.gantry(["tag", "made", &name]).success();
    let wrong = format!("user:{wrong}");
    let cache = format!("type=registry,ref={}", server.name("cache:1"));
    let mut told = Vec::new();
    let mut run = |code: i32, words: &[&str]| {
        let printed = here.gantry_words(words).code(code);
        told.push(printed.stdout + &printed.stderr);
    };
    let build = ["-f", "From", "--pull", "--provenance=mode=max", "--metadata-file", "m.json"];
    for (code, creds) in [(1, wrong.as_str()), (0, right)] {
        run(code, &["--debug", "push", "--creds", creds, &name]);
        run(code, &["--debug", "pull", "--creds", creds, &name]);
        for progress in ["plain", "rawjson"] {
            let flags = ["--creds", creds, "--progress", progress, "--cache-to", &cache, "."];
            run(code, &[&["--debug", "build", "-t", "x"], &build[..], &flags].concat());
        }
    }
    let why = told[0].clone();
    assert!(why.contains("denied") || why.contains("unauthorized"), "{why}");
    // From a file, too, and by `login`, which keeps what was right.
    let wrong = wrong.split_once(':').unwrap().1;
    let login = ["login", "-u", "user", "--password-stdin", &server.host];
    let printed = here.gantry_with_input(login, wrong.as_bytes()).code(1);
    told.push(printed.stdout + &printed.stderr);
    let all = || holding(here.project().parent().unwrap(), &secrets);
    assert_eq!(all(), [""; 0].map(std::path::PathBuf::from));
    let entry = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{}\"}}}}}}", server.host, secrets[1]);
    here.write("../home/.docker/config.json", entry);
    for words in [["push", &name], ["pull", &name]] {
        let printed = here.gantry(words).code(1);
        told.push(printed.stdout + &printed.stderr);
    }
    assert_eq!(all(), [here.project().with_file_name("home").join(".docker/config.json")]);
    let shown = |text: &String| secrets.iter().any(|secret| text.contains(secret));
    assert!(!told.iter().any(shown), "{told:#?}");
}
