//! Selectors in parameters.

use headwater_model::Matcher;
use headwater_promql::{Expr, ParseError, ParseOptions, parse, parse_selector};

use crate::error::{ApiError, ErrorType};
use crate::form::Form;

/// The matchers of every `match[]`, at most `bound` of them.
///
/// # Errors
/// One is not a selector, or would choose every series, or there are too many.
pub(crate) fn match_parameters(
    form: &Form,
    syntax: ParseOptions,
    bound: usize,
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    if form.all("match[]").count() > bound {
        return Err(ApiError::new(
            ErrorType::TooLarge,
            format!("request has more than {bound} match[] parameters"),
        ));
    }
    form.all("match[]")
        .map(|text| selector(text, syntax))
        .collect()
}

/// The matchers of one selector.
///
/// # Errors
/// The text is not a selector, or would choose every series.
pub(crate) fn selector(text: &str, syntax: ParseOptions) -> Result<Vec<Matcher>, ApiError> {
    match parse_selector(text, syntax) {
        Ok(selector) => Ok(selector.matchers),
        Err(error) if chooses_everything(&error) => Err(ApiError::bad_data(
            "match[] must contain at least one non-empty matcher",
        )),
        Err(error) => Err(ApiError::bad_data(error)),
    }
}

fn chooses_everything(error: &ParseError) -> bool {
    error
        .message
        .ends_with("must contain at least one non-empty matcher")
}

/// The matchers of every selector in an expression.
///
/// # Errors
/// The text is not an expression.
pub(crate) fn selectors_in(
    expression: &str,
    syntax: ParseOptions,
) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let tree = parse(expression, syntax).map_err(ApiError::bad_data)?;
    let mut found = Vec::new();
    tree.walk(&mut |node| match node {
        Expr::Vector(selector) => found.push(selector.matchers.clone()),
        Expr::Matrix(matrix) => found.push(matrix.selector.matchers.clone()),
        _ => {}
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_in_expressions() {
        let found = selectors_in("sum(rate(a[5m])) / b{x=\"1\"}", ParseOptions::stable()).unwrap();
        let texts: Vec<_> = found.iter().map(|set| set.len()).collect();
        assert_eq!(texts, [1, 2]);
        assert!(
            selectors_in("1 + 2", ParseOptions::stable())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn everything_is_refused() {
        let error = selector("{a=\"\"}", ParseOptions::stable()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "match[] must contain at least one non-empty matcher"
        );
    }
}
