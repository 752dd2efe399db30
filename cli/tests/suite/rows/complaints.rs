//! What people complain of in other builders (G), and what holds here. More of it stands where the
//! rule in question is tried.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::{build, cached, config, project, told};
use crate::sandbox::Sandbox;

/// What is the same for several platforms runs once, in one graph.
#[test]
fn g_10_targets_that_are_built_together_share_their_steps() {
    let text = "FROM --platform=$BUILDPLATFORM busybox AS tool\nRUN echo once > /f; echo ran\n\
        FROM scratch\nCOPY --from=tool /f /f\n";
    let sandbox = project(text);
    let platforms = ["--platform", "linux/amd64,linux/arm64"];
    let shown = told(&sandbox, platforms);
    assert_eq!(super::printed(&shown), "ran\n", "{shown}");
    assert_eq!(cached(&told(&sandbox, platforms)), cached(&told(&sandbox, platforms)));
}

/// Two stages that wait for each other: neither would end if they ran one after the other.
#[test]
fn g_11_stages_run_at_the_same_time() {
    let wait = |own: &str, other: &str| {
        format!(
            "FROM busybox AS {own}\nRUN --mount=type=cache,target=/c touch /c/{own}; \
             while ! test -e /c/{other} && test $((n += 1)) -lt 600; do sleep 0.05; done; \
             test -e /c/{other} && echo met > /{own}\n"
        )
    };
    let (one, two) = (wait("one", "two"), wait("two", "one"));
    let text = format!(
        "{one}{two}FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN cat /one /two\n"
    );
    assert_eq!(build(&project(&text), ["--jobs", "2"]), "met\nmet\n");
}

/// A step's layer is what the step wrote, whatever else is there and however it was looked at.
#[test]
fn g_12_a_layer_holds_what_changed_and_nothing_is_searched_for_it() {
    let text = "FROM busybox\nRUN mkdir /d && seq 1 500 | while read n; do echo $n > /d/$n; done\n\
        RUN find /d -type f | xargs cat > /dev/null; echo new > /d/7; rm /d/8\n";
    let sandbox = project(text);
    build(&sandbox, []);
    sandbox.gantry(["save", "-o", "x.tar", "x"]).success();
    let file = fs_err::File::open(sandbox.project().join("x.tar")).unwrap();
    let mut archive = tar::Archive::new(file);
    let mut members: Vec<Vec<String>> = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let mut layer = tar::Archive::new(&bytes[..]);
        let names = layer.entries().unwrap().map(|entry| {
            Some(entry.ok()?.path().ok()?.display().to_string().trim_end_matches('/').to_owned())
        });
        members.extend(names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty()));
    }
    let expected = ["d", "d/.wh.8", "d/7"];
    let found = members.iter().any(|names| {
        let mut names = names.clone();
        names.sort();
        names == expected
    });
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    assert!(found, "no layer holds {expected:?} alone: {sizes:?}");
}

/// Every layer of the history has a name in the store.
#[test]
fn g_14_steps_of_the_history_have_ids() {
    let sandbox = project("FROM busybox\nRUN echo 1 > /f\nCMD [\"x\"]\nRUN echo 2 > /f\n");
    build(&sandbox, []);
    let ids = |flags: &[&str]| {
        let words = [&["history", "--format", "{{.ID}}"], flags, &["x"]].concat();
        let shown = sandbox.gantry_words(&words).success().stdout;
        shown.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (plain, steps) = (ids(&[]), ids(&["--steps"]));
    assert_eq!(plain.len(), steps.len());
    assert!(plain[1..].iter().all(|id| id == "<missing>"), "{plain:?}");
    assert_eq!(steps[1], "<missing>", "CMD makes no layer: {steps:?}");
    let layers: Vec<&String> = steps.iter().filter(|id| *id != "<missing>").collect();
    assert!(layers.len() >= 3 && layers.iter().all(|id| id.len() == 12), "{steps:?}");
    // They are the ones that `du` lists.
    let listed = sandbox.gantry(["du", "--no-trunc", "--format", "{{.ID}}"]).success().stdout;
    for id in ids(&["--steps", "--no-trunc"]).iter().filter(|id| *id != "<missing>") {
        assert!(listed.lines().any(|line| line == id), "{id} is not in {listed}");
    }
}

/// The same files copied by two stages are one layer, which is stored once.
#[test]
fn g_15_equal_layers_are_stored_once() {
    let text = "FROM scratch AS one\nCOPY big /big\nFROM scratch AS two\nENV A=b\nCOPY big /big\n";
    let sandbox = project(text);
    sandbox.write("big", vec![b'x'; 3 << 20]);
    build(&sandbox, ["--target", "one"]);
    let size = |sandbox: &Sandbox| -> u64 {
        let shown = sandbox.gantry(["du", "--format", "{{.Bytes}}", "--filter", "type=layer"]);
        shown.success().stdout.lines().map(|line| line.parse::<u64>().unwrap()).sum()
    };
    let before = size(&sandbox);
    build(&sandbox, ["--target", "two"]);
    assert!(size(&sandbox) < before + (1 << 20), "{before} became {}", size(&sandbox));
    assert!(config(&sandbox)["Env"].as_array().unwrap().contains(&"A=b".into()));
}

/// A cache that can't be written is a warning, and the build has its result.
#[test]
fn g_17_a_cache_that_is_not_there_costs_no_build() {
    let sandbox = project("FROM busybox\nRUN true\n");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = format!("type=registry,ref={nobody}/cache");
    let shown = told(&sandbox, ["--cache-to", &place, "--cache-from", &place]);
    assert!(shown.contains("The cache could not be exported to "), "{shown}");
    sandbox.gantry(["inspect", "x"]).success();
}

/// `info` says what this host lacks, and what to do about it.
#[test]
fn g_18_what_is_missing_is_named_with_what_to_do() {
    let sandbox = Sandbox::new();
    let shown = sandbox.gantry(["info"]).success().stdout;
    let (_, findings) = shown.split_once("What this host offers:\n").unwrap();
    let lines: Vec<&str> = findings.lines().collect();
    let states = ["ok", "limited", "missing"];
    let known = |line: &&str| states.iter().any(|state| line.trim_start().starts_with(state));
    assert!(lines.iter().filter(|line| known(line)).count() >= 5, "{shown}");
    for (at, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("missing") {
            let next = lines.get(at + 1).copied().unwrap_or_default();
            assert!(next.trim_start().starts_with("hint: "), "{line} has no hint");
        }
    }
}

/// There is no cache in Azure's blob storage yet, and none is pretended.
#[test]
fn g_19_caches_of_other_kinds_are_refused() {
    let sandbox = project("FROM busybox\n");
    let shown = sandbox.gantry(["build", "--cache-to", "type=azblob,account_url=u", "."]);
    let shown = shown.code(1).stderr;
    assert!(shown.contains("azblob"), "{shown}");
}

/// A step reaches a service of this host when it is given the host's network.
#[test]
fn g_20_a_step_reaches_a_local_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked);
        let reply = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nserved";
        stream.write_all(reply.as_bytes()).unwrap();
    });
    let text = format!("FROM busybox\nRUN --network=host wget -qO- http://{address}/; echo\n");
    assert_eq!(build(&project(&text), ["--allow", "network.host"]), "served\n");
}
