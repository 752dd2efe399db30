//! The same Dockerfiles built by buildah and by gantry: root filesystems and configs side by side.

use serde_json::Value;

use super::Peers;

/// What is built, and its name.
const CASES: [(&str, &str); 16] = [
    (
        "env",
        "FROM busybox\nENV A=1 B=\"two words\" C=$A\nENV D ${A:-x} e\nENV A=2 E=${A}${F:+f}${F:-g}\nRUN env | grep -E '^[A-E]=' | sort > /env\n",
    ),
    (
        "args",
        "ARG G=global\nFROM busybox\nARG G\nARG H=own I\nRUN echo \"$G $H ${I-unset}\" > /args\nLABEL of=$G-$H\n",
    ),
    (
        "run-forms",
        "FROM busybox\nRUN echo a > /a && \\\n    # between\n    echo b > /b\nRUN [\"sh\", \"-c\", \"echo $0 > /c\", \"zero\"]\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo d > /d\n",
    ),
    ("workdir", "FROM busybox\nWORKDIR /a\nWORKDIR b/../c\nENV P=x\nWORKDIR $P\nRUN pwd > where\n"),
    (
        "user",
        "FROM busybox\nUSER nobody\nRUN id -u > /tmp/u && id -g > /tmp/g\nUSER 7:8\nRUN touch /tmp/seven\nUSER nobody\n",
    ),
    (
        "copy-files",
        "FROM busybox\nCOPY f /one\nCOPY f /dir/\nCOPY f d/g /both/\nCOPY f deep/er/file\n",
    ),
    ("copy-directories", "FROM busybox\nCOPY d /x\nCOPY d/ /y/\nCOPY . /all\n"),
    ("copy-globs", "FROM busybox\nCOPY d/[gh] /x/\nCOPY d/? /y/\nCOPY f* /z/\n"),
    (
        "copy-owners",
        "FROM busybox\nCOPY --chown=12:34 f /a\nCOPY --chown=nobody d /d\nCOPY --chown=nobody:staff --chmod=640 f /b\nCOPY --chmod=0755 f /c\n",
    ),
    (
        "copy-from",
        "FROM busybox AS made\nRUN mkdir /out && echo x > /out/x && chown 3:4 /out/x && ln -s x /out/l\nFROM busybox\nCOPY --from=made /out /in\nCOPY --from=0 /out/x /y\n",
    ),
    ("add-archive", "FROM busybox\nADD a.tar /unpacked/\nCOPY a.tar /kept.tar\nADD f /f\n"),
    (
        "mounts",
        "FROM busybox AS s\nRUN echo s > /s\nFROM busybox\nRUN --mount=type=bind,target=/ctx cp /ctx/f /f\nRUN --mount=type=bind,from=s,source=/s,target=/s cp /s /t\nRUN --mount=type=tmpfs,target=/tmpfs echo x > /tmpfs/x\n",
    ),
    (
        "deletions",
        "FROM busybox\nRUN mkdir /d && echo 1 > /d/1 && echo 2 > /d/2\nRUN rm /d/1 /bin/wget && rm -r /home && mkdir /home && echo h > /home/h\n",
    ),
    (
        "config",
        "FROM busybox\nCMD echo cmd\nENTRYPOINT [\"sh\", \"-c\"]\nCMD [\"last\", \"wins\"]\nEXPOSE 90 80/udp\nVOLUME /v /w\nLABEL a=1 \"b c\"=\"d e\"\nLABEL a=2\nSTOPSIGNAL SIGINT\nUSER nobody\nHEALTHCHECK --interval=5s --retries=2 CMD true\n",
    ),
    (
        "onbuild",
        "FROM busybox AS parent\nONBUILD RUN echo fired > /fired\nONBUILD ENV FIRED=yes\nFROM parent\nRUN cat /fired > /again\n",
    ),
    ("ignored", "FROM busybox\nCOPY . /all/\nRUN ls /all | grep -c secret > /count || true\n"),
];

/// Where the two differ and may: how a line of the comparison begins, `*` for every case, and why.
const ALLOWED: [(&str, &str); 10] = [
    ("*: buildah config.Hostname = ", "of the container that it built in; means nothing later"),
    ("*: buildah config.Labels.io.buildah.version = ", "its own label"),
    ("*: gantry config.ArgsEscaped = true", "as BuildKit writes it beside a CMD"),
    (
        "*: buildah dev d 755 0:0",
        "a mount point that it leaves; not in the base, nor made by a step",
    ),
    ("*: buildah proc d 755 0:0", "likewise"),
    ("*: buildah run d 755 0:0", "likewise"),
    ("*: buildah sys d 755 0:0", "likewise"),
    ("*: buildah etc/hostname file", "likewise, for a file"),
    ("*: buildah etc/hosts file", "likewise, for a file"),
    ("*: buildah etc/resolv.conf file", "likewise, for a file"),
];

