//! Blobs that are much larger than what a command may take of the memory.
//!
//! `scripts/big` does the same with 6 GB.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use super::clean;
use crate::registry::server::Server;
use crate::sandbox::{Sandbox, required};

/// The size of the layer, and what a command may need at most while it passes through, in bytes.
const SIZE: usize = 160 << 20;
const LIMIT: usize = 100 << 20;

/// Runs gantry, and returns how much memory it had at most; `None` where nobody can say.
fn peak(sandbox: &Sandbox, args: &[&str]) -> Option<usize> {
    peak_of(sandbox, args).map(|(peak, _)| peak)
}

/// The same with what it printed.
fn peak_of(sandbox: &Sandbox, args: &[&str]) -> Option<(usize, String)> {
    let program = sandbox.command([]).get_program().to_str().unwrap().to_owned();
    let words = [&["-o", "../tmp/peak", "-f", "%M", &program], args].concat();
    let mut time = sandbox.other(Path::new("/usr/bin/time"), &words);
    let output = match time.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            assert!(!required("peers"), "GNU time is not there");
            crate::eprintln_skip("GNU time");
            return None;
        }
        Err(err) => panic!("{err}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(sandbox.read("../tmp/peak")).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    Some((told.trim().parse::<usize>().unwrap() << 10, printed))
}

#[test]
fn e_32_memory_does_not_grow_with_a_blob() {
    let Some(server) = Server::start() else { return };
    let here = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY big /big\n")]);
    // No compressor sees that these bytes come again.
    let mut block = vec![0; 1 << 20];
    let mut state = 1_u64;
    for byte in &mut block {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[0];
    }
    let path = here.project().join("big");
    let mut file = fs_err::File::create(&path).unwrap();
    for number in 0..SIZE >> 20 {
        block[0] = u8::try_from(number % 256).unwrap();
        file.write_all(&block).unwrap();
    }
    drop(file);
    let (name, there) = (server.name("big:1"), Sandbox::new());
    let archive = here.project().join("big.tar");
    let archive = archive.to_str().unwrap();
    let loaded = Sandbox::new();
    for (sandbox, args) in [
        (&here, &["build", "-q", "-t", &name, "."][..]),
        (&here, &["push", "-q", &name]),
        (&here, &["save", "-o", archive, &name]),
        (&there, &["pull", "-q", &name]),
        (&loaded, &["load", "-q", "-i", archive]),
    ] {
        let Some(peak) = peak(sandbox, args) else { return };
        assert!(peak < LIMIT, "{args:?}: {peak} bytes");
    }
    let id =
        |sandbox: &Sandbox| sandbox.gantry(["inspect", "-f", "{{.Id}}", &name]).success().stdout;
    assert_eq!(id(&there), id(&here));
    assert_eq!(id(&loaded), id(&here));
    clean(&there);
}

/// The classic form shows steps in the order of the file. What a later one prints waits, and not in
/// memory.
#[test]
fn e_32_memory_does_not_grow_with_what_is_held_back() {
    let text = "FROM busybox AS first\n\
        RUN --mount=type=cache,target=/meet until [ -e /meet/over ]; do sleep 0.05; done; echo first\n\
        FROM busybox AS second\n\
        RUN --mount=type=cache,target=/meet seq 1 6900000; touch /meet/over\n\
        FROM busybox\nCOPY --from=first /bin/busybox /a\nCOPY --from=second /bin/busybox /b\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    let Some((peak, printed)) = peak_of(&sandbox, &["build", "--progress=steps", "--jobs=2", "."])
    else {
        return;
    };
    assert!(peak < 60 << 20, "{peak} bytes");
    let mut lines = printed.lines();
    assert!(lines.by_ref().any(|line| line == "first"));
    let numbers = lines.filter_map(|line| line.parse::<u32>().ok());
    assert!(numbers.eq(1..=6_900_000), "50 MB of lines are as they were printed");
}
