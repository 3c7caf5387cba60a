//! Templates, data and what comes out, as Go's text/template gives it.

use headwater_template::{Data, Error, Funcs, Kind, Limits, Object, Signature, Template, Value};

/// The cases: name, template and result, separated by lines of dashes.
const CASES: &str = include_str!("data/cases.txt");

#[derive(Debug)]
struct Clock(i64);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "clock({})", self.0)
    }
}

impl Object for Clock {
    fn type_name(&self) -> &str {
        "test.Clock"
    }
    fn field(&self, name: &str) -> Option<Value> {
        (name == "Ticks").then_some(Value::Int(self.0))
    }
    fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        match (name, args) {
            ("Plus", [Value::Int(n)]) => Some(Ok(Value::object(Clock(self.0 + n)))),
            ("Plus", _) => Some(Err("Plus wants an int".to_owned())),
            _ => None,
        }
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn data() -> Value {
    Value::map([
        ("s", Value::from("text")),
        ("empty", Value::from("")),
        ("n", Value::Int(7)),
        ("f", Value::Float(1435065584.128)),
        ("t", Value::Bool(true)),
        ("list", Value::list([1i64.into(), 2i64.into(), 3i64.into()])),
        ("none", Value::list([])),
        ("labels", Value::string_map([("a", "x"), ("b", "y")])),
        ("clock", Value::object(Clock(5))),
        ("nested", Value::map([("k", Value::Int(1))])),
    ])
}

fn funcs() -> Funcs {
    let mut funcs = Funcs::new();
    funcs.add("upper", Signature::of(&[Kind::Str]), |args| {
        Ok(Value::from(
            args[0].as_str().unwrap_or_default().to_uppercase(),
        ))
    });
    funcs.add("half", Signature::of(&[Kind::Float]), |args| {
        match args[0] {
            Value::Float(f) => Ok(Value::Float(f / 2.0)),
            _ => Err("not a float".to_owned()),
        }
    });
    funcs.add("twice", Signature::of(&[Kind::Int]), |args| match args[0] {
        Value::Int(n) => Ok(Value::Int(n * 2)),
        _ => Err("not an int".to_owned()),
    });
    funcs.add("fail", Signature::of(&[]), |_| Err("as told".to_owned()));
    funcs
}

fn run(text: &str) -> String {
    let result = Template::parse("t", text, &funcs()).and_then(|t| t.execute(&data()));
    result.unwrap_or_else(|e| e.to_string())
}

#[test]
fn cases() {
    let mut seen = 0;
    for case in CASES.split("\n----\n") {
        let (text, want) = case.split_once("\n--\n").expect("a case has two halves");
        assert_eq!(run(text), want.trim_end_matches('\n'), "{text}");
        seen += 1;
    }
    assert!(seen > 60, "only {seen} cases");
}

#[test]
fn borrowed_data_answers_texts_and_calls() {
    struct Line<'a>(&'a str);
    impl Data for Line<'_> {
        fn text(&self, name: &str) -> Option<&str> {
            Some(if name == "msg" { self.0 } else { "" })
        }
        fn whole(&self) -> Value {
            Value::string_map([("msg", self.0)])
        }
        fn call(&self, name: &str, _: &[Value]) -> Result<Value, String> {
            Ok(Value::from(format!("{name}!")))
        }
    }
    let mut funcs = Funcs::new();
    funcs.add_data("__line__", Signature::of(&[]));
    let text = "{{.msg}}|{{.no}}|{{__line__}}|{{.}}|{{ define \"T\" }}<{{ .msg }}>{{ end }}{{ template \"T\" . }}";
    let template = Template::parse("line", text, &funcs).expect("parses");
    let out = template.execute(&Line("hi")).expect("runs");
    assert_eq!(out, "hi||__line__!|map[msg:hi]|<hi>");
}

#[test]
fn bounds_hold() {
    let mut limits = Limits::default();
    limits.max_output_bytes = 1000;
    limits.max_steps = 1000;
    for text in [
        "{{ range 1000000000 }}{{ end }}",
        "{{ $x := \"xxxxxxxx\" }}{{ range 60 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}",
        "{{ range 500 }}xxxxxxxxxx{{ end }}",
        "{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}",
    ] {
        let template = Template::parse("t", text, &funcs())
            .expect("parses")
            .with_limits(limits);
        let error = template.execute(&data()).expect_err(text);
        let deep = matches!(&error, Error::Execute(e) if e.contains("maximum template depth"));
        assert!(deep || matches!(error, Error::Limit(_)), "{text}: {error}");
    }
}

#[test]
fn names_the_fields_it_reads() {
    let fields = |text: &str| {
        let template = Template::parse("t", text, &funcs()).expect("parses");
        template.fields().map(|f| f.join(","))
    };
    assert_eq!(
        fields("{{.b}} {{ if .a }}{{ upper .c }}{{ end }}").as_deref(),
        Some("a,b,c")
    );
    assert_eq!(
        fields("{{ $.x }}{{ with $y := .z }}{{ $y }}{{ end }}").as_deref(),
        Some("x,z")
    );
    assert_eq!(fields("{{ range $k, $v := . }}{{ $k }}{{ end }}"), None);
}
