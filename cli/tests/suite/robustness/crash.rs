//! Builds that are killed at any moment: what they leave is swept up by whoever comes next.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{clean, project, soon};
use crate::sandbox::Sandbox;

const BUILD: &str = "FROM busybox AS tools\n\
    ARG N\n\
    RUN echo $N > /tool; dd if=/dev/zero of=/zeros bs=64k count=16 2>/dev/null\n\
    FROM busybox\n\
    ARG N\n\
    WORKDIR /work\n\
    COPY . .\n\
    RUN --mount=type=cache,target=/cache echo $N >> /cache/runs; cat data > copy\n\
    COPY --from=tools /tool /zeros /\n\
    RUN rm data; echo $N > end\n";

fn start(sandbox: &Sandbox, number: u64) -> Child {
    let argument = format!("N={number}");
    sandbox
        .command(["build", "--build-arg", &argument, "-t", "built", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A different pause each time, shorter than `most`.
pub(super) fn pause(seed: &mut u64, most: Duration) {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let most = u64::try_from(most.as_micros()).unwrap();
    std::thread::sleep(Duration::from_micros((*seed >> 33) % most.max(1)));
}

/// How long a build takes here that nobody disturbs: a moment before that is one in its midst.
fn undisturbed(sandbox: &Sandbox) -> Duration {
    ends_well(sandbox, 1000);
    let began = Instant::now();
    assert!(start(sandbox, 1001).wait_with_output().unwrap().status.success());
    began.elapsed()
}

fn ends_well(sandbox: &Sandbox, number: u64) {
    let argument = format!("N={number}");
    sandbox.gantry(["build", "-q", "--build-arg", &argument, "-t", "built", "."]).success();
    let words = ["run", "--rm", "built", "cat", "/tool", "/work/end"];
    assert_eq!(sandbox.gantry(words).success().stdout, format!("{number}\n{number}\n"));
}

/// Asserts that there is no damage, only what the dead could not take along; and takes that away.
pub(super) fn mended(sandbox: &Sandbox) {
    let checked = sandbox.gantry(["fsck", "--deep"]).success().stdout;
    for line in checked.lines() {
        assert!(line.starts_with("leftover: ") || line.starts_with("Checked "), "{checked}");
    }
    sandbox.gantry(["fsck", "--repair"]).success();
    clean(sandbox);
}

/// What builds leave outside of the store: ends of cables, and groups of processes.
fn outside(pids: &[u32]) -> Vec<String> {
    let mut left = Vec::new();
    let groups = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", "gantry-*"])
        .output()
        .unwrap();
    for group in String::from_utf8_lossy(&groups.stdout).lines() {
        if pids.iter().any(|pid| group.contains(&format!("/gantry-{pid}-"))) {
            left.push(group.to_owned());
        }
    }
    left
}

/// The cables of this host, with the number that the kernel gives each but once: another test's
/// cable may get the name of one that is gone.
fn cables() -> Vec<(String, String)> {
    let links = fs_err::read_dir("/sys/class/net").unwrap().flatten();
    links
        .filter_map(|link| {
            let name = link.file_name().into_string().ok()?;
            let number = fs_err::read_to_string(link.path().join("ifindex")).ok()?;
            name.starts_with("gve").then_some((name, number))
        })
        .collect()
}

#[test]
fn fifty_kills_at_random_moments_leave_a_store_that_builds() {
    let sandbox = project(BUILD);
    sandbox.write("data", vec![b'x'; 100_000]);
    sandbox.write("dir/more", "more");
    let mut seed = u64::from(std::process::id());
    let mut pids = Vec::new();
    let mut killed = 0;
    let most = undisturbed(&sandbox);
    for number in 0..50 {
        let mut child = start(&sandbox, number);
        pids.push(child.id());
        pause(&mut seed, most);
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        if number % 10 == 9 {
            sandbox.gantry(["fsck"]).success();
        }
    }
    assert!(killed >= 25, "only {killed} were killed before their end");
    mended(&sandbox);
    ends_well(&sandbox, 49);
    ends_well(&sandbox, 50);
    clean(&sandbox);
    // The work of the dead is gone as well.
    let work = || fs_err::read_dir(sandbox.store().join("work")).unwrap().count();
    assert!(soon(|| work() == 0), "{:?}", fs_err::read_dir(sandbox.store().join("work")));
    assert!(soon(|| outside(&pids).is_empty()), "{:?}", outside(&pids));
    // Other tests' cables come and go; those that are there now do not stay.
    let now = cables();
    assert!(soon(|| !cables().iter().any(|cable| now.contains(cable))), "{now:?} stay");
}

#[test]
fn a_build_does_not_mind_its_neighbours_being_killed() {
    let sandbox = project(BUILD);
    sandbox.write("data", vec![b'x'; 100_000]);
    let mut seed = u64::from(std::process::id());
    let most = undisturbed(&sandbox);
    for number in 0..8 {
        // One of the two of the same is killed, the other one has to take over where it waited.
        let mut victim = start(&sandbox, number);
        let other = start(&sandbox, number);
        pause(&mut seed, most);
        victim.kill().unwrap();
        victim.wait().unwrap();
        let output = other.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "build {number}:\n{stderr}");
    }
    mended(&sandbox);
    ends_well(&sandbox, 7);
    clean(&sandbox);
}

#[test]
fn an_interrupted_build_leaves_nothing_anywhere() {
    let sandbox = project("FROM busybox\nRUN echo x > /x; (sleep 1000 &); sleep 1000\n");
    let mut command = sandbox.command(["build", "."]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let work = || fs_err::read_dir(sandbox.store().join("work")).map_or(0, Iterator::count);
    assert!(soon(|| work() > 0));
    std::thread::sleep(Duration::from_millis(200));
    let status =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(work(), 0);
    assert_eq!(outside(&[child.id()]), Vec::<String>::new());
    let now = cables();
    assert!(soon(|| !cables().iter().any(|cable| now.contains(cable))), "{now:?} stay");
    clean(&sandbox);
}
