//! Rows about images that travel: from a registry to ready-to-run, to it again, into an archive and
//! out of one, and into a compressed one. The registry is Debian's `docker-registry`, on loopback.

use std::net::{TcpListener, TcpStream};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libdeflater::{CompressionLvl, Compressor};

use crate::row::{Kind, Row};
use crate::rows::Bench;
use crate::workspace::{Problem, Workspace, fresh, paired, peak, run, settle};

const LAYERS: usize = 5;

/// Five rows over one image of five layers: 20 MB, in full size 500 MB.
pub(crate) fn all(bench: &Bench<'_>) -> Result<(), Problem> {
    let workspace = bench.workspace;
    let Some(registry) = Registry::start(workspace)? else {
        eprintln!("gantry-benches: no rows about registries: `docker-registry` is not installed");
        return Ok(());
    };
    let megabytes = if bench.options.full { 100 } else { 4 };
    let trees = image(bench, megabytes)?;
    let name = format!("{}/travels:latest", registry.host);
    let of = format!("{LAYERS} layers of {megabytes} MB");
    run(workspace.gantry(["tag", "travels", &name]).stdout(Stdio::null()))?;
    run(&mut workspace.gantry(["push", "-q", &name]))?;
    pull(bench, &registry, &name, &of)?;
    push_again(bench, &registry, &name, &of)?;
    archives(bench, &trees, &name, &of)?;
    compressed(bench, &trees, &name, &of)
}

/// Builds an image of layers whose files are half text and half random bytes, and returns the
/// directories that went into them.
fn image(bench: &Bench<'_>, megabytes: usize) -> Result<Vec<PathBuf>, Problem> {
    let context = bench.workspace.path("travels");
    let mut dockerfile = "FROM busybox\n".to_owned();
    let mut trees = Vec::new();
    for layer in 0..LAYERS {
        let tree = context.join(format!("l{layer}"));
        fs_err::create_dir_all(&tree)?;
        // 64 files a layer, of bytes that are the same in every run.
        let fill = format!(
            "openssl enc -aes-128-ctr -K 0{layer} -iv 00 -in /dev/zero 2>/dev/null | \
             head -c {} | od -An -tx1 -v | head -c {megabytes}000000 | split -b {} - f",
            // Three characters and a little for each of them.
            megabytes * 1_000_000 / 3,
            megabytes * 15_625
        );
        run(Command::new("sh").args(["-c", &fill]).current_dir(&tree))?;
        dockerfile.push_str(&format!("COPY l{layer} /l{layer}\n"));
        trees.push(tree);
    }
    fs_err::write(context.join("Dockerfile"), dockerfile)?;
    run(&mut bench.build("travels", &[], &context))?;
    Ok(trees)
}

/// A pull into an empty store, and a container of the image that does nothing. The floor is what
/// nobody can leave out: each layer decompressed, hashed, and written to a file, on all processors.
fn pull(bench: &Bench<'_>, registry: &Registry, name: &str, of: &str) -> Result<(), Problem> {
    let workspace = bench.workspace;
    let store = |kind: &str, turn: usize| workspace.path(&format!("pulled.{kind}{turn}"));
    let pulled = |store: &Path| -> Result<Duration, Problem> {
        let root = |mut command: Command| {
            command.env("GANTRY_ROOT", store);
            command
        };
        let pull = run(&mut root(workspace.gantry(["pull", "-q", name])))?;
        let words = ["run", "--rm", "--network=none", name, "true"];
        Ok(pull + run(&mut root(workspace.gantry(words)))?)
    };
    let (gantry, floor) = paired(
        bench.options.runs.min(5),
        |turn| {
            settle()?;
            pulled(&store("store", turn))
        },
        |turn| {
            let into = store("floor", turn);
            fresh(&into)?;
            let unpack = "find \"$1\" -name data -size +100k | xargs -P 2 -I F sh -c \
                 'gzip -dc F | tee \"$(mktemp \"$1/XXXXXX\")\" | openssl dgst -sha256' sh \"$2\"";
            let mut floor = Command::new("sh");
            run(floor.args(["-c", unpack, "sh"]).arg(registry.dir.join("data")).arg(&into))
        },
    )?;
    let mut watched = workspace.gantry(["pull", "-q", name]);
    let memory = peak(watched.env("GANTRY_ROOT", store("watched", 0)))?;
    bench.print(&Row {
        kind: Kind::Pull,
        work: format!("pull to ready-to-run, {of}"),
        gantry,
        floor,
        budget: Some(1.2),
        floor_is: "gzip -d | tee | sha256, 2 at once",
        memory,
        peers: bench.rivals.measure(|peer| {
            peer.forget(name);
            settle()?;
            run(&mut peer.pull(name))
        })?,
    });
    Ok(())
}

