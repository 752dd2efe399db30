//! `RUN --mount=…`, `--network` and `--security` (B5), and whose a cache mount is (G-07).

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{build, cached, history, project, refusal, refused, steps, told};
use crate::sandbox::Sandbox;

#[test]
fn b5_01_mistakes_in_mounts() {
    for (mount, error) in [
        ("typ=x", "unexpected key 'typ' in 'typ=x' (did you mean type?)"),
        ("x", "invalid field 'x' must be a key=value pair"),
        ("type=tmp", "unsupported mount type \"tmp\" (did you mean tmpfs?)"),
        (
            "from=$A,target=/x",
            "'from' doesn't support variable expansion, define alias stage instead",
        ),
        ("type=cache,target=/c,sharing=x", "unsupported sharing value \"x\""),
        ("target=/c,sharing=locked", "invalid cache sharing set for bind mount"),
        ("target=/c,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("target=/c,uid=1", "uid not allowed for \"bind\" type mounts"),
        ("type=cache,target=/c,mode=9", "invalid value 9 for mode"),
    ] {
        assert_eq!(refusal(&format!("RUN --mount={mount} true")), error);
    }
}

#[test]
fn b5_01_values_expand_and_bind_is_the_default() {
    let text = "FROM busybox\nARG WHERE=/here WHAT=f\n\
         RUN --mount=Source=$WHAT,TARGET=${WHERE}/it cat /here/it\n";
    let sandbox = project(text);
    sandbox.write("f", "bound\n");
    assert_eq!(build(&sandbox, []), "bound\n");
}

#[test]
fn b5_02_targets() {
    for target in ["/", "/x/..", "../../.."] {
        assert_eq!(
            refusal(&format!("RUN --mount=type=tmpfs,target={target} true")),
            "invalid mount target \"/\""
        );
    }
    let text = "FROM busybox\nWORKDIR /w\n\
         RUN --mount=type=tmpfs,dst=one --mount=type=tmpfs,destination=a/../two \
         mount | grep -o ' /w/[a-z]* ' | sort\n";
    assert_eq!(steps(text), " /w/one \n /w/two \n");
}

#[test]
fn b5_03_what_is_written_to_a_bind_is_gone() {
    let text = "FROM busybox AS s\nRUN mkdir /d && echo kept > /d/f\nFROM busybox\n\
         RUN --mount=from=s,src=/d,target=/d cat /d/f && ! touch /d/new 2>&1\n\
         RUN --mount=from=s,src=/d,target=/d,rw echo new > /d/f && cat /d/f\n\
         RUN --mount=from=s,src=/d,target=/d,readwrite cat /d/f\n\
         RUN --mount=target=/ctx ! touch /ctx/new 2>/dev/null && ls /ctx\n\
         RUN --mount=target=/ctx,rw touch /ctx/new && test ! -e /d\n";
    let sandbox = project(text);
    let shown = build(&sandbox, []);
    assert_eq!(shown, "kept\ntouch: /d/new: Read-only file system\nnew\nkept\nDockerfile\n");
    assert!(!sandbox.project().join("new").exists(), "the context stays as it is");
}

#[test]
fn b5_04_a_bind_counts_by_what_is_selected() {
    let sandbox = project("FROM busybox\nRUN --mount=source=d,target=/d cat /d/f\n");
    sandbox.write("d/f", "one\n");
    sandbox.write("beside", "");
    assert_eq!(build(&sandbox, []), "one\n");
    sandbox.write("beside", "changed");
    assert_eq!(cached(&told(&sandbox, [])), 1);
    sandbox.write("d/f", "two\n");
    assert_eq!(build(&sandbox, []), "two\n");
}

#[test]
fn b5_05_a_number_is_an_image_for_mounts_alone() {
    let stage = "FROM busybox AS first\nRUN echo 1 > /one\nFROM busybox\n";
    let sandbox = project(&format!("{stage}RUN --mount=from=0,target=/m true\n"));
    let refused = refused(&sandbox);
    assert!(refused.starts_with("0: failed to resolve source metadata for docker.io/library/0"));
    sandbox.write("Dockerfile", format!("{stage}COPY --from=0 /one /\nRUN cat /one\n"));
    assert_eq!(build(&sandbox, []), "1\n");
}

#[test]
fn b5_06_mounts_from_earlier_stages_only() {
    let text = "FROM busybox AS a\nRUN --mount=from=later,target=/t true\n\
         FROM busybox AS later\nRUN true\nFROM a\n";
    assert_eq!(
        refused(&project(text)),
        "cannot mount from stage \"later\" to \"/t\", stage needs to be defined before current command"
    );
}

