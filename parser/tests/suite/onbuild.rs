//! Single instructions read on their own: triggers of a base image (B8-12, B8-14), and changes.

use gantry_parser::{Instruction, SourceFile, parse, parse_change, parse_trigger};

fn trigger(text: &str) -> Result<String, String> {
    let parsed = parse_trigger(&SourceFile::new("trigger", text), '\\');
    match parsed.diagnostics.first() {
        Some(error) => Err(error.message.clone()),
        None => Ok(parsed.dockerfile.statements[0].text.to_string()),
    }
}

#[test]
fn one_instruction_and_not_every_one() {
    assert_eq!(trigger("COPY . /src").unwrap(), "COPY . /src");
    let single = "onbuild trigger should be a single expression";
    assert_eq!(trigger("RUN a\nRUN b").unwrap_err(), single);
    assert_eq!(trigger("").unwrap_err(), single);
    assert_eq!(trigger("FROM a").unwrap_err(), "FROM isn't allowed as an ONBUILD trigger");
    assert!(trigger("ONBUILD RUN a").unwrap_err().contains("isn't allowed"));
}

#[test]
fn what_is_stored_reads_back_as_the_same_trigger() {
    let text = "FROM a\nONBUILD RUN <<A cat > x\n a\\\nA\nonbuild COPY --link a \\\n b\n";
    let parsed = parse(&SourceFile::new("Dockerfile", text));
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    for statement in &parsed.dockerfile.statements[1..] {
        let Instruction::Onbuild(onbuild) = &statement.instruction else { panic!() };
        let again = parse_trigger(&SourceFile::new("t", onbuild.expression.clone()), '\\');
        assert!(again.diagnostics.is_empty(), "{:?}", again.diagnostics);
        let again = &again.dockerfile.statements[0];
        assert_eq!(again.text, onbuild.trigger.text);
        if let (Instruction::Run(a), Instruction::Run(b)) =
            (&again.instruction, &onbuild.trigger.instruction)
        {
            assert_eq!(a.script(), b.script());
        }
    }
}

#[test]
fn a_change_is_one_instruction_of_the_config() {
    let change = |text: &str| {
        let parsed = parse_change(&SourceFile::new("change", text));
        match parsed.diagnostics.first() {
            Some(error) => Err(error.message.clone()),
            None => Ok(parsed.dockerfile.statements[0].instruction.name()),
        }
    };
    assert_eq!(change("CMD [\"sh\"]").unwrap(), "CMD");
    assert_eq!(change("onbuild RUN make").unwrap(), "ONBUILD");
    assert_eq!(change("RUN true").unwrap_err(), "run is not a valid change command");
    let single = "a change should be a single instruction";
    assert_eq!(change("USER a\nUSER b").unwrap_err(), single);
    assert_eq!(change("").unwrap_err(), single);
    assert!(change("EXPOSE").unwrap_err().contains("EXPOSE requires"));
}
