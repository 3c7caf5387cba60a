//! The words of the language.

/// What a token is. Keywords are recognised in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Eof,
    /// What the lexer could not make out; the parser keeps the error.
    Bad,
    // Punctuation.
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    // Literals and names.
    Identifier,
    MetricIdentifier,
    String,
    Number,
    Duration,
    // Operators.
    Op(super::ast::BinaryOp),
    EqualRegex,
    NotEqualRegex,
    At,
    // Aggregations.
    Aggregate(super::ast::AggregateOp),
    // Keywords.
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Without,
    Start,
    End,
    Step,
    Range,
    Anchored,
    Smoothed,
    Fill,
    FillLeft,
    FillRight,
    MinOf,
    MaxOf,
}

use super::ast::{AggregateOp, BinaryOp};

/// The longest keyword.
const LONGEST: usize = 12;

/// The token that a word stands for, if it is a keyword.
pub(crate) fn keyword(word: &str) -> Option<Token> {
    if word.len() > LONGEST {
        return None;
    }
    let mut lower = [0u8; LONGEST];
    for (to, from) in lower.iter_mut().zip(word.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    Some(match &lower[..word.len()] {
        b"sum" => Token::Aggregate(AggregateOp::Sum),
        b"avg" => Token::Aggregate(AggregateOp::Avg),
        b"min" => Token::Aggregate(AggregateOp::Min),
        b"max" => Token::Aggregate(AggregateOp::Max),
        b"count" => Token::Aggregate(AggregateOp::Count),
        b"group" => Token::Aggregate(AggregateOp::Group),
        b"stddev" => Token::Aggregate(AggregateOp::Stddev),
        b"stdvar" => Token::Aggregate(AggregateOp::Stdvar),
        b"topk" => Token::Aggregate(AggregateOp::TopK),
        b"bottomk" => Token::Aggregate(AggregateOp::BottomK),
        b"count_values" => Token::Aggregate(AggregateOp::CountValues),
        b"quantile" => Token::Aggregate(AggregateOp::Quantile),
        b"limitk" => Token::Aggregate(AggregateOp::LimitK),
        b"limit_ratio" => Token::Aggregate(AggregateOp::LimitRatio),
        b"and" => Token::Op(BinaryOp::And),
        b"or" => Token::Op(BinaryOp::Or),
        b"unless" => Token::Op(BinaryOp::Unless),
        b"atan2" => Token::Op(BinaryOp::Atan2),
        b"bool" => Token::Bool,
        b"by" => Token::By,
        b"group_left" => Token::GroupLeft,
        b"group_right" => Token::GroupRight,
        b"ignoring" => Token::Ignoring,
        b"offset" => Token::Offset,
        b"on" => Token::On,
        b"without" => Token::Without,
        b"start" => Token::Start,
        b"end" => Token::End,
        b"step" => Token::Step,
        b"range" => Token::Range,
        b"anchored" => Token::Anchored,
        b"smoothed" => Token::Smoothed,
        b"fill" => Token::Fill,
        b"fill_left" => Token::FillLeft,
        b"fill_right" => Token::FillRight,
        b"min_of" => Token::MinOf,
        b"max_of" => Token::MaxOf,
        b"inf" | b"nan" => Token::Number,
        _ => return None,
    })
}

impl Token {
    /// Words that may also be the name of a metric at the head of a selector.
    pub(crate) const fn may_name_metric(self) -> bool {
        match self {
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregate(_)
            | Self::By
            | Self::Without
            | Self::Offset
            | Self::Start
            | Self::End
            | Self::Step
            | Self::Range
            | Self::Anchored
            | Self::Smoothed
            | Self::Fill
            | Self::FillLeft
            | Self::FillRight
            | Self::MinOf
            | Self::MaxOf => true,
            Self::Op(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            _ => false,
        }
    }

    /// Words that may be a label in a grouping list.
    pub(crate) const fn may_name_label(self) -> bool {
        match self {
            Self::Bool | Self::GroupLeft | Self::GroupRight | Self::Ignoring | Self::On => true,
            Self::Op(op) => matches!(
                op,
                BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2
            ),
            Self::Without => false,
            _ => self.may_name_metric(),
        }
    }

    /// What an expression may begin with.
    pub(crate) const fn may_begin_expression(self) -> bool {
        match self {
            Self::Number | Self::Duration | Self::String | Self::LeftParen | Self::LeftBrace => {
                true
            }
            Self::Op(op) => matches!(op, BinaryOp::Add | BinaryOp::Sub) || self.may_name_metric(),
            _ => self.may_name_metric(),
        }
    }

    const fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::By
                | Self::GroupLeft
                | Self::GroupRight
                | Self::Ignoring
                | Self::Offset
                | Self::On
                | Self::Without
                | Self::Anchored
                | Self::Smoothed
                | Self::Fill
                | Self::FillLeft
                | Self::FillRight
        )
    }

    /// How error messages name a token whose text is `text`.
    pub(crate) fn describe(self, text: &str) -> String {
        let quoted = |text: &str| headwater_model::quote::go_quoted(text);
        // Ten characters, of what is longer than ten bytes.
        let shortened = |text: &str| match text.char_indices().nth(10) {
            Some((at, _)) => format!("{}...", quoted(&text[..at])),
            None if text.len() > 10 => format!("{}...", quoted(text)),
            None => quoted(text),
        };
        match self {
            Self::Eof => "end of input".to_owned(),
            Self::Identifier => format!("identifier {}", quoted(text)),
            Self::MetricIdentifier => format!("metric identifier {}", quoted(text)),
            Self::String => format!("string {}", shortened(text)),
            Self::Number => format!("number {}", shortened(text)),
            Self::Duration => format!("duration {}", shortened(text)),
            Self::Op(_) | Self::EqualRegex | Self::NotEqualRegex | Self::At => {
                format!("<op:{text}>")
            }
            Self::Aggregate(_) => format!("<aggr:{text}>"),
            token if token.is_keyword() => format!("<{text}>"),
            _ => quoted(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_in_any_case() {
        assert_eq!(keyword("SuM"), Some(Token::Aggregate(AggregateOp::Sum)));
        assert_eq!(keyword("group_left"), Some(Token::GroupLeft));
        assert_eq!(keyword("sums"), None);
        assert_eq!(keyword("a_very_long_identifier"), None);
    }
}
