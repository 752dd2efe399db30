//! `HEALTHCHECK`: the last one wins.

use std::time::Duration;

use gantry_image::Healthcheck as Config;
use gantry_parser::{
    Diagnostic, Spanned,
    ast::{Health, Healthcheck},
};

use crate::lower::{go, stage::State};

/// What was not given stays 0 and means the runtime's default.
pub(super) fn lower(state: &mut State, check: &Healthcheck) -> Result<(), Diagnostic> {
    let config = match check {
        Healthcheck::None => Config { test: vec!["NONE".to_owned()], ..Config::default() },
        Healthcheck::Check(health) => config(health),
    };
    state.note(format!("HEALTHCHECK {}", go::healthcheck(&config)));
    state.config.config.healthcheck = Some(config);
    Ok(())
}

fn config(health: &Health) -> Config {
    let nanos = |duration: Option<Spanned<Duration>>| {
        let nanos = duration.map_or(0, |duration| duration.value.as_nanos());
        i64::try_from(nanos).unwrap_or(i64::MAX)
    };
    Config {
        test: health.test(),
        interval: nanos(health.interval),
        timeout: nanos(health.timeout),
        start_period: nanos(health.start_period),
        start_interval: nanos(health.start_interval),
        retries: health.retries.map_or(0, |retries| i64::from(retries.value)),
    }
}
