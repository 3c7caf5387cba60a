//! What everyone spent, side by side.

use serde_json::{Map, Value, json};

/// A row: one figure for each contender that has it.
#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    figures: Vec<Option<f64>>,
}

/// Figures of which less is better.
#[derive(Debug)]
pub(crate) struct Table {
    contenders: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(contenders: Vec<String>) -> Self {
        Self {
            contenders,
            rows: Vec::new(),
        }
    }

    /// Notes a figure of a contender.
    pub(crate) fn note(
        &mut self,
        contender: usize,
        what: impl Into<String>,
        unit: &'static str,
        figure: f64,
    ) {
        let (what, all) = (what.into(), self.contenders.len());
        let known = self
            .rows
            .iter()
            .position(|row| row.what == what && row.unit == unit);
        let at = known.unwrap_or_else(|| {
            self.rows.push(Row {
                what,
                unit,
                figures: vec![None; all],
            });
            self.rows.len() - 1
        });
        self.rows[at].figures[contender] = Some(figure);
    }

    /// A line a row: the figures, and how many times ours each peer needs.
    pub(crate) fn print(&self) {
        print!("{:<42} {:>6} {:>12}", "what", "unit", self.contenders[0]);
        for name in &self.contenders[1..] {
            print!(" {name:>18} {:>8}", "ratio");
        }
        println!();
        for row in &self.rows {
            print!(
                "{:<42} {:>6} {:>12}",
                row.what,
                row.unit,
                shown(row.figures[0])
            );
            for figure in &row.figures[1..] {
                let ratio =
                    ratio(row.figures[0], *figure).map_or_else(String::new, |r| format!("{r:.2}x"));
                print!(" {:>18} {ratio:>8}", shown(*figure));
            }
            println!();
        }
        println!("ratio: how many times as much the peer needs; above 1 is better for us");
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            let named = |figure: &dyn Fn(usize) -> Option<f64>| {
                let pairs = self.contenders.iter().enumerate();
                let pairs = pairs.filter_map(|(at, name)| Some((name.clone(), json!(figure(at)?))));
                pairs.collect::<Map<String, Value>>()
            };
            json!({
                "what": row.what,
                "unit": row.unit,
                "figures": named(&|at| row.figures[at]),
                "ratios": named(&|at| if at == 0 { None } else { ratio(row.figures[0], row.figures[at]) }),
            })
        };
        json!({ "contenders": self.contenders, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(theirs? / ours.filter(|ours| *ours > 0.0)?)
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.abs() >= 100.0 => format!("{figure:.0}"),
        Some(figure) => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_stand_beside_figures() {
        let mut table = Table::new(vec!["a".into(), "b".into(), "c".into()]);
        table.note(1, "x", "s", 6.0);
        table.note(0, "x", "s", 2.0);
        let row = &table.json()["rows"][0];
        assert_eq!(row["ratios"], json!({"b": 3.0}));
        assert_eq!(row["figures"], json!({"a": 2.0, "b": 6.0}));
    }
}
