//! The floors: the least work that any builder has to do, with plain tools.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::workspace::{Problem, Workspace, fresh, run};

/// Lists and stats everything below `root` with two threads.
pub(crate) fn walk(root: &Path) -> Result<Duration, Problem> {
    let start = Instant::now();
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    // How many directories are queued or being read; the walk is over when none is.
    let open = std::sync::atomic::AtomicUsize::new(1);
    sender.send(Some(root.to_owned()))?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (sender, receiver, open) = (sender.clone(), &receiver, &open);
                scope.spawn(move || -> std::io::Result<u64> {
                    let mut bytes = 0;
                    loop {
                        let next = receiver.lock().ok().and_then(|queue| queue.recv().ok());
                        let Some(Some(dir)) = next else { return Ok(bytes) };
                        for entry in fs_err::read_dir(dir)? {
                            let entry = entry?;
                            let meta = entry.metadata()?;
                            bytes += meta.len();
                            if meta.is_dir() {
                                open.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                                let _ = sender.send(Some(entry.path()));
                            }
                        }
                        if open.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                            let _ = sender.send(None);
                            let _ = sender.send(None);
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a walker panicked")??;
        }
        Ok::<_, Problem>(())
    })?;
    Ok(start.elapsed())
}

/// Copies the tree below `from` with `cp -a` into the new directory `to`.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Duration, Problem> {
    fresh(to)?;
    run(Command::new("cp").arg("-a").arg(from).arg(to.join("copy")))
}

/// Hard-links the tree below `from` with `cp -al` into the new directory `to`.
pub(crate) fn hard_link(from: &Path, to: &Path) -> Result<Duration, Problem> {
    fresh(to)?;
    run(Command::new("cp").arg("-al").arg(from).arg(to.join("copy")))
}

/// Makes a tar of the tree below `from`, and hashes it on its way to nowhere.
pub(crate) fn pack(from: &Path) -> Result<Duration, Problem> {
    let pack = "tar -cf - -C \"$1\" . | openssl dgst -sha256";
    run(Command::new("sh").args(["-c", pack, "sh"]).arg(from))
}

/// Copies the largest tar of the workspace's store to `to`, and hashes it on the way.
pub(crate) fn copy_and_hash(workspace: &Workspace, to: &Path) -> Result<Duration, Problem> {
    let find = "ls -S \"$1\"/layers/*/tar | head -1";
    let found =
        Command::new("sh").args(["-c", find, "sh"]).arg(workspace.path("store")).output()?;
    let tar = String::from_utf8(found.stdout)?;
    let copy = "tee \"$2\" < \"$1\" | openssl dgst -sha256";
    run(Command::new("sh").args(["-c", copy, "sh", tar.trim()]).arg(to))
}

/// One RUN step at its barest: namespaces, overlay, a container's other mounts, `pivot_root`, exec
/// of a shell that does nothing. The program is `benches/floors/step.c`.
pub(crate) fn step(workspace: &Workspace, turn: &str, count: usize) -> Result<Duration, Problem> {
    let program = workspace.path("step");
    run(Command::new("cc").args(["-O2", "-o"]).arg(&program).arg("benches/floors/step.c"))?;
    let lower = workspace.path(&format!("lower{turn}"));
    fresh(&lower)?;
    let base = fs_err::canonicalize("target/bases/busybox.tar")?;
    run(Command::new("tar").arg("-xf").arg(base).arg("-C").arg(&lower))?;
    // Where the floor has its mount points ready, a builder must see to it.
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs_err::write(lower.join("etc").join(name), "")?;
    }
    let space = workspace.path(&format!("steps{turn}"));
    fresh(&space)?;
    let output = Command::new(&program)
        .args([&lower, &space])
        .arg(count.to_string())
        .args(["/bin/sh", "-c", "true"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(Duration::from_micros(String::from_utf8(output.stdout)?.trim().parse()?))
}
