//! The tree of a query. What it means is written down here; how it prints is in `print`.

use headwater_model::Matcher;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Streams and what is done with their lines.
    Log(LogExpr),
    /// A function over a range of lines.
    Range(Box<RangeAggregation>),
    /// A function over the series of one moment.
    Vector(Box<VectorAggregation>),
    /// Two operands.
    Binary(Box<Binary>),
    /// A number.
    Literal(f64),
    /// `vector(n)`: a number as a vector of one series without labels.
    VectorLiteral(f64),
    /// `label_replace`.
    LabelReplace(Box<LabelReplace>),
}

impl Expr {
    /// Whether the query answers with lines, not numbers.
    pub fn is_log(&self) -> bool {
        matches!(self, Self::Log(_))
    }

    /// All selectors of the query, left to right.
    pub fn selectors(&self) -> Vec<&LogExpr> {
        match self {
            Self::Log(log) => vec![log],
            Self::Range(range) => vec![&range.range.log],
            Self::Vector(vector) => vector.inner.selectors(),
            Self::LabelReplace(replace) => replace.inner.selectors(),
            Self::Literal(_) | Self::VectorLiteral(_) => vec![],
            Self::Binary(binary) => {
                let mut all = binary.left.selectors();
                all.extend(binary.right.selectors());
                all
            }
        }
    }
}

/// A stream selector with its pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    /// Conditions on streams.
    pub matchers: Vec<Matcher>,
    /// What is done with each line, in order.
    pub stages: Vec<Stage>,
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Keeps or drops lines by their text.
    LineFilter(LineFilter),
    /// Reads labels from a JSON object: all fields, or the named paths.
    Json(Vec<Extraction>),
    /// Reads labels from `key=value` pairs.
    Logfmt {
        /// A malformed pair is an error.
        strict: bool,
        /// Keys without a value become labels without a value.
        keep_empty: bool,
        /// Only these keys; none for all.
        fields: Vec<Extraction>,
    },
    /// Reads labels from the named groups of a regular expression.
    Regexp(String),
    /// Reads labels from the captures of a pattern.
    Pattern(String),
    /// Undoes the packing of labels into a JSON object.
    Unpack,
    /// Removes colour escapes.
    Decolorize,
    /// Keeps or drops lines by their labels.
    LabelFilter(LabelFilter),
    /// Writes the line anew from a template.
    LineFormat(String),
    /// Renames labels or writes them anew.
    LabelFormat(Vec<LabelFormat>),
    /// Removes labels.
    Drop(Vec<NamedLabel>),
    /// Removes all other labels.
    Keep(Vec<NamedLabel>),
}

/// A label and where its value is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Extraction {
    /// Name of the label.
    pub label: String,
    /// Path or key.
    pub source: String,
}

/// How a line filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Matches,
    /// `!~`
    NotMatches,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    /// The operator as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::NotContains => "!=",
            Self::Matches => "|~",
            Self::NotMatches => "!~",
            Self::Pattern => "|>",
            Self::NotPattern => "!>",
        }
    }

    /// Whether lines that match are dropped.
    pub const fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotContains | Self::NotMatches | Self::NotPattern
        )
    }
}

/// `|= "a" or "b"`: any of the operands; negated: none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFilter {
    /// How the line is compared.
    pub op: LineOp,
    /// What it is compared with; at least one.
    pub operands: Vec<LineOperand>,
}

/// An operand of a line filter.
#[derive(Debug, Clone, PartialEq)]
pub struct LineOperand {
    /// Text, expression, pattern or address range.
    pub text: String,
    /// Written as `ip("...")`.
    pub ip: bool,
}

/// Comparisons of label filters with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `==` or `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
}

impl CompareOp {
    /// The operator as it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        }
    }

    /// Compares two numbers.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Greater => a > b,
            Self::GreaterEqual => a >= b,
            Self::Less => a < b,
            Self::LessEqual => a <= b,
        }
    }
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    /// Both.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// Either.
    Or(Box<LabelFilter>, Box<LabelFilter>),
    /// A comparison of texts.
    Text(Matcher),
    /// A comparison of numbers.
    Number(String, CompareOp, f64),
    /// A comparison of durations, in nanoseconds.
    Duration(String, CompareOp, i64),
    /// A comparison of sizes, in bytes.
    Bytes(String, CompareOp, u64),
    /// `label = ip("...")`, or `!=` where the flag is set.
    Ip(String, bool, String),
}

/// One assignment of `label_format`.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelFormat {
    /// The label that is written.
    pub target: String,
    /// What is written to it.
    pub source: FormatSource,
}

/// The right side of an assignment of `label_format`.
#[derive(Debug, Clone, PartialEq)]
pub enum FormatSource {
    /// The value of another label, which goes away.
    Label(String),
    /// A template.
    Template(String),
}

/// A label of `drop` and `keep`: by name, or by name and value.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedLabel {
    /// Whatever its value.
    Name(String),
    /// Only where the value matches.
    Matcher(Matcher),
}

