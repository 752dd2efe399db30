//! Measures gantry against floors made of plain tools, in one run.
fn main() {}
