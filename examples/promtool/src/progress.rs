//! How far a command is, for people at a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two looks of the bar.
const EVERY: Duration = Duration::from_millis(100);
const WIDTH: u64 = 40;

/// A bar on standard error; nothing if that is no terminal.
pub(crate) struct Bar {
    what: &'static str,
    shown: Option<Mutex<Instant>>,
}

impl Bar {
    pub(crate) fn new(what: &'static str) -> Bar {
        let terminal = std::io::stderr().is_terminal();
        Bar {
            what,
            shown: terminal.then(|| Mutex::new(Instant::now())),
        }
    }

    pub(crate) fn tell(&self, done: u64, of: u64) {
        let Some(shown) = &self.shown else { return };
        let Ok(mut shown) = shown.lock() else { return };
        if done < of && shown.elapsed() < EVERY {
            return;
        }
        *shown = Instant::now();
        eprint!("\r{}", line(self.what, done, of));
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, of: u64) -> String {
    let filled = (done * WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH) as usize;
    let percent = (done * 100).checked_div(of).unwrap_or(100);
    let rest = WIDTH as usize - filled;
    format!(
        "{what} [{}{}] {percent:3}%",
        "#".repeat(filled),
        " ".repeat(rest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        assert_eq!(
            line("read", 0, 0),
            format!("read [{}] 100%", "#".repeat(40))
        );
        assert_eq!(
            line("read", 1, 4),
            format!("read [{}{}]  25%", "#".repeat(10), " ".repeat(30))
        );
    }
}