/// Unpacks both images and prints `kind path …` for every file, sorted.
const LIST: &str = r#"umoci unpack --image "$1" "$2" >/dev/null
cd "$2/rootfs"
find . -mindepth 1 \( -type f -printf '%P file %m %U:%G %n ' -exec sha256sum {} \; -o -type l -printf '%P link %U:%G %l\n' -o -printf '%P %y %m %U:%G\n' \) | sed 's, \./.*$,,; s,  .*$,,' | sort
rm -rf "../../../$2""#;

fn list(peers: &Peers, image: &str) -> Vec<String> {
    let text = peers.peer(&["sh", "-ec", LIST, "sh", image, "peers/bundle"]);
    text.lines().map(str::to_owned).collect()
}

/// `path = value` for every leaf of what a container is started from.
fn config(peers: &Peers, image: &str) -> Vec<String> {
    let text = peers.skopeo(&["inspect", "--config", "--raw", image]);
    let all: Value = serde_json::from_str(&text).unwrap();
    let mut lines = Vec::new();
    for member in ["architecture", "os", "variant", "config"] {
        leaves(member, &all[member], &mut lines);
    }
    lines
}

fn leaves(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        // What docker's own struct always writes; an absent member means the same.
        Value::Null | Value::Bool(false) => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) if members.is_empty() => {}
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, value)| leaves(&format!("{path}.{name}"), value, lines));
        }
        // Arrays are values: their order counts.
        leaf => lines.push(format!("{path} = {leaf}")),
    }
}

#[test]
fn buildah_and_gantry_build_the_same() {
    let Some(peers) = Peers::new() else { return };
    let sandbox = &peers.sandbox;
    for (path, content) in [
        ("ctx/f", "f\n"),
        ("ctx/d/g", "g\n"),
        ("ctx/d/h", "h\n"),
        ("ctx/d/sub/i", "i\n"),
        ("ctx/secret", "s\n"),
        ("ctx/.dockerignore", "secret\n*.none\n"),
    ] {
        sandbox.write(path, content);
    }
    peers.peer(&["sh", "-ec", "cd ctx && chmod 750 d/sub && chmod 604 d/h && ln -s g d/link && tar --owner=5 --group=6 -cf a.tar d"]);
    sandbox.gantry(["save", "-o", "base.tar", "busybox"]).success();
    let base = peers.buildah(&["pull", "-q", "docker-archive:base.tar"]);
    peers.buildah(&["tag", base.trim(), "docker.io/library/busybox"]);
    let mut unexpected = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, text) in CASES {
        let file = format!("{name}.Dockerfile");
        sandbox.write(&file, text);
        let ours = format!("peers/ours-{name}");
        let output = format!("type=oci,tar=false,name={name}:latest,dest={ours}");
        sandbox
            .gantry(["build", "-q", "--network", "none", "-f", &file, "-o", &output, "ctx"])
            .success();
        // As OCI images they would lack ONBUILD, SHELL and HEALTHCHECK.
        let flags = [
            "--format",
            "docker",
            "--isolation",
            "chroot",
            "--pull-never",
            "--ulimit",
            "nofile=1024:1024",
        ];
        let build = [&["bud", "-q"][..], &flags, &["-t", name, "-f", &file, "ctx"]].concat();
        peers.buildah(&build);
        let theirs = format!("peers/theirs-{name}");
        peers.buildah(&["push", "-q", name, &format!("oci:{theirs}:latest")]);
        let plain = format!("dir:{theirs}-plain");
        peers.buildah(&["push", "-q", name, &plain]);
        let look = |image: &str, plain: &str| {
            [config(&peers, plain), list(&peers, &format!("{image}:latest"))].concat()
        };
        let (ours, theirs) = (look(&ours, &format!("oci:{ours}:latest")), look(&theirs, &plain));
        assert!(ours.len() > 200, "{name}: only {} lines", ours.len());
        let only = |these: &[String], others: &[String], mark: &str| -> Vec<String> {
            let these = these.iter().filter(|line| !others.contains(line));
            these.map(|line| format!("{name}: {mark} {line}")).collect()
        };
        for difference in [only(&theirs, &ours, "buildah"), only(&ours, &theirs, "gantry")].concat()
        {
            let (_, line) = difference.split_once(':').unwrap();
            let matches = |rule: &str| match rule.strip_prefix('*') {
                Some(rule) => format!(":{line}").starts_with(rule),
                None => difference.starts_with(rule),
            };
            match ALLOWED.iter().position(|(rule, _)| matches(rule)) {
                Some(index) => drop(seen.insert(index)),
                None => unexpected.push(difference),
            }
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    // What doesn't differ any more need not be allowed.
    let stale: Vec<_> =
        ALLOWED.iter().enumerate().filter(|(index, _)| !seen.contains(index)).collect();
    assert!(stale.is_empty(), "{stale:?}");
}
