//! Lists of things: what `--format`, `-q` and `--no-trunc` make of rows of named texts.

use serde_json::{Map, Value};

use super::template::{Template, TemplateError};
use super::{Failure, Ui, table};

/// What a command lists.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The columns that a template may name, each with its heading in a table.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// The template of the table that is shown when no `--format` is given.
    pub(crate) default: &'static str,
    /// The column that `-q` shows.
    pub(crate) key: &'static str,
}

/// How a list is shown.
#[derive(Debug)]
pub(crate) enum Format {
    /// In columns; the template's tabs end the cells.
    Table(Template),
    /// One JSON object a line.
    Json,
    /// The template once for each row.
    Lines(Template),
}

/// A row: a text for every column.
pub(crate) type Row = Map<String, Value>;

/// Makes a row.
pub(crate) fn row<const N: usize>(cells: [(&str, Value); N]) -> Row {
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Listing {
    /// Reads `--format` and `-q`; `-q` counts for nothing when a template is given.
    ///
    /// # Errors
    /// The template is none.
    pub(crate) fn format(&self, format: Option<&str>, quiet: bool) -> Result<Format, Failure> {
        let template = |text: &str| {
            // What a shell passes on as `\t` is meant as a tab.
            Template::parse(&text.replace("\\t", "\t").replace("\\n", "\n")).map_err(Failure::usage)
        };
        match format {
            None | Some("" | "table") if quiet => {
                Ok(Format::Lines(template(&format!("{{{{.{}}}}}", self.key))?))
            }
            None | Some("" | "table") => Ok(Format::Table(template(self.default)?)),
            Some("json") => Ok(Format::Json),
            Some(text) => match text.strip_prefix("table ") {
                Some(text) => Ok(Format::Table(template(text.trim_start())?)),
                None => Ok(Format::Lines(template(text)?)),
            },
        }
    }

    /// Writes the rows to stdout.
    ///
    /// # Errors
    /// The template names a column that isn't there; stdout can't be written to.
    pub(crate) fn print(&self, format: &Format, rows: Vec<Row>, ui: &Ui) -> Result<(), Failure> {
        Ok(ui.write(&self.render(format, rows)?)?)
    }

    fn render(&self, format: &Format, rows: Vec<Row>) -> Result<String, TemplateError> {
        match format {
            Format::Json => {
                Ok(rows.into_iter().map(|row| format!("{}\n", Value::Object(row))).collect())
            }
            Format::Lines(template) => rows
                .into_iter()
                .map(|row| Ok(template.render(&Value::Object(row))? + "\n"))
                .collect(),
            Format::Table(template) => {
                let headings =
                    self.columns.iter().map(|(name, head)| ((*name).to_owned(), (*head).into()));
                let mut lines = vec![template.render(&Value::Object(headings.collect()))?];
                for row in rows {
                    lines.push(template.render(&Value::Object(row))?);
                }
                Ok(table::align(&lines))
            }
        }
    }
}

/// One thing shown by a template, or whole as JSON, for `inspect`, `info` and `version`.
///
/// # Errors
/// The template is none or doesn't fit; stdout can't be written to.
pub(crate) fn print_one(format: &str, data: &Value, ui: &Ui) -> Result<(), Failure> {
    let text = match format {
        "json" => data.to_string(),
        text => Template::parse(text).map_err(Failure::usage)?.render(data)?,
    };
    ui.line(text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRUIT: Listing = Listing {
        columns: &[("ID", "FRUIT ID"), ("Name", "NAME")],
        default: "table {{.ID}}\t{{.Name}}",
        key: "ID",
    };

    fn check(format: Option<&str>, quiet: bool, expect: &str) {
        let fruit = Listing { default: "{{.ID}}\t{{.Name}}", ..FRUIT };
        let rows = [("1", "apple"), ("22", "pear")]
            .map(|(id, name)| row([("ID", id.into()), ("Name", name.into())]));
        let text = fruit
            .format(format, quiet)
            .map_err(|err| err.to_string())
            .and_then(|format| fruit.render(&format, rows.into()).map_err(|err| err.to_string()));
        assert_eq!(text.unwrap_or_else(|err| err), expect);
    }

    #[test]
    fn a_list_takes_every_form() {
        check(None, false, "FRUIT ID   NAME\n1          apple\n22         pear\n");
        check(None, true, "1\n22\n");
        check(Some("{{.Name}}"), true, "apple\npear\n");
        check(
            Some("table {{.Name}}\\t{{.ID}}"),
            false,
            "NAME      FRUIT ID\napple     1\npear      22\n",
        );
        check(
            Some("json"),
            false,
            "{\"ID\":\"1\",\"Name\":\"apple\"}\n{\"ID\":\"22\",\"Name\":\"pear\"}\n",
        );
        check(Some("{{.X}}"), false, "template: there is no field `X` in ID, Name");
    }
}
