//! Lines as they come: a log query over entries that are pushed, not stored.

use headwater_model::{Labels, Matcher};

use super::logs::{Entry, Pairs, entry_of};
use crate::ast::Expr;
use crate::error::ParseError;
use crate::pipeline::{Pipeline, Record, Wanted};

/// A log query that is asked about one line after the other.
///
/// ```
/// use headwater_logql::Tail;
/// use headwater_model::Labels;
///
/// let mut tail = Tail::new(r#"{app="shop"} |= "error" | logfmt"#, false)?;
/// let shop = Labels::from_pairs([("app", "shop")]);
/// assert!(tail.selects(&shop));
/// assert!(tail.process(&shop, 1, b"level=info", &Labels::empty()).is_none());
/// let (labels, entry) = tail
///     .process(&shop, 2, b"level=error", &Labels::empty())
///     .expect("the line passes");
/// assert_eq!(labels[1], ("level".to_owned(), "error".to_owned()));
/// assert_eq!(entry.line, b"level=error");
/// # Ok::<(), headwater_logql::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Tail {
    matchers: Vec<Matcher>,
    pipeline: Pipeline,
    categorize: bool,
    record: Record,
    /// The stream that the record stands at.
    stream: Option<Labels>,
}

impl Tail {
    /// Compiles a log query. `categorize` tells structured metadata and parsed
    /// labels apart from the stream's own.
    ///
    /// # Errors
    /// The text is no log query, or one of its stages makes no sense.
    pub fn new(query: &str, categorize: bool) -> Result<Self, ParseError> {
        let Expr::Log(log) = crate::parse(query)? else {
            return Err(ParseError::new("only log queries are supported"));
        };
        Ok(Self {
            pipeline: Pipeline::new(&log.stages, Wanted::All)?,
            matchers: log.matchers,
            categorize,
            record: Record::default(),
            stream: None,
        })
    }

    /// The conditions on streams.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Whether lines of a stream are asked for.
    pub fn selects(&self, stream: &Labels) -> bool {
        let value = |m: &Matcher| stream.get(&m.name).unwrap_or_default().to_owned();
        self.matchers.iter().all(|m| m.matches(&value(m)))
    }

    /// Runs a line of a selected stream; its labels and what became of it, or
    /// `None` if it does not pass.
    pub fn process(
        &mut self,
        stream: &Labels,
        time: i64,
        line: &[u8],
        metadata: &Labels,
    ) -> Option<(Pairs, Entry)> {
        if self.stream.as_ref() != Some(stream) {
            self.record.start_stream(stream);
            self.stream = Some(stream.clone());
        }
        self.record.start_line(time, metadata);
        let kept = self.pipeline.run(line, &mut self.record);
        kept.then(|| entry_of(&self.record, line, self.categorize))
    }
}
