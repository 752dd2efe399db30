//! DL3064: names of ARG and ENV that sound like secrets.

use super::{File, Findings, Level, Rule};
use crate::Word;
use crate::ast::Instruction;

pub(super) const RULE: Rule = Rule {
    code: "DL3064",
    level: Level::Warning,
    message: "Potentially sensitive data should not be used in the `ARG` or `ENV` commands",
    same_as: Some("SecretsUsedInArgOrEnv"),
    page: include_str!("dl3064.md"),
    check,
};

/// What names of secrets have in them.
const PARTS: [&str; 7] =
    ["api_key", "client_key", "password", "private", "secret", "token", "username"];

/// Other names that services are known to use.
const NAMES: [&str; 13] = [
    "application_key",
    "aws_access_key_id",
    "ci_deploy_user",
    "docker_email",
    "facebook_app_id",
    "heroku_api_user",
    "okta_authn_groupid",
    "okta_client_orgurl",
    "okta_oauth2_clientid",
    "stripe_device_name",
    "travis_os_name",
    "travis_secure_env_vars",
    "travis_sudo",
];

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    for statement in &file.dockerfile.statements {
        let inner = match &statement.instruction {
            Instruction::Onbuild(onbuild) => &onbuild.trigger.instruction,
            instruction => instruction,
        };
        let names: Vec<&Word> = match inner {
            Instruction::Arg(arg) => arg.definitions.iter().map(|arg| &arg.name).collect(),
            Instruction::Env(env) => env.pairs.iter().map(|pair| &pair.key).collect(),
            _ => continue,
        };
        for name in names {
            let lower = name.text.to_lowercase();
            if NAMES.contains(&lower.as_str()) || PARTS.iter().any(|part| lower.contains(part)) {
                findings.add(name.span, statement);
            }
        }
    }
}
