//! Single parameters, with the words of the original where they are wrong.

use headwater_model::quote::go_quoted;

use crate::error::ApiError;
use crate::form::Form;

/// `limit`: a whole number, 0 or absent for no limit.
pub(crate) fn limit(form: &Form) -> Result<usize, ApiError> {
    match form.first("limit") {
        "" => Ok(0),
        text => {
            let number = go_int(text).map_err(|error| ApiError::parameter("limit", error))?;
            usize::try_from(number)
                .map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
        }
    }
}

/// A whole number that may be absent (`None`), worded as the metadata endpoints word it.
pub(crate) fn plain_number(form: &Form, name: &str) -> Result<Option<i64>, ApiError> {
    match form.first(name) {
        "" => Ok(None),
        text => go_int(text)
            .map(Some)
            .map_err(|_| ApiError::bad_data(format_args!("{name} must be a number"))),
    }
}

/// A number as Go's `strconv.Atoi` reads it.
pub(crate) fn go_int(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let reason = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {reason}", go_quoted(text))
    })
}

/// A boolean as Go's `strconv.ParseBool` reads it.
pub(crate) fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            go_quoted(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_go() {
        assert_eq!(go_int("-12"), Ok(-12));
        assert_eq!(
            go_int("x").unwrap_err(),
            "strconv.Atoi: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            go_int("99999999999999999999").unwrap_err(),
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range"
        );
        assert_eq!(go_bool("T"), Ok(true));
        assert_eq!(
            go_bool("zz").unwrap_err(),
            "strconv.ParseBool: parsing \"zz\": invalid syntax"
        );
    }
}
