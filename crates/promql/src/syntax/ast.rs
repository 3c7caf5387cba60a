//! Expressions as trees. Every node knows where it stands in the query.

use headwater_model::{Matcher, Timestamp};

use super::position::PosRange;
use crate::functions::Function;

/// Any expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// `1.5`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `up{job="a"}`
    Vector(Box<VectorSelector>),
    /// `up[5m]`
    Matrix(Box<MatrixSelector>),
    /// `expr[1h:1m]`
    Subquery(Box<Subquery>),
    /// `sum by (a) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`
    Call(Box<Call>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `-expr`
    Unary(Box<Unary>),
    /// `(expr)`
    Paren(Box<Paren>),
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number at each step.
    Scalar,
    /// Series with one sample each at each step.
    Vector,
    /// Series with samples of a range.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name in error messages and documentation.
    pub const fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }

    /// The short name, as the syntax tree in JSON and a few errors have it.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }
}

/// A number, perhaps written as a duration.
#[derive(Clone, Copy, Debug)]
pub struct NumberLiteral {
    /// The number; seconds for durations.
    pub value: f64,
    /// It was written as a duration.
    pub duration: bool,
    /// Where it stands.
    pub range: PosRange,
}

/// A text in quotes.
#[derive(Clone, Debug)]
pub struct StringLiteral {
    /// What the escapes stand for; bytes that are not UTF-8 have become U+FFFD.
    pub value: String,
    /// The literal in Go's quotes if it held such bytes.
    pub not_utf8: Option<String>,
    /// Where it stands.
    pub range: PosRange,
}

/// A time given with `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds.
    Time(Timestamp),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// A duration in milliseconds, or an expression that gives one when step and range are known.
#[derive(Clone, Debug)]
pub enum Duration {
    /// Milliseconds.
    Fixed(i64),
    /// Worked out before evaluation.
    Expr(Box<DurationExpr>),
}

impl Duration {
    /// Whether it is fixed and zero.
    pub const fn is_zero(&self) -> bool {
        matches!(self, Self::Fixed(0))
    }

    /// Milliseconds, 0 for expressions that are not worked out yet.
    pub const fn millis(&self) -> i64 {
        match self {
            Self::Fixed(millis) => *millis,
            Self::Expr(_) => 0,
        }
    }
}

/// Arithmetic in a duration.
#[derive(Clone, Debug)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// It stands in parentheses.
    pub wrapped: bool,
    /// Where it stands.
    pub range: PosRange,
}

/// The forms of duration arithmetic.
#[derive(Clone, Debug)]
pub enum DurationKind {
    /// A number of seconds or a duration.
    Number(NumberLiteral),
    /// The step of the query.
    Step,
    /// From start to end of the query.
    Range,
    /// A sign, negative if true.
    Sign(bool, Box<DurationExpr>),
    /// `+ - * / % ^`
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
}

/// How a range or an instant selector treats its boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extension {
    /// Samples in the range only.
    #[default]
    None,
    /// The last sample before the range counts as lying on its start.
    Anchored,
    /// Values at both ends are interpolated from the samples around them.
    Smoothed,
}

/// Chooses series by their labels.
#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// The name before the braces; empty if there is none.
    pub name: String,
    /// All conditions; that on the name before the braces comes last.
    pub matchers: Vec<Matcher>,
    /// `offset`, negative for the future.
    pub offset: Duration,
    /// `@`
    pub at: Option<At>,
    /// `anchored` or `smoothed`
    pub extension: Extension,
    /// Where it stands, modifiers included.
    pub range: PosRange,
}

/// Samples of a range of time.
#[derive(Clone, Debug)]
pub struct MatrixSelector {
    /// The series; carries offset, `@` and extension.
    pub selector: VectorSelector,
    /// Length of the range.
    pub window: Duration,
    /// Where it ends in the query.
    pub end: u32,
}

/// An expression evaluated over a range.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// Length of the range.
    pub window: Duration,
    /// Resolution; zero for the default of the engine.
    pub step: Duration,
    /// `offset`, negative for the future.
    pub offset: Duration,
    /// `@`
    pub at: Option<At>,
    /// Where it ends in the query.
    pub end: u32,
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `quantile`
    Quantile,
    /// `topk`
    TopK,
    /// `bottomk`
    BottomK,
    /// `count_values`
    CountValues,
    /// `limitk`
    LimitK,
    /// `limit_ratio`
    LimitRatio,
}

