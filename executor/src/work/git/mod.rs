//! Git sources: the tree of one commit, fetched by the `git` program (B6-21).
//!
//! A reference is looked up every time; what was checked out before for the commit that it leads
//! to is used again, and a reference that is a commit needs no connection then. The key of whoever
//! uses it is the commit, never the address or a credential.
//!
//! ```text
//! remote     addresses that may be connected to; credentials for them
//! program    git as it is run: no hooks, no configuration of the host, nobody to ask
//! reference  which commit a reference leads to
//! checkout   a commit → a layer
//! ```
//!
//! Why the program: it knows every transport, server and credential rule that people's git knows,
//! its checks of hostile repositories are the ones that get looked at, and it is needed only where
//! a Dockerfile names a repository.

mod checkout;
mod program;
mod reference;
mod remote;

use gantry_cache::{Key, LayerId, NewRecord};
use gantry_solver::op::GitOp;
use gantry_solver::{CancelToken, SourceAnswer};

use self::program::Git;
use self::reference::Commit;
use self::remote::Remote;
use super::Executor;
use super::fault::Fault;
use super::stack::layer_ref;

/// Finds the commit that is meant, and checks it out unless that was done before; also returns the
/// time of the commit, in seconds since 1970.
pub(super) fn fetch(
    executor: &Executor,
    op: &GitOp,
    cancel: &CancelToken,
) -> Result<(SourceAnswer, i64), Fault> {
    let remote = Remote::new(executor, &op.remote)?;
    let work = executor.store.work_dir()?;
    let git = Git::new(executor, &remote, &work, cancel)?;
    let commit = reference::find(&git, &remote, op)?;
    executor.note_git(op, &commit.id);
    let key = key(&remote, op, &commit);
    let (layer, time) = match known(executor, &key)? {
        Some(known) => known,
        None => {
            let made = checkout::check_out(executor, &git, &remote, op, &commit, &work)?;
            save(executor, &key, &made.0, made.1)?;
            made
        }
    };
    // Where `.git` stays, it also holds the name that was asked for.
    let name = commit.name.as_deref().filter(|_| op.keep_git_dir).unwrap_or_default();
    let identity = format!("{} {name}", commit.id);
    let digest = blake3::derive_key("gantry git commit 1", identity.as_bytes());
    Ok((SourceAnswer { digest, own: vec![layer_ref(&layer)] }, time))
}

fn key(remote: &Remote, op: &GitOp, commit: &Commit) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("gantry git 1");
    let name = commit.name.as_deref().filter(|_| op.keep_git_dir).unwrap_or_default();
    let flags = [op.keep_git_dir, op.submodules, op.commit_time == Some(true)]
        .map(|flag| if flag { "1" } else { "0" });
    let parts = [&remote.address, &commit.id, op.subdir.as_deref().unwrap_or_default(), name];
    for part in parts.into_iter().chain(flags) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Key(*hasher.finalize().as_bytes())
}

/// The layer of an earlier checkout, and the time of its commit.
fn known(executor: &Executor, key: &Key) -> Result<Option<(LayerId, i64)>, Fault> {
    let Some(record) = executor.store.records().get(key)? else { return Ok(None) };
    let time = std::str::from_utf8(&record.extra).ok().and_then(|text| text.parse().ok());
    match (record.layers.as_slice(), time) {
        ([layer], Some(time)) if executor.keep(layer)? => Ok(Some((*layer, time))),
        _ => Ok(None),
    }
}

fn save(executor: &Executor, key: &Key, layer: &LayerId, time: i64) -> Result<(), Fault> {
    Ok(executor.store.records().put(&NewRecord::of_no_step(
        *key,
        &[*layer],
        time.to_string().as_bytes(),
    ))?)
}
