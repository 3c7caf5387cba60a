//! Reading bodies: one [`Parser`] for all formats.

mod created;
mod error;
mod event;
mod labels;
mod native;
mod openmetrics;
mod protobuf;
mod scan;
mod text;
mod wire;

pub use error::ParseError;
pub use event::{Event, Sample, Value};

use crate::format::Format;

/// What a reader wants to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Report native histograms; otherwise their classic buckets, sums and counts.
    pub native_histograms: bool,
    /// Report classic buckets also where there is a native histogram.
    pub classic_beside_native: bool,
    /// Report `_created` lines of OpenMetrics as the start of the samples they belong to, instead
    /// of as samples. (Protobuf has a field for it, which is always reported.)
    pub created_as_start: bool,
}

impl Options {
    /// Sets [`Options::native_histograms`].
    #[must_use]
    pub fn with_native_histograms(mut self, yes: bool) -> Self {
        self.native_histograms = yes;
        self
    }

    /// Sets [`Options::classic_beside_native`].
    #[must_use]
    pub fn with_classic_beside_native(mut self, yes: bool) -> Self {
        self.classic_beside_native = yes;
        self
    }

    /// Sets [`Options::created_as_start`].
    #[must_use]
    pub fn with_created_as_start(mut self, yes: bool) -> Self {
        self.created_as_start = yes;
        self
    }
}

/// The label that tells the samples of a histogram or summary apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Le,
    Quantile,
}

impl Bound {
    fn label(self) -> &'static str {
        match self {
            Self::Le => "le",
            Self::Quantile => "quantile",
        }
    }
}

/// Reads a body event by event, borrowing from it.
///
/// ```
/// use headwater_exposition::{Event, Format, Options, Parser};
/// use headwater_model::LabelsBuilder;
///
/// let body = b"# TYPE up gauge\nup{job=\"a\"} 1\n";
/// let mut parser = Parser::new(body, Format::Text, Options::default())?;
/// let mut labels = LabelsBuilder::new();
/// while let Some(event) = parser.next_event()? {
///     if let Event::Sample(sample) = event {
///         assert_eq!(sample.series, b"up{job=\"a\"}");
///         sample.labels(&mut labels)?;
///     }
/// }
/// assert_eq!(labels.build().to_string(), r#"{__name__="up", job="a"}"#);
/// # Ok::<(), headwater_exposition::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Parser<'b>(Inner<'b>);

#[derive(Debug)]
enum Inner<'b> {
    Text(text::TextParser<'b>),
    OpenMetrics(openmetrics::OpenMetricsParser<'b>),
    Protobuf(Box<protobuf::ProtobufParser<'b>>),
}

impl<'b> Parser<'b> {
    /// A parser for a whole body.
    ///
    /// # Errors
    /// A text is not valid UTF-8.
    pub fn new(body: &'b [u8], format: Format, options: Options) -> Result<Self, ParseError> {
        Ok(Self(match format {
            Format::Text => Inner::Text(text::TextParser::new(utf8(body)?)),
            Format::OpenMetrics => Inner::OpenMetrics(openmetrics::OpenMetricsParser::new(
                utf8(body)?,
                options.created_as_start,
            )),
            Format::Protobuf => {
                Inner::Protobuf(Box::new(protobuf::ProtobufParser::new(body, options)))
            }
        }))
    }

    /// The next event; `None` at the end. After an error the parser must not be asked again.
    ///
    /// # Errors
    /// The body breaks the format's grammar.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        match &mut self.0 {
            Inner::Text(parser) => parser.next(),
            Inner::OpenMetrics(parser) => parser.next(),
            Inner::Protobuf(parser) => parser.next(),
        }
    }
}

fn utf8(body: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(body)
        .map_err(|error| ParseError::in_text(body, error.valid_up_to(), "invalid UTF-8"))
}
