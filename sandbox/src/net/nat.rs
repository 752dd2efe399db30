//! Address translation and forwarding, in a table of our own that nobody else's rules are in.

use std::io::Write;
use std::process::{Command, Stdio};

use super::pool::Subnet;
use super::{find_program, setup};
use crate::NetworkError;

/// Lets the bridge's network out, and in only what answers it or was published.
pub(super) fn add(bridge: &str, subnet: Subnet) -> Result<(), NetworkError> {
    let table = table(bridge);
    let rules = format!(
        "table ip {table} {{
           chain postrouting {{
             type nat hook postrouting priority srcnat; policy accept;
             ip saddr {subnet} oifname != \"{bridge}\" masquerade
           }}
           chain forward {{
             type filter hook forward priority filter; policy accept;
             iifname \"{bridge}\" accept
             oifname \"{bridge}\" ct state established,related accept
             oifname \"{bridge}\" ct status dnat accept
             oifname \"{bridge}\" drop
           }}
         }}"
    );
    // Declared first, so that deleting it is no error where it is not there.
    nft(&format!("table ip {table}\ndelete table ip {table}\n{rules}\n"))
}

/// Takes them back.
pub(super) fn remove(bridge: &str) -> Result<(), NetworkError> {
    let table = table(bridge);
    nft(&format!("table ip {table}\ndelete table ip {table}\n"))
}

/// `gantry` for the first bridge.
fn table(bridge: &str) -> &str {
    if bridge == "gantry0" { "gantry" } else { bridge }
}

/// Turns forwarding on.
pub(super) fn forward() -> Result<(), NetworkError> {
    const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
    let on = fs_err::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "1");
    if on { Ok(()) } else { fs_err::write(SWITCH, "1").map_err(setup("turn on IP forwarding")) }
}

fn nft(rules: &str) -> Result<(), NetworkError> {
    let program = find_program("nft").ok_or_else(|| NetworkError::Unavailable {
        reason: "`nft` is not installed (package `nftables`)".to_owned(),
    })?;
    let mut child = Command::new(program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(setup("run `nft`"))?;
    if let Some(mut input) = child.stdin.take() {
        // An error here shows in its exit status.
        let _ = input.write_all(rules.as_bytes());
    }
    let output = child.wait_with_output().map_err(setup("run `nft`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NetworkError::Tool { tool: "nft", output: said })
}
