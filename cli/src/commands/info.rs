//! `gantry info`: what is in the store, and what this host offers to steps and containers.

use std::path::Path;
use std::process::ExitCode;

use gantry_runtime::{Containers, Status};
use gantry_sandbox::{CgroupVersion, Finding, Host, Overlay, State};
use serde_json::{Value, json};

use super::Context;
use crate::privilege;
use crate::ui::{Failure, human, listing};

/// Display system-wide information
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry info [OPTIONS]")]
pub(crate) struct InfoArgs {
    /// Format output: 'json' or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
}

pub(crate) fn run(args: &InfoArgs, context: &Context) -> Result<ExitCode, Failure> {
    let root = context.root()?;
    let host = gantry_sandbox::probe();
    // What a build would find: an ordinary user's is the host as seen from the user namespace. If
    // none can be made, that is what has to be told.
    if let Ok(Some(code)) = privilege::escalate(&host) {
        return Ok(code);
    }
    let counts = match context.existing_store()? {
        Some(store) => Counts {
            images: store.images().list()?.len(),
            containers: Containers::new(&store).list()?.iter().map(|(_, status)| *status).collect(),
        },
        None => Counts::default(),
    };
    match &args.format {
        Some(format) => {
            listing::print_one(format, &data(&root, &host, &counts), &context.ui)?;
        }
        None => {
            let data = data(&root, &host, &counts);
            context.ui.write(&text(&data, &host.report(&root)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is in the store.
#[derive(Debug, Default)]
struct Counts {
    images: usize,
    containers: Vec<Status>,
}

/// The facts, under docker's names where docker has them.
fn data(root: &Path, host: &Host, counts: &Counts) -> Value {
    let running = counts.containers.iter().filter(|status| **status == Status::Running).count();
    let uname = rustix::system::uname();
    let total_memory = fs_err::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?.to_owned();
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let os = fs_err::read_to_string("/etc/os-release").ok().and_then(|text| {
        let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(name.trim_matches('"').to_owned())
    });
    let driver = match host.overlay(root) {
        Overlay::Available { .. } => "overlay",
        Overlay::Unavailable { .. } => "copy",
    };
    let cgroups = match host.cgroups() {
        CgroupVersion::V1 => "1",
        CgroupVersion::V2 => "2",
        CgroupVersion::None { .. } => "none",
    };
    json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Root": root,
        "Images": counts.images,
        "Containers": counts.containers.len(),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": counts.containers.len() - running,
        "Driver": driver,
        "CgroupVersion": cgroups,
        "Rootless": !host.is_root() || host.in_user_namespace(),
        "KernelVersion": uname.release().to_string_lossy(),
        "OperatingSystem": os.unwrap_or_default(),
        "OSType": "linux",
        "Architecture": uname.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(0, usize::from),
        "MemTotal": total_memory.unwrap_or(0) * 1024,
        "Name": uname.nodename().to_string_lossy(),
    })
}

fn text(data: &Value, findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!(" {name}: {value}\n"));
    let field = |name: &str| match &data[name] {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    line("Version", field("ServerVersion"));
    line("Store", field("Root"));
    line("Containers", field("Containers"));
    line(" Running", field("ContainersRunning"));
    line(" Stopped", field("ContainersStopped"));
    line("Images", field("Images"));
    line("Storage Driver", field("Driver"));
    line("Cgroup Version", field("CgroupVersion"));
    line("Rootless", field("Rootless"));
    line("Kernel Version", field("KernelVersion"));
    line("Operating System", field("OperatingSystem"));
    line("Architecture", field("Architecture"));
    line("CPUs", field("NCPU"));
    line("Total Memory", human::size(data["MemTotal"].as_u64().unwrap_or(0)));
    line("Name", field("Name"));
    text.push_str("\nWhat this host offers:\n");
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Limited => "limited",
            State::Missing => "missing",
        };
        text.push_str(&format!(" {state:<8} {}: {}\n", finding.name, finding.detail));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("          hint: {fix}\n"));
        }
    }
    text
}
