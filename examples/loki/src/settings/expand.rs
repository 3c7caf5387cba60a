//! `${VAR}` and `${VAR:default}` in a settings file.

/// The text with variables replaced; `$$` stands for a dollar.
pub(super) fn expand(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let (name, after) = inner
                .split_once('}')
                .ok_or("a ${ in the settings file is not closed")?;
            let (name, default) = name.split_once(':').unwrap_or((name, ""));
            out.push_str(&variable(name).unwrap_or_else(|| default.to_owned()));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let variable = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(
            expand("x${A}y${B:2}z${C}$$ $5", variable).unwrap(),
            "x1y2z$ $5"
        );
        assert!(expand("${A", variable).is_err());
    }
}
