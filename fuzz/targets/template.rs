//! Templates of Go's text/template language, executed on an empty value.
#![no_main]

use headwater_template::{Funcs, Template, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse("fuzz", text, &Funcs::default()) {
        let _ = template.execute(&Value::Nil);
    }
});
