//! SecretsUsedInArgOrEnv: names of ARG and ENV that sound like secrets, which end up in the image.

use super::{File, Findings, Rule};
use crate::Word;
use crate::ast::Instruction;
use crate::go::quote;

pub(super) const RULE: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    description: "Sensitive data should not be used in the ARG or ENV commands",
    experimental: false,
    page: include_str!("secrets_used_in_arg_or_env.md"),
    check,
};

const SECRETS: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// One of these beside it, and it is no secret after all.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

fn check(file: &File<'_>, findings: &mut Findings) {
    for statement in file.deep() {
        let names: Vec<&Word> = match &statement.instruction {
            Instruction::Arg(arg) => arg.definitions.iter().map(|arg| &arg.name).collect(),
            Instruction::Env(env) => env.pairs.iter().map(|pair| &pair.key).collect(),
            _ => continue,
        };
        for name in names.into_iter().filter(|name| sounds_secret(&name.text)) {
            let message = format!(
                "Do not use ARG or ENV instructions for sensitive data ({} {})",
                statement.instruction.name(),
                quote(&name.text)
            );
            findings.add(&RULE, message, name.span, statement);
        }
    }
}

/// Says whether a variable of this name probably holds a secret.
#[must_use]
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let any = |words: &[&str]| name.split('_').any(|part| words.contains(&part));
    any(&SECRETS) && !any(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_underscores_count() {
        for secret in ["API_KEY", "token", "DATABASE_PASSWORD", "secret_message"] {
            assert!(sounds_secret(secret), "{secret}");
        }
        for fine in ["TOKENS", "monkey", "PUBLIC_KEY", "PASSWORD_FILE", "TOKEN_VERSION"] {
            assert!(!sounds_secret(fine), "{fine}");
        }
    }
}
