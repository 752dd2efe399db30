//! A rule's page.

use gantry_parser::{did_you_mean, lint};

use crate::ui::Failure;

/// The page of a rule of either set; case does not matter.
pub(super) fn page(name: &str) -> Result<&'static str, Failure> {
    let rules = || {
        let buildkit = lint::RULES.iter().map(|rule| (rule.name, rule.page));
        buildkit.chain(lint::hadolint::RULES.iter().map(|rule| (rule.code, rule.page)))
    };
    if let Some((_, page)) = rules().find(|(rule, _)| rule.eq_ignore_ascii_case(name)) {
        return Ok(page);
    }
    let failure = Failure::text(format_args!("There is no rule `{name}`"));
    let names: Vec<&str> = rules().map(|(rule, _)| rule).collect();
    Err(match did_you_mean(name, &names, false) {
        Some(_) => {
            let nearest = names.iter().find(|rule| did_you_mean(name, [rule], false).is_some());
            failure.with_hint(format!("Did you mean `{}`?", nearest.unwrap_or(&name)))
        }
        None => failure.with_hint(format!("There are {}", names.join(", "))),
    })
}
