//! Measures what a sandbox costs: from `spawn` to the end of `wait`, for `true` of busybox.
//!
//! ```text
//! cargo run --release -p gantry-sandbox --example spawn_true -- 200
//! ```
//! Prints median and 90th percentile in milliseconds, for a namespace with `lo`, the host's
//! network, and (as root) the bridge; and beside them a plain `fork` and `exec` of the same.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gantry_sandbox::{Network, Networks, Overlay, RootfsSpec, Spec, probe, spawn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let host = probe();
    let scratch = tempfile::tempdir()?;
    let Overlay::Available { userxattr } = host.overlay(scratch.path()) else {
        return Err("overlay cannot be mounted here".into());
    };
    let base = scratch.path().join("base");
    for name in ["bin", "etc", "proc", "sys", "dev"] {
        fs_err::create_dir_all(base.join(name))?;
    }
    fs_err::copy("/bin/busybox", base.join("bin/true"))?;
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs_err::write(base.join("etc").join(name), "")?;
    }

    let networks = Networks::new(&host, scratch.path().join("net"));
    let mut rows: Vec<(&str, Vec<Duration>)> = Vec::new();
    let mut number = 0;
    let mut measure = |make: &dyn Fn() -> Option<Network>| {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            number += 1;
            let spec = spec(scratch.path(), &base, number, userxattr)?;
            let begun = Instant::now();
            let Some(network) = make() else { break };
            let child = spawn(Spec { network, ..spec })?;
            let status = child.wait();
            times.push(begun.elapsed());
            assert!(status.success());
        }
        Ok::<_, Box<dyn std::error::Error>>(times)
    };
    rows.push(("own network (lo)", measure(&|| Some(Network::None))?));
    rows.push(("host's network", measure(&|| Some(Network::Host))?));
    rows.push(("private network", measure(&|| networks.private().ok().map(Network::Private))?));
    let plain = (0..count)
        .map(|_| {
            let begun = Instant::now();
            Command::new(base.join("bin/true")).status().map(|_| begun.elapsed())
        })
        .collect::<Result<_, _>>()?;
    rows.push(("no sandbox", plain));

    for (name, mut times) in rows {
        times.sort();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("{name:18} median {:6.2} ms   90 % {:6.2} ms", ms(at(50)), ms(at(90)));
    }
    Ok(())
}

/// A fresh upper directory each time, as a build has it.
fn spec(
    scratch: &Path,
    base: &Path,
    number: usize,
    userxattr: bool,
) -> Result<Spec, std::io::Error> {
    let directory = |name: &str| {
        let path = scratch.join(format!("{name}{number}"));
        fs_err::create_dir(&path).map(|()| path)
    };
    let lowers = vec![base.to_owned()];
    let rootfs = RootfsSpec::overlay(lowers, directory("upper")?, directory("work")?, userxattr);
    Ok(Spec::new(rootfs, ["/bin/true"]))
}