/// A push of what the registry has. The floor asks for each blob and for the manifest by one
/// `curl`, one after the other.
fn push_again(bench: &Bench<'_>, registry: &Registry, name: &str, of: &str) -> Result<(), Problem> {
    let push = || bench.workspace.gantry(["push", "-q", name]);
    let config = "for b in \"$1\"/docker/registry/v2/blobs/sha256/*/*; do \
         echo \"url = http://$2/v2/travels/blobs/sha256:${b##*/}\"; done";
    let data = registry.dir.join("data");
    let mut list = Command::new("sh");
    list.args(["-c", config, "sh"]).arg(data).arg(&registry.host);
    let urls = bench.workspace.path("urls");
    fs_err::write(&urls, list.output()?.stdout)?;
    let (gantry, floor) = paired(
        bench.options.runs * 2,
        |_| run(&mut push()),
        |_| run(Command::new("curl").args(["-sI", "-K"]).arg(&urls)),
    )?;
    bench.print(&Row {
        kind: Kind::PushAgain,
        work: format!("push of what is there, {of}"),
        gantry,
        floor,
        budget: None,
        floor_is: "curl -I for each blob",
        memory: peak(&mut push())?,
        peers: bench.rivals.measure(|peer| run(&mut peer.push(name)))?,
    });
    Ok(())
}

/// The image into one archive, and the archive into an empty store. The floors are `tar` of the
/// same files and a hash of it; and the hash, and `tar` unpacking it.
fn archives(bench: &Bench<'_>, trees: &[PathBuf], name: &str, of: &str) -> Result<(), Problem> {
    let workspace = bench.workspace;
    let path = |kind: &str, turn: usize| workspace.path(&format!("archive.{kind}{turn}"));
    let runs = bench.options.runs.min(5);
    let save = |to: &Path| {
        let mut save = workspace.gantry(["save", "-o"]);
        save.arg(to).arg(name);
        save
    };
    let (gantry, floor) = paired(
        runs,
        |turn| {
            settle()?;
            run(&mut save(&path("saved", turn)))
        },
        |turn| {
            settle()?;
            let pack = "out=$1; shift; tar -cf \"$out\" \"$@\" 2>/dev/null && \
                 openssl dgst -sha256 \"$out\"";
            run(Command::new("sh").args(["-c", pack, "sh"]).arg(path("floor", turn)).args(trees))
        },
    )?;
    bench.print(&Row {
        kind: Kind::Save,
        work: format!("save, {of}"),
        gantry,
        floor,
        budget: Some(1.0),
        floor_is: "tar, then sha256 of it",
        memory: peak(&mut save(&path("watched", 0)))?,
        peers: bench.rivals.measure(|peer| {
            // Whoever would not write over a file.
            let _ = fs_err::remove_file(path("peer", 0));
            settle()?;
            run(&mut peer.save(name, &path("peer", 0)))
        })?,
    });
    let load = |turn: usize| {
        let mut load = workspace.gantry(["load", "-q", "-i"]);
        load.arg(path("saved", 0)).env("GANTRY_ROOT", path("store", turn));
        load
    };
    let (gantry, floor) = paired(
        runs,
        |turn| {
            settle()?;
            run(&mut load(turn))
        },
        |turn| {
            let into = path("tree", turn);
            fresh(&into)?;
            let unpack = "openssl dgst -sha256 \"$1\" && tar -xf \"$1\" -C \"$2\"";
            let mut floor = Command::new("sh");
            run(floor.args(["-c", unpack, "sh"]).arg(path("floor", 0)).arg(&into))
        },
    )?;
    bench.print(&Row {
        kind: Kind::Load,
        work: format!("load, {of}"),
        gantry,
        floor,
        budget: Some(1.0),
        floor_is: "sha256, then tar -x",
        memory: peak(&mut load(runs))?,
        peers: bench.rivals.measure(|peer| {
            peer.forget(name);
            settle()?;
            run(&mut peer.load(&path("saved", 0)))
        })?,
    });
    Ok(())
}