#[test]
fn b5_07_a_cache_is_owned_and_seeded_and_kept() {
    let text = "FROM busybox AS seed\nRUN mkdir -p /s/sub && echo seeded > /s/sub/f\n\
         FROM busybox\n\
         RUN --mount=type=cache,target=/c stat -c '%a %u:%g' /c && echo x > /c/x\n\
         RUN --mount=type=cache,target=/o,mode=1770,uid=3,gid=4 stat -c '%a %u:%g' /o\n\
         RUN --mount=type=cache,id=/c,target=/else,ro cat /else/x && ! touch /else/y\n\
         RUN --mount=type=cache,target=/s,from=seed,source=/s cat /s/sub/f && echo mine > /s/sub/f\n\
         RUN --mount=type=cache,target=/s,from=seed,source=/s cat /s/sub/f\n";
    assert_eq!(
        steps(text),
        "755 0:0\n1770 3:4\nx\ntouch: /else/y: Read-only file system\nseeded\nmine\n"
    );
}

/// The id is the cleaned target as it is written, so WORKDIR does not count.
#[test]
fn b5_07_relative_targets_share_a_cache() {
    let text = "FROM busybox\nWORKDIR /a\nRUN --mount=type=cache,target=./c/ echo x > c/x\n\
         WORKDIR /b\nRUN --mount=type=cache,target=c cat /b/c/x\n";
    assert_eq!(steps(text), "x\n");
}

#[test]
fn b5_08_what_makes_another_cache() {
    let text = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c echo $N >> /c/x\n\
         RUN --mount=type=cache,target=/c cat /c/x; echo $N\n\
         RUN --mount=type=cache,target=/c,uid=1 ls -A /c\n\
         RUN --mount=type=cache,target=/c,gid=1 ls -A /c\n\
         RUN --mount=type=cache,target=/c,mode=0700 ls -A /c\n\
         RUN --mount=type=cache,target=/c,from=busybox,source=/home ls -A /c\n\
         RUN --mount=type=cache,target=/c,mode=0755,uid=0,sharing=locked cat /c/x\n";
    let sandbox = project(text);
    assert_eq!(build(&sandbox, ["--build-arg", "N=1"]), "1\n1\n1\n");
    assert_eq!(build(&sandbox, ["--build-arg", "N=2"]), "1\n2\n2\n1\n2\n");
    let other = ["--build-arg", "N=3", "--build-arg", "BUILDKIT_CACHE_MOUNT_NS=other"];
    assert_eq!(build(&sandbox, other), "3\n3\n3\n");
}

#[test]
fn b5_09_caches_are_in_no_layer_and_no_key() {
    let text = "FROM busybox\nRUN --mount=type=cache,target=/var/c echo fat > /var/c/fat\n\
         RUN test -e /var || echo none\n";
    let sandbox = project(text);
    // Not even the directory that it was mounted on, as a real BuildKit has it (G-07).
    assert_eq!(build(&sandbox, []), "none\n");
    sandbox
        .write("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/var/c rm /var/c/fat\n");
    build(&sandbox, []);
    sandbox.write("Dockerfile", text);
    assert_eq!(cached(&told(&sandbox, [])), 2, "an emptied cache runs nothing again");
}

#[test]
fn b5_10_tmpfs() {
    let text = "FROM busybox\n\
         RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | awk 'END { print $2 }'; echo x > /t/x\n\
         RUN --mount=type=tmpfs,target=/t,size=65536 df -k /t | awk 'END { print $2 }'; ls -A /t\n\
         RUN test ! -e /t/x\n";
    assert_eq!(steps(text), "1024\n64\n");
}

#[test]
fn b5_11_secrets_as_files_and_variables() {
    let text = "FROM busybox\nENV PLAIN=p\n\
         RUN --mount=type=secret,id=s stat -c '%n %a %u:%g' /run/secrets/s\n\
         RUN --mount=type=secret,target=/etc/s stat -c '%n' /etc/s\n\
         RUN --mount=type=secret,id=s,target=rel,mode=0444,uid=5,gid=6 stat -c '%a %u:%g' /rel\n\
         RUN --mount=type=secret,id=s,env=TOKEN test \"$TOKEN$PLAIN\" = swordfishp && test ! -e /run\n\
         RUN --mount=type=secret,id=s,env=TOKEN,target=/t test \"$TOKEN\" = \"$(cat /t)\"\n\
         RUN --mount=type=secret,id=nosuch test ! -e /run\n\
         RUN test ! -e /run && test ! -e /etc/s && test ! -e /t && test ! -e /rel\n";
    let sandbox = project(text);
    sandbox.write("secret", "swordfish");
    assert_eq!(
        build(&sandbox, ["--secret", "id=s,src=secret"]),
        "/run/secrets/s 400 0:0\n/etc/s\n444 5:6\n"
    );
    let text = "FROM busybox\nRUN --mount=type=secret,id=mysecret,required true\n";
    assert_eq!(refused(&project(text)), "secret mysecret: not found");
}

