//! Types: what may stand where, after a query was parsed whole.

use headwater_model::label::METRIC_NAME;

use super::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ValueType, VectorSelector,
};
use super::error::ParseError;
use super::position::PosRange;
use crate::functions::FunctionId;

/// Checks an expression and settles what depends on types: operators between vectors keep
/// their matching, others lose it.
pub(super) fn check(query: &str, expr: &mut Expr) -> Result<ValueType, ParseError> {
    Checker { query }.expr(expr)
}

/// Checks a selector that stands alone.
pub(super) fn check_selector(query: &str, selector: &VectorSelector) -> Result<(), ParseError> {
    Checker { query }.selector(selector, false)
}

struct Checker<'a> {
    query: &'a str,
}

type Checked<T = ()> = Result<T, ParseError>;

impl Checker<'_> {
    fn fail<T>(&self, range: PosRange, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.query, range, message))
    }

    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let range = expr.range();
        match expr {
            Expr::Number(_) | Expr::String(_) => {}
            Expr::Vector(selector) => self.selector(selector, false)?,
            Expr::Matrix(matrix) => self.selector(&matrix.selector, false)?,
            Expr::Subquery(subquery) => {
                let inner = self.expr(&mut subquery.expr)?;
                if inner != ValueType::Vector {
                    let inner = inner.short();
                    return self.fail(
                        range,
                        format!("subquery is only allowed on instant vector, got {inner} instead"),
                    );
                }
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            Expr::Call(call) => self.call(call)?,
            Expr::Binary(binary) => self.binary(binary, range)?,
            Expr::Unary(unary) => {
                let inner = self.expr(&mut unary.expr)?;
                if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                    let got = headwater_model::quote::go_quoted(inner.documented());
                    return self.fail(
                        range,
                        format!("unary expression only allowed on expressions of type scalar or instant vector, got {got}"),
                    );
                }
            }
            Expr::Paren(paren) => {
                self.expr(&mut paren.expr)?;
            }
        }
        Ok(expr.value_type())
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, context: &str) -> Checked {
        let found = self.expr(expr)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.documented(), found.documented());
        self.fail(
            expr.range(),
            format!("expected type {wanted} in {context}, got {found}"),
        )
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked {
        self.expect(
            &mut aggregate.expr,
            ValueType::Vector,
            "aggregation expression",
        )?;
        let Some(param) = &mut aggregate.param else {
            return Ok(());
        };
        let wanted = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        self.expect(param, wanted, "aggregation parameter")
    }

    fn selector(&self, selector: &VectorSelector, may_be_empty: bool) -> Checked {
        if !selector.name.is_empty() {
            let others = &selector.matchers[..selector.matchers.len() - 1];
            return match others.iter().find(|matcher| matcher.name == METRIC_NAME) {
                Some(twice) => {
                    let quoted = headwater_model::quote::go_quoted;
                    let (first, second) = (quoted(&selector.name), quoted(&twice.value));
                    self.fail(
                        selector.range,
                        format!("metric name must not be set twice: {first} or {second}"),
                    )
                }
                None => Ok(()),
            };
        }
        // Choosing all series by mistake must not be easy.
        if !may_be_empty
            && selector
                .matchers
                .iter()
                .all(|matcher| matcher.matches_empty())
        {
            return self.fail(
                selector.range,
                "vector selector must contain at least one non-empty matcher",
            );
        }
        Ok(())
    }

    fn call(&self, call: &mut Call) -> Checked {
        self.count_arguments(call)?;
        if call.function.id == FunctionId::Info && call.args.len() > 1 {
            return self.info(call);
        }
        let (function, types) = (call.function, call.function.args);
        for (at, arg) in call.args.iter_mut().enumerate() {
            self.argument(arg, types[at.min(types.len() - 1)], function.name)?;
        }
        Ok(())
    }

    fn argument(&self, arg: &mut Expr, wanted: ValueType, function: &str) -> Checked {
        let found = self.expr(arg)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.documented(), found.documented());
        self.fail(
            arg.range(),
            format!("expected type {wanted} in call to function \"{function}\", got {found}"),
        )
    }

    fn count_arguments(&self, call: &Call) -> Checked {
        let (name, found) = (call.function.name, call.args.len());
        let (declared, variadic) = (call.function.args.len(), call.function.variadic);
        if variadic == 0 {
            if declared != found {
                let message =
                    format!("expected {declared} argument(s) in call to \"{name}\", got {found}");
                return self.fail(call.range, message);
            }
            return Ok(());
        }
        let least = declared - 1;
        if found < least {
            let message =
                format!("expected at least {least} argument(s) in call to \"{name}\", got {found}");
            return self.fail(call.range, message);
        }
        let most = least + usize::try_from(variadic).unwrap_or(usize::MAX - least);
        if found > most {
            let message =
                format!("expected at most {most} argument(s) in call to \"{name}\", got {found}");
            return self.fail(call.range, message);
        }
        Ok(())
    }

    /// The second argument of `info()` is a bare set of matchers, which may all match the empty value.
    fn info(&self, call: &mut Call) -> Checked {
        let range = call.range;
        let [first, second, ..] = call.args.as_mut_slice() else {
            return Ok(());
        };
        let found = second.value_type();
        if found != ValueType::Vector {
            let found = found.documented();
            return self.fail(
                range,
                format!("expected type instant vector in call to function \"info\", got {found}"),
            );
        }
        match second {
            Expr::Vector(selector) if selector.name.is_empty() => {
                self.argument(first, ValueType::Vector, "info")?;
                self.selector(selector, true)
            }
            Expr::Vector(selector) => self.fail(
                selector.range,
                "expected label selectors only, got vector selector instead",
            ),
            other => self.fail(other.range(), "expected label selectors only"),
        }
    }

    fn binary(&self, binary: &mut Binary, range: PosRange) -> Checked {
        let left = self.expr(&mut binary.lhs)?;
        let right = self.expr(&mut binary.rhs)?;
        let op = binary.op;
        if binary.return_bool && !op.is_comparison() {
            return self.fail(
                self.op_range(binary),
                "bool modifier can only be used on comparison operators",
            );
        }
        let scalars = (left, right) == (ValueType::Scalar, ValueType::Scalar);
        if op.is_comparison() && !binary.return_bool && scalars {
            return self.fail(
                self.op_range(binary),
                "comparisons between scalars must use BOOL modifier",
            );
        }
        self.on_and_group(binary)?;
        for (side, found) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                return self.fail(
                    side.range(),
                    "binary expression must contain only scalar and instant vector types",
                );
            }
        }
        if (left, right) == (ValueType::Vector, ValueType::Vector) {
            return self.vectors(binary, range);
        }
        self.not_vectors(binary, range)
    }

    /// Where the operator stands: after the left side, blanks skipped.
    fn op_range(&self, binary: &Binary) -> PosRange {
        let end = binary.lhs.range().end as usize;
        let blanks = self.query.as_bytes()[end..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        PosRange::new((end + blanks) as u32, binary.rhs.range().start)
    }

    fn on_and_group(&self, binary: &Binary) -> Checked {
        let Some(matching) = binary.matching.as_ref().filter(|matching| matching.on) else {
            return Ok(());
        };
        match matching
            .labels
            .iter()
            .find(|label| matching.include.contains(label))
        {
            Some(label) => {
                let label = headwater_model::quote::go_quoted(label);
                let message =
                    format!("label {label} must not occur in ON and GROUP clause at once");
                self.fail(self.op_range(binary), message)
            }
            None => Ok(()),
        }
    }

    fn vectors(&self, binary: &mut Binary, range: PosRange) -> Checked {
        let op = binary.op;
        let Some(matching) = binary.matching.as_mut().filter(|_| op.is_set()) else {
            return Ok(());
        };
        match matching.cardinality {
            Cardinality::OneToOne | Cardinality::ManyToMany => {
                matching.cardinality = Cardinality::ManyToMany
            }
            _ => {
                return self.fail(
                    range,
                    format!("no grouping allowed for \"{}\" operation", op.as_str()),
                );
            }
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fail(
                range,
                "filling in missing series not allowed for set operators",
            );
        }
        Ok(())
    }

    fn not_vectors(&self, binary: &mut Binary, range: PosRange) -> Checked {
        if let Some(matching) = binary.matching.take() {
            if !matching.labels.is_empty() {
                return self.fail(
                    range,
                    "vector matching only allowed between instant vectors",
                );
            }
            if matching.fill_left.is_some() || matching.fill_right.is_some() {
                return self.fail(
                    range,
                    "filling in missing series only allowed between instant vectors",
                );
            }
        }
        if binary.op.is_set() {
            let op = binary.op.as_str();
            return self.fail(
                range,
                format!("set operator \"{op}\" not allowed in binary scalar expression"),
            );
        }
        Ok(())
    }
}