/// The image as an OCI layout in a tar, with its layers compressed by gzip, out of stores that have
/// never compressed it: those of the row before. The floor compresses as many bytes of the same
/// files, in the same blocks and at the same level, on all processors; it reads, hashes and writes
/// nothing.
fn compressed(bench: &Bench<'_>, trees: &[PathBuf], name: &str, of: &str) -> Result<(), Problem> {
    let workspace = bench.workspace;
    let runs = bench.options.runs.min(5);
    let dockerfile = workspace.path("again");
    fs_err::write(&dockerfile, format!("FROM {name}\n"))?;
    let export = |turn: usize| {
        let to = workspace.path(&format!("layout{turn}.tar")).display().to_string();
        let mut build = workspace.gantry(["build", "-q", "-o"]);
        build.arg(format!("type=oci,compression=gzip,dest={to}")).arg("-f").arg(&dockerfile);
        build.arg(&trees[0]).env("GANTRY_ROOT", workspace.path(&format!("archive.store{turn}")));
        build
    };
    let mut blocks = Vec::new();
    for tree in trees {
        let mut all = Vec::new();
        for file in fs_err::read_dir(tree)? {
            all.extend(fs_err::read(file?.path())?);
        }
        blocks.extend(all.chunks(GZIP_BLOCK).map(<[u8]>::to_vec));
    }
    let (gantry, floor) = paired(
        runs,
        |turn| {
            settle()?;
            run(&mut export(turn))
        },
        |_| deflate(&blocks),
    )?;
    drop(blocks);
    bench.print(&Row {
        kind: Kind::Gzip,
        work: format!("gzip OCI tar, {of}"),
        gantry,
        floor,
        budget: Some(1.0),
        floor_is: "deflate alone, on all processors",
        // The store of the run that looked at the memory of loading.
        memory: peak(&mut export(runs))?,
        peers: bench.rivals.measure_where(|peer| {
            let to = workspace.path("peer.oci.tar");
            let _ = fs_err::remove_file(&to);
            settle()?;
            peer.oci_archive(name, &to).map(|mut save| run(&mut save)).transpose()
        })?,
    });
    Ok(())
}

/// gantry's block size and level for gzip.
const GZIP_BLOCK: usize = 1 << 20;
const GZIP_LEVEL: i32 = 4;

/// Compresses blocks on all processors, and returns how long that took.
fn deflate(blocks: &[Vec<u8>]) -> Result<Duration, Problem> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let level = CompressionLvl::new(GZIP_LEVEL).map_err(|error| format!("{error:?}"))?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut compressor = Compressor::new(level);
        let mut out = Vec::new();
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            out.resize(compressor.gzip_compress_bound(block.len()), 0);
            compressor.gzip_compress(block, &mut out).map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "it panicked")?)
    })?;
    Ok(start.elapsed())
}

/// A registry that runs in the workspace, and ends with this value.
struct Registry {
    child: Child,
    host: String,
    dir: PathBuf,
}

impl Registry {
    /// Starts it; `None` where there is no program.
    fn start(workspace: &Workspace) -> Result<Option<Self>, Problem> {
        let found = Command::new("docker-registry").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let dir = workspace.path("registry");
        fs_err::create_dir_all(&dir)?;
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{host}'}}\n",
            dir.join("data").display()
        );
        fs_err::write(dir.join("config.yml"), config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { child, host, dir };
        let start = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("`docker-registry` does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(registry))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