#[test]
fn b5_12_secrets_are_small() {
    let sandbox = project("FROM busybox\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s\n");
    sandbox.write("secret", vec![b'x'; 500 * 1024]);
    assert_eq!(build(&sandbox, ["--secret", "id=s,src=secret"]), "512000\n");
    sandbox.write("secret", vec![b'x'; 500 * 1024 + 1]);
    let shown = sandbox.gantry(["build", "--no-cache", "--secret", "id=s,src=secret", "."]);
    let shown = shown.code(1).stderr;
    assert!(
        shown.contains("ERROR: failed to solve: secret s too big. max size 500KB\n"),
        "{shown}"
    );
}

/// Nothing that is kept has the value: no layer, no key, no history, no log, no title.
#[test]
fn b5_13_a_secret_is_nowhere() {
    let text = "FROM busybox\n\
         RUN --mount=type=secret,id=s,env=TOKEN --mount=type=secret,id=s echo $TOKEN > /dev/null; \
         echo used\n";
    let sandbox = project(text);
    sandbox.write("../tmp/secret", "xyzzy-swordfish");
    let secret = sandbox.project().join("../tmp/secret");
    let flag = format!("id=s,src={}", secret.display());
    let shown = told(&sandbox, ["--secret", &flag]);
    assert!(shown.contains(" echo **** > /dev/null"), "{shown}");
    assert!(!shown.contains("swordfish"));
    assert!(!history(&sandbox).concat().contains("swordfish"));
    sandbox.gantry(["save", "-o", "x.tar", "x"]).success();
    let mut files = vec![sandbox.project().join("x.tar")];
    collect(&sandbox.store(), &mut files);
    assert!(files.len() > 10);
    for path in files {
        let Ok(bytes) = fs_err::read(&path) else { continue };
        let found = bytes.windows(15).any(|window| window == b"xyzzy-swordfish");
        assert!(!found, "{}", path.display());
    }
    sandbox.write("../tmp/secret", "another value");
    assert_eq!(cached(&told(&sandbox, ["--secret", &flag])), 1, "the value is no part of the key");
}

fn collect(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs_err::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

#[test]
fn b5_16_networks() {
    assert_eq!(refusal("RUN --network=x true"), "invalid network mode \"x\"");
    assert_eq!(refusal("RUN --network=host true"), "entitlement network.host is not allowed");
    let text = "FROM busybox\nRUN --network=none ip -o link | awk '{ print $2 }'\n";
    assert_eq!(steps(text), "lo:\n");
    let text = "FROM busybox\nRUN --network=host readlink /proc/self/ns/net\n";
    let ours = fs_err::read_link("/proc/self/ns/net").unwrap();
    let ours = format!("{}\n", ours.display());
    assert_eq!(build(&project(text), ["--allow", "network.host"]), ours);
    // Asked for on the command line, it is allowed as well: for all steps, and for those that ask.
    assert_eq!(build(&project(text), ["--network", "host"]), ours);
    let text = "FROM busybox\nRUN readlink /proc/self/ns/net\n";
    assert_eq!(build(&project(text), ["--network=host"]), ours);
}

#[test]
fn b5_17_security() {
    assert_eq!(refusal("RUN --security=x true"), "security \"x\" is not valid");
    assert_eq!(
        refusal("RUN --security=insecure true"),
        "entitlement security.insecure is not allowed"
    );
    let text = "FROM busybox\nRUN --security=sandbox ! mount -t tmpfs t /tmp 2>/dev/null\n\
         RUN --security=insecure mount -t tmpfs t /tmp && echo mounted\n";
    assert_eq!(build(&project(text), ["--allow", "security.insecure"]), "mounted\n");
}

#[test]
fn b5_19_places_of_mounts_do_not_stay() {
    let text = "FROM busybox\n\
         RUN --mount=type=tmpfs,target=/a/b/c --mount=type=bind,target=/d true\n\
         RUN ls -d /a /d 2>/dev/null; find /etc -name resolv.conf -o -name hosts\n";
    let sandbox = project(text);
    // What is mounted over these two is there while a step runs; only what stays is of interest.
    let shown = build(&sandbox, []);
    assert!(!shown.contains("/a\n") && !shown.contains("/d\n"), "{shown}");
    sandbox.gantry(["build", "-o", "out", "."]).success();
    for path in ["a", "d", "etc/resolv.conf", "etc/hosts", "proc", "sys", "dev", "run"] {
        assert!(!sandbox.project().join("out").join(path).exists(), "{path}");
    }
}

/// A cache of which nobody says whose it is belongs to the user of the step that finds it empty,
/// whatever the umask; what stays of it in the image is its owner's as well, and not root's.
#[test]
fn g_07_a_cache_belongs_to_who_uses_it() {
    let text = "FROM busybox\nUSER 1000:1001\n\
         RUN --mount=type=cache,target=/c stat -c '%a %u:%g' /c && echo mine > /c/f\n\
         RUN test -e /c || echo gone\n\
         RUN --mount=type=cache,target=/w/x,uid=3,gid=4,mode=0777 stat -c '%a %u:%g' /w/x\n\
         RUN test -e /w || echo gone\n\
         USER root\nRUN --mount=type=cache,target=/c cat /c/f\n";
    let sandbox = project(text);
    let gantry = sandbox.command([]).get_program().to_owned();
    let script = "umask 077; exec \"$0\" build --progress=plain .";
    let words = ["-c", script, gantry.to_str().unwrap()];
    let mut command = sandbox.other(std::path::Path::new("/bin/sh"), &words);
    let shown = sandbox.run(&mut command).success().stderr;
    assert_eq!(super::printed(&shown), "755 1000:1001\ngone\n777 3:4\ngone\nmine\n");
}

/// A step that waits for a cache, and what it has told so far.
struct Waiting {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

fn start(sandbox: &Sandbox, dockerfile: &str, until: &str) -> Waiting {
    let mut child = sandbox
        .command(["build", "--no-cache", "--progress", "plain", "-f", dockerfile, "."])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(until) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ends before `{until}`");
    }
    Waiting { child, lines }
}

impl Waiting {
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }
}

