//! A table of what both spent, with ratios.

/// Rows of (what, ours, theirs).
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, f64, f64)>,
}

impl Report {
    pub(crate) fn row(&mut self, what: impl Into<String>, ours: f64, theirs: f64) {
        self.rows.push((what.into(), ours, theirs));
    }

    pub(crate) fn print(&self, peer: &str) {
        println!(
            "{:<44} {:>12} {:>12} {:>10}",
            "what", "headwater", peer, "ratio"
        );
        for (what, ours, theirs) in &self.rows {
            println!(
                "{what:<44} {ours:>12.2} {theirs:>12.2} {:>9.2}x",
                theirs / ours.max(1e-9)
            );
        }
        println!("ratio: how many times as much the peer needs; above 1 is better for us");
    }
}
