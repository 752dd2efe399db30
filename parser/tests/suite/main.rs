//! Behaviour of the parser as others see it.

mod adversarial;
mod dump;
mod expansion;
mod format;
mod glob;
mod golden;
mod ignore;
mod layout;
mod lint;
mod onbuild;
mod rows;