const HOLD: &str = "FROM busybox\n\
     RUN --mount=type=cache,target=/c,sharing=locked echo hol''ding; \
     while ! test -e /c/go && test $((n += 1)) -lt 300; do sleep 0.05; done; \
     rm /c/go; echo done > /c/done\n";

/// Two builds, two processes: the second starts when the first has ended, or is told to stop.
#[test]
fn b5_07_locked_caches_are_waited_for_and_waiting_can_be_interrupted() {
    let text = "FROM busybox\nRUN --mount=type=cache,target=/c,sharing=locked cat /c/done\n";
    // Not the same step, which would wait for the step and not for the cache.
    let other = text.replace("cat /c/done", "true");
    let sandbox = Sandbox::with([("hold", HOLD), ("next", text), ("other", &other)]).with_busybox();
    let first = start(&sandbox, "hold", " holding\n");
    let second = start(&sandbox, "next", "[2/2] RUN");
    let third = start(&sandbox, "other", "[2/2] RUN");
    std::thread::sleep(Duration::from_millis(100));
    let asked = Instant::now();
    third.interrupt();
    assert_eq!(third.end().0, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(5), "at once, and not when the first is done");
    fs_err::write(find_cache(&sandbox).join("go"), "").unwrap();
    assert_eq!(first.end().0, Some(0));
    let (code, told) = second.end();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(" done\n"), "{told}");
}

/// Where the one cache mount of a store is.
fn find_cache(sandbox: &Sandbox) -> std::path::PathBuf {
    let mounts = fs_err::read_dir(sandbox.store().join("mounts")).unwrap();
    let [one] = &mounts.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one cache mount is expected");
    };
    one.join("0")
}

/// Steps that lock the same caches in another order, and one cache twice, all come to an end.
#[test]
fn b5_07_no_two_steps_wait_for_each_other() {
    let text = "FROM busybox AS one\n\
         RUN --mount=type=cache,target=/a,sharing=locked --mount=type=cache,target=/b,sharing=locked \
         sleep 0.1; touch /a/1 /b/1\n\
         FROM busybox AS two\n\
         RUN --mount=type=cache,target=/b,sharing=locked --mount=type=cache,target=/a,sharing=locked \
         sleep 0.1; touch /a/2 /b/2\n\
         FROM busybox\n\
         RUN --mount=from=one,target=/1 --mount=from=two,target=/2 \
         --mount=type=cache,target=/a --mount=type=cache,id=/a,target=/again,sharing=locked \
         --mount=type=cache,target=/b,sharing=private ls /a /again; ls -A /b\n";
    let shown = steps(text);
    assert_eq!(shown, "/a:\n1\n2\n\n/again:\n1\n2\n1\n2\n");
}
