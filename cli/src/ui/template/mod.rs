//! Go templates, as far as `--format` is used: `{{.ID}}`, `{{json .Config}}`, `{{range .Layers}}`.
//!
//! Data are JSON values. There are fields, `$` and variables, pipelines, `if`, `range`, `with`,
//! comments and trimming (`{{-`), and docker's functions ([`functions`]). What Go's `text/template`
//! has beyond that (`define`, `block`, `break`, method calls) is refused when the text is parsed.

mod eval;
mod functions;
mod lex;
mod parse;
mod value;

use serde_json::Value;

/// A template that has been parsed.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<parse::Node>,
}

/// Why a template can't be parsed, or doesn't fit its data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// The text is no template.
    #[error("template parsing error: {0}")]
    Syntax(String),
    /// The data have no such field.
    #[error("template: there is no field `{field}` in {within}")]
    NoField {
        /// The field asked for.
        field: String,
        /// The fields that there are, or what kind of value was found instead of some.
        within: String,
    },
    /// A function was given what it can't work on.
    #[error("template: {0}")]
    Call(String),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { nodes: parse::parse(lex::lex(text)?)? })
    }

    /// Fills the template from `data`.
    ///
    /// # Errors
    /// [`TemplateError::NoField`] and [`TemplateError::Call`]; nothing is half printed.
    pub(crate) fn render(&self, data: &Value) -> Result<String, TemplateError> {
        eval::render(&self.nodes, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(template: &str, expect: &str) {
        let data = json!({
            "Id": "sha256:abc", "Size": 12, "None": null, "Tags": ["a:1", "b:2"],
            "Config": { "Cmd": ["sh", "-c"], "Labels": { "x.y": "1", "k": "v" }, "Env": [] },
        });
        let got = Template::parse(template).and_then(|template| template.render(&data));
        let got = got.unwrap_or_else(|err| format!("error: {err}"));
        assert_eq!(got, expect, "{template}");
    }

    #[test]
    fn fields_and_values_print_as_go_prints_them() {
        check("{{.Id}} {{ .Size }}", "sha256:abc 12");
        check("{{.Config.Cmd}}", "[sh -c]");
        check("{{.Config.Labels}}", "map[k:v x.y:1]");
        check("{{.None}}", "<no value>");
        check("a {{- .Size -}} \n b", "a12b");
        check("{{/* nothing */}}x", "x");
        check("{{$.Size}}{{$x := .Size}}{{$x}}", "1212");
    }

    #[test]
    fn functions_and_pipelines() {
        check("{{json .Config.Cmd}}", r#"["sh","-c"]"#);
        check("{{.Config.Env | json}}", "[]");
        check("{{join .Tags \", \"}}", "a:1, b:2");
        check("{{index .Tags 1}} {{index .Config.Labels \"x.y\"}}", "b:2 1");
        check("{{index .Config.Labels \"absent\"}}|", "|");
        check("{{len .Tags}} {{upper \"x\"}} {{.Id | printf \"%-12s|\"}}", "2 X sha256:abc  |");
        check("{{printf `%q %d` .Id .Size}}", "\"sha256:abc\" 12");
        check("{{(index .Tags 0) | split \":\"}}", "[:]");
        check("{{split (index .Tags 0) \":\"}}", "[a 1]");
        check("{{title \"an image\"}}", "An Image");
        check("{{truncate .Id 6}}", "sha256");
        check("{{println .Size}}", "12\n");
    }

    #[test]
    fn branches_and_loops() {
        check("{{range .Tags}}<{{.}}>{{end}}", "<a:1><b:2>");
        check("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "k=v;x.y=1;");
        check("{{range $i, $t := .Tags}}{{if $i}},{{end}}{{$t}}{{end}}", "a:1,b:2");
        check("{{range .Config.Env}}x{{else}}none{{end}}", "none");
        check("{{if eq .Size 12}}twelve{{else if .None}}b{{else}}c{{end}}", "twelve");
        check("{{if and .Size (not .None)}}y{{end}}", "y");
        check("{{with .Config}}{{.Cmd}}{{end}}{{with .None}}x{{end}}", "[sh -c]");
    }

    #[test]
    fn mistakes_are_named() {
        check(
            "{{.Bogus}}",
            "error: template: there is no field `Bogus` in Config, Id, None, Size, Tags",
        );
        check("{{.Size.X}}", "error: template: there is no field `X` in a number");
        check("{{bogus .Id}}", "error: template parsing error: function \"bogus\" not defined");
        check("{{.Id", "error: template parsing error: unclosed action");
        check("{{if .Id}}x", "error: template parsing error: `if` has no `end`");
        check("{{end}}", "error: template parsing error: unexpected {{end}}");
        check("{{.Id | }}", "error: template parsing error: a pipeline has an empty part");
        check("{{define \"x\"}}", "error: template parsing error: `define` is not supported");
        check("{{json}}", "error: template: `json` takes one value");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{\\{|\\}\\}|[-. a-z\"`$|()0-9:=]|if |range |end|else|\\.Tags|json ){0,24}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.render(&json!({"Tags": ["a"], "a": 1}));
            }
        }
    }
}