/// Lines of a range of time.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRange {
    /// Where the lines come from.
    pub log: LogExpr,
    /// Length of the range in nanoseconds.
    pub range: i64,
    /// How far the range is moved back, in nanoseconds.
    pub offset: i64,
    /// The label whose value is the sample.
    pub unwrap: Option<Unwrap>,
}

/// `| unwrap conversion(label)`, with the filters behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// How its text becomes a number.
    pub conversion: Conversion,
    /// Conditions that are tried after the conversion.
    pub filters: Vec<LabelFilter>,
}

/// How a text becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// As a float.
    Number,
    /// A size, in bytes.
    Bytes,
    /// `duration`: in seconds.
    Duration,
    /// `duration_seconds`: in seconds.
    DurationSeconds,
}

impl Conversion {
    /// The name as it is written; empty for plain numbers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// The name as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// The function of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// Functions over a range of lines.
    RangeOp {
        /// Lines per second, or the sum of values per second.
        Rate = "rate",
        /// Increase of a counter per second.
        RateCounter = "rate_counter",
        /// Number of lines.
        Count = "count_over_time",
        /// Bytes of lines per second.
        BytesRate = "bytes_rate",
        /// Bytes of lines.
        Bytes = "bytes_over_time",
        /// Mean.
        Avg = "avg_over_time",
        /// Sum.
        Sum = "sum_over_time",
        /// Least value.
        Min = "min_over_time",
        /// Greatest value.
        Max = "max_over_time",
        /// Standard deviation.
        Stddev = "stddev_over_time",
        /// Variance.
        Stdvar = "stdvar_over_time",
        /// Quantile.
        Quantile = "quantile_over_time",
        /// First value.
        First = "first_over_time",
        /// Last value.
        Last = "last_over_time",
        /// 1 where there is nothing.
        Absent = "absent_over_time",
    }
}

named! {
    /// Functions over the series of one moment.
    VectorOp {
        /// Sum.
        Sum = "sum",
        /// Mean.
        Avg = "avg",
        /// Greatest value.
        Max = "max",
        /// Least value.
        Min = "min",
        /// Number of series.
        Count = "count",
        /// Standard deviation.
        Stddev = "stddev",
        /// Variance.
        Stdvar = "stdvar",
        /// The greatest k.
        Topk = "topk",
        /// The least k.
        Bottomk = "bottomk",
        /// The greatest k, estimated.
        ApproxTopk = "approx_topk",
        /// Ascending.
        Sort = "sort",
        /// Descending.
        SortDesc = "sort_desc",
    }
}

impl VectorOp {
    /// Whether the function takes a number of series first.
    pub const fn takes_k(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }
}

named! {
    /// Binary operators.
    BinaryOp {
        /// `or`
        Or = "or",
        /// `and`
        And = "and",
        /// `unless`
        Unless = "unless",
        /// `==`
        Equal = "==",
        /// `!=`
        NotEqual = "!=",
        /// `>`
        Greater = ">",
        /// `>=`
        GreaterEqual = ">=",
        /// `<`
        Less = "<",
        /// `<=`
        LessEqual = "<=",
        /// `+`
        Add = "+",
        /// `-`
        Sub = "-",
        /// `*`
        Mul = "*",
        /// `/`
        Div = "/",
        /// `%`
        Mod = "%",
        /// `^`
        Pow = "^",
    }
}

impl BinaryOp {
    /// How tightly the operator binds.
    pub(crate) const fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }

    /// Whether the operator joins sets of series.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    /// Whether the operator compares.
    pub const fn is_comparison(self) -> bool {
        self.power() == 3
    }
}

/// A function over a range of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeAggregation {
    /// The function.
    pub op: RangeOp,
    /// The quantile.
    pub param: Option<f64>,
    /// The lines.
    pub range: LogRange,
    /// Which series are put together.
    pub grouping: Option<Grouping>,
}

/// A function over the series of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorAggregation {
    /// The function.
    pub op: VectorOp,
    /// How many series `topk` and its kin keep.
    pub k: usize,
    /// The series.
    pub inner: Expr,
    /// Which series are put together.
    pub grouping: Option<Grouping>,
}

/// `by (...)` or `without (...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The labels.
    pub labels: Vec<String>,
    /// The labels are removed instead of kept.
    pub without: bool,
}

/// Two operands.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub left: Expr,
    /// Right operand.
    pub right: Expr,
    /// A comparison answers 0 or 1 instead of choosing.
    pub return_bool: bool,
    /// How series find each other.
    pub matching: Matching,
}

/// How series of two operands find each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matching {
    /// Only `labels` count (`on`), instead of all but them (`ignoring`).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Which side may have several series for one of the other.
    pub group: Group,
    /// Labels of the one side that the result takes over.
    pub include: Vec<String>,
}

/// Which side may have several series for one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// Neither.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// `label_replace(inner, "target", "replacement", "source", "expression")`.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelReplace {
    /// The series.
    pub inner: Expr,
    /// The label that is written.
    pub target: String,
    /// What is written, with `$1` for groups.
    pub replacement: String,
    /// The label that is read.
    pub source: String,
    /// The expression its value must match.
    pub regex: String,
}