impl AggregateOp {
    /// The name in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Quantile => "quantile",
            Self::TopK => "topk",
            Self::BottomK => "bottomk",
            Self::CountValues => "count_values",
            Self::LimitK => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// Whether it gives some of its input's series as they are, instead of one series a group.
    pub(crate) const fn picks_series(self) -> bool {
        matches!(
            self,
            Self::TopK | Self::BottomK | Self::LimitK | Self::LimitRatio
        )
    }

    /// Whether it takes a parameter before the vector.
    pub const fn has_param(self) -> bool {
        matches!(
            self,
            Self::Quantile
                | Self::TopK
                | Self::BottomK
                | Self::CountValues
                | Self::LimitK
                | Self::LimitRatio
        )
    }

    /// Whether it must be enabled.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::LimitK | Self::LimitRatio)
    }
}

/// `sum by (a, b) (expr)`
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which one.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// The parameter of those that have one.
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// `without` rather than `by`.
    pub without: bool,
    /// Where it stands.
    pub range: PosRange,
}

/// A function call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub range: PosRange,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    GreaterEqual,
    /// `<=`
    LessEqual,
    /// `</`: keeps the observations of a histogram up to a value.
    TrimUpper,
    /// `>/`: keeps the observations of a histogram from a value on.
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// The operator as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterEqual
                | Self::LessEqual
        )
    }

    /// Whether it is `and`, `or` or `unless`.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Whether results mean something else than the operands did, so that they lose the metric name.
    pub const fn changes_meaning(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2
        )
    }

    /// How tightly it binds; higher binds tighter.
    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }
}

/// How many series of either side may match one of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// The name in the syntax tree.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// How series of both sides find each other.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// How many may match.
    pub cardinality: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Labels taken over from the "one" side.
    pub include: Vec<String>,
    /// Stands in for a left side that is missing.
    pub fill_left: Option<f64>,
    /// Stands in for a right side that is missing.
    pub fill_right: Option<f64>,
    /// `fill` was written, which is both at once.
    pub fill_alike: bool,
}

/// `lhs op rhs`
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left of it.
    pub lhs: Expr,
    /// Right of it.
    pub rhs: Expr,
    /// Set if both sides are vectors.
    pub matching: Option<Matching>,
    /// Comparisons answer 0 or 1 instead of filtering.
    pub return_bool: bool,
}

/// `-expr` or `+expr`
#[derive(Clone, Debug)]
pub struct Unary {
    /// It is a minus.
    pub negative: bool,
    /// The operand.
    pub expr: Expr,
    /// Where it begins.
    pub start: u32,
}

/// `(expr)`
#[derive(Clone, Debug)]
pub struct Paren {
    /// What stands inside.
    pub expr: Expr,
    /// Where it stands.
    pub range: PosRange,
}

impl Expr {
    /// Where it stands in the query.
    pub fn range(&self) -> PosRange {
        match self {
            Self::Number(number) => number.range,
            Self::String(text) => text.range,
            Self::Vector(selector) => selector.range,
            Self::Matrix(matrix) => PosRange::new(matrix.selector.range.start, matrix.end),
            Self::Subquery(subquery) => PosRange::new(subquery.expr.range().start, subquery.end),
            Self::Aggregate(aggregate) => aggregate.range,
            Self::Call(call) => call.range,
            Self::Binary(binary) => binary.lhs.range().merge(binary.rhs.range()),
            Self::Unary(unary) => PosRange::new(unary.start, unary.expr.range().end),
            Self::Paren(paren) => paren.range,
        }
    }

    /// What it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Call(call) => call.function.returns,
            Self::Binary(binary) => {
                let both = (binary.lhs.value_type(), binary.rhs.value_type());
                if both == (ValueType::Scalar, ValueType::Scalar) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            Self::Unary(unary) => unary.expr.value_type(),
            Self::Paren(paren) => paren.expr.value_type(),
        }
    }

    /// The expression without the parentheses around it.
    pub fn unwrapped(&self) -> &Expr {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }

    /// Calls `visit` for this expression and everything in it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        self.children(&mut |child| child.walk(visit));
    }

    /// Calls `visit` for the direct children.
    pub fn children<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {}
            Self::Subquery(subquery) => visit(&subquery.expr),
            Self::Aggregate(aggregate) => {
                visit(&aggregate.expr);
                if let Some(param) = &aggregate.param {
                    visit(param);
                }
            }
            Self::Call(call) => call.args.iter().for_each(visit),
            Self::Binary(binary) => {
                visit(&binary.lhs);
                visit(&binary.rhs);
            }
            Self::Unary(unary) => visit(&unary.expr),
            Self::Paren(paren) => visit(&paren.expr),
        }
    }
}
