//! The layer table of ARCHITECTURE.md, and what it forbids.

use std::collections::{BTreeMap, BTreeSet};

/// Layer of every crate by folder name, read from rows such as `| L1 | storage, query |`.
pub(crate) fn parse(architecture: &str) -> Result<BTreeMap<String, u8>, String> {
    let mut layers = BTreeMap::new();
    for line in architecture.lines() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let [layer, crates, ..] = cells[..] else {
            continue;
        };
        let Some(number) = layer
            .strip_prefix('L')
            .and_then(|digits| digits.parse().ok())
        else {
            continue;
        };
        for name in crates
            .split([',', ' '])
            .map(|name| name.trim_matches('`'))
            .filter(|name| !name.is_empty())
        {
            if layers.insert(name.to_owned(), number).is_some() {
                return Err(format!(
                    "ARCHITECTURE.md: {name} stands in two rows of the layer table"
                ));
            }
        }
    }
    if layers.is_empty() {
        Err("ARCHITECTURE.md: no layer table found".to_owned())
    } else {
        Ok(layers)
    }
}

/// An arrow between two crates: from, to.
pub(crate) type Arrow = (String, String);

/// Arrows that point from a lower layer to a higher one.
pub(crate) fn pointing_up<'a>(
    layers: &BTreeMap<String, u8>,
    arrows: &'a [Arrow],
) -> Vec<&'a Arrow> {
    let up = |arrow: &&Arrow| matches!((layers.get(&arrow.0), layers.get(&arrow.1)), (Some(from), Some(to)) if to > from);
    arrows.iter().filter(up).collect()
}

/// A cycle, if there is one: crates that cannot be published because each waits for another.
pub(crate) fn cycle(arrows: &[Arrow]) -> Option<Vec<String>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        edges.entry(from).or_default().insert(to);
        edges.entry(to).or_default();
    }
    // Crates that nobody waits for are taken away until none is left, or only cycles are.
    loop {
        let free: Vec<&str> = edges
            .iter()
            .filter(|(_, to)| to.is_empty())
            .map(|(from, _)| *from)
            .collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            edges.remove(name);
            for to in edges.values_mut() {
                to.remove(name);
            }
        }
    }
    (!edges.is_empty()).then(|| edges.keys().map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text\n\n| Layer | Crates |\n|---|---|\n| L1 | `b`, `c` |\n| L0 | `a` |\n";

    fn arrows(pairs: &[(&str, &str)]) -> Vec<Arrow> {
        pairs
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect()
    }

    #[test]
    fn reads_the_table() {
        let layers = parse(TABLE).unwrap();
        assert_eq!(
            layers.into_iter().collect::<Vec<_>>(),
            [("a".into(), 0), ("b".into(), 1), ("c".into(), 1)]
        );
        assert!(parse("no table").is_err());
        assert!(parse("| L0 | a |\n| L1 | a |").is_err());
    }

    #[test]
    fn finds_arrows_that_point_up() {
        let layers = parse(TABLE).unwrap();
        let all = arrows(&[("b", "a"), ("b", "c"), ("a", "c")]);
        assert_eq!(
            pointing_up(&layers, &all),
            [&("a".to_owned(), "c".to_owned())]
        );
    }

    #[test]
    fn finds_cycles() {
        assert_eq!(cycle(&arrows(&[("b", "a"), ("c", "b")])), None);
        assert_eq!(
            cycle(&arrows(&[("b", "c"), ("c", "b"), ("b", "a")])),
            Some(vec!["b".into(), "c".into()])
        );
        assert_eq!(cycle(&arrows(&[("a", "a")])), Some(vec!["a".into()]));
    }
}
