//! DL3046: `useradd -l` for high ids.

use super::{File, Findings, Level, Rule};

pub(super) const RULE: Rule = Rule {
    code: "DL3046",
    level: Level::Warning,
    message: "`useradd` without flag `-l` and high UID will result in excessively large Image.",
    same_as: None,
    page: include_str!("dl3046.md"),
    check,
};

fn check(file: &File<'_>, findings: &mut Findings<'_>) {
    file.any_command(findings, |command| {
        let mut words = command.arguments();
        let id = words.find(|word| matches!(*word, "-u" | "--uid")).and_then(|_| words.next());
        let joined = command.arguments().find_map(|word| word.strip_prefix("--uid="));
        let id = id.or(joined).unwrap_or_default();
        command.is("useradd")
            && !command.has(&["-l", "--no-log-init"])
            && id.len() > 5
            && id.bytes().all(|byte| byte.is_ascii_digit())
    });
}
