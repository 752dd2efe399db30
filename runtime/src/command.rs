//! What is executed, and with which environment: the image's config and the request together.
//!
//! The matrix of ENTRYPOINT and CMD is Docker's (Dockerfile reference, "Understand how CMD and
//! ENTRYPOINT interact"): arguments replace CMD and never the entrypoint; an entrypoint that is
//! given here drops the image's CMD.

use gantry_image::Config;

use crate::{Entrypoint, RunError, RunRequest};

/// What a process finds its programs in, where the image says nothing.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Puts program and arguments together.
///
/// # Errors
/// [`RunError::NoCommand`] if nothing is left to run.
pub(crate) fn argv(request: &RunRequest, config: &Config) -> Result<Vec<String>, RunError> {
    let (mut argv, arguments) = parts(request, config);
    argv.extend(arguments);
    if argv.is_empty() { Err(RunError::NoCommand) } else { Ok(argv) }
}

/// Entrypoint and arguments.
fn parts(request: &RunRequest, config: &Config) -> (Vec<String>, Vec<String>) {
    let (entrypoint, image_cmd): (Vec<String>, &[String]) = match &request.entrypoint {
        Entrypoint::Image => (config.entrypoint.clone(), &config.cmd),
        Entrypoint::Cleared => (Vec::new(), &[]),
        Entrypoint::Program(program) => (vec![program.clone()], &[]),
    };
    let arguments = if request.command.is_empty() { image_cmd } else { &request.command };
    (entrypoint, arguments.to_vec())
}

/// What the container runs as, in the words of an image: what a commit of it gets.
pub(crate) fn config(request: &RunRequest, image: &Config) -> Config {
    let (entrypoint, cmd) = parts(request, image);
    let mut config = Config { entrypoint, cmd, ..image.clone() };
    if let Some(user) = &request.user {
        config.user.clone_from(user);
    }
    if let Some(workdir) = &request.workdir {
        config.working_dir.clone_from(workdir);
    }
    set_all(&mut config.env, &request.env);
    config
}

/// Puts the environment together: `PATH`, `HOSTNAME` and `TERM`, then the image's, then the
/// request's; of two values for one name the later wins, in the earlier one's place.
pub(crate) fn env(
    request: &RunRequest,
    config: &Config,
    hostname: &str,
    terminal: bool,
) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        env.push("TERM=xterm".to_owned());
    }
    set_all(&mut env, &config.env);
    set_all(&mut env, &request.env);
    env
}

fn set_all(env: &mut Vec<String>, variables: &[String]) {
    for variable in variables {
        let name = variable.split('=').next().unwrap_or(variable);
        let same = |other: &String| other.split('=').next() == Some(name);
        match env.iter_mut().find(|other| same(other)) {
            Some(place) => place.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Asserts what is run for the image's ENTRYPOINT and CMD, `--entrypoint`, and arguments.
    fn check(entrypoint: &str, cmd: &str, given: Entrypoint, arguments: &str, expect: &str) {
        let config = Config { entrypoint: words(entrypoint), cmd: words(cmd), ..Config::default() };
        let mut request = RunRequest::new("x");
        request.entrypoint = given;
        request.command = words(arguments);
        let argv = argv(&request, &config).unwrap_or_default();
        assert_eq!(argv, words(expect), "{entrypoint:?} {cmd:?} {arguments:?}");
    }

    #[test]
    fn a6_08_entrypoint_and_cmd() {
        use Entrypoint::{Cleared, Image, Program};
        check("", "", Image, "", "");
        check("", "echo hi", Image, "", "echo hi");
        check("", "echo hi", Image, "date -u", "date -u");
        check("echo", "hi", Image, "", "echo hi");
        check("echo", "hi", Image, "there you", "echo there you");
        check("echo", "hi", Program("cat".into()), "", "cat");
        check("echo", "hi", Program("cat".into()), "/etc/passwd", "cat /etc/passwd");
        check("echo", "hi", Cleared, "ls /", "ls /");
        check("echo", "hi", Cleared, "", "");
    }

    #[test]
    fn a6_13_what_is_given_wins_over_the_image() {
        let config = Config { env: vec!["PATH=/opt".into(), "A=1".into()], ..Config::default() };
        let mut request = RunRequest::new("x");
        request.env = vec!["A=2".into(), "B=".into()];
        assert_eq!(env(&request, &config, "h", false), ["PATH=/opt", "HOSTNAME=h", "A=2", "B="]);
        assert!(env(&request, &config, "h", true).contains(&"TERM=xterm".to_owned()));
    }
}
