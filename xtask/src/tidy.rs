//! `cargo xtask tidy`: is the house as ARCHITECTURE.md says, and could every crate be published?

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use crate::layers::{self, Arrow};
use crate::metadata::{Metadata, Package};

/// Layer of programs; they stand above all crates.
const PROGRAMS: u8 = 5;

pub(crate) fn run() -> ExitCode {
    let faults = match check() {
        Ok(faults) => faults,
        Err(error) => vec![error],
    };
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    if faults.is_empty() {
        println!("tidy: ok");
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} faults", faults.len());
        ExitCode::FAILURE
    }
}

fn check() -> Result<Vec<String>, String> {
    let metadata = Metadata::load()?;
    let root = &metadata.workspace_root;
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
    let mut layers = layers::parse(&text)?;
    let mut faults = check_table(&metadata, &layers);
    for package in metadata
        .packages
        .iter()
        .filter(|package| !is_crate(package, root))
    {
        layers.insert(package.name.clone(), PROGRAMS);
    }
    faults.extend(check_arrows(&metadata, &layers));
    for package in metadata
        .packages
        .iter()
        .filter(|package| is_crate(package, root))
    {
        faults.extend(check_manifest(package, root));
    }
    Ok(faults)
}

fn is_crate(package: &Package, root: &Path) -> bool {
    package.folder(root).starts_with("crates")
}

/// `headwater-tsdb` stands as `tsdb` in the table; programs keep their names.
fn short(name: &str) -> &str {
    name.strip_prefix("headwater-").unwrap_or(name)
}

/// Every crate has a row, every row a crate.
fn check_table(metadata: &Metadata, layers: &BTreeMap<String, u8>) -> Vec<String> {
    let root = &metadata.workspace_root;
    let crates: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| is_crate(package, root))
        .map(|package| short(&package.name))
        .collect();
    let missing = crates.iter().filter(|name| !layers.contains_key(**name));
    let stale = layers
        .keys()
        .filter(|name| !crates.contains(&name.as_str()));
    missing
        .map(|name| format!("crates/{name} is not in the layer table of ARCHITECTURE.md"))
        .chain(stale.map(|name| {
            format!("ARCHITECTURE.md: the layer table names {name}, which does not exist")
        }))
        .collect()
}

fn check_arrows(metadata: &Metadata, layers: &BTreeMap<String, u8>) -> Vec<String> {
    let members: Vec<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut arrows: Vec<Arrow> = Vec::new();
    let mut kinds: BTreeMap<Arrow, &str> = BTreeMap::new();
    for package in &metadata.packages {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| members.contains(&dependency.name.as_str()))
        {
            let arrow = (
                short(&package.name).to_owned(),
                short(&dependency.name).to_owned(),
            );
            kinds.insert(
                arrow.clone(),
                dependency.kind.as_deref().unwrap_or("normal"),
            );
            arrows.push(arrow);
        }
    }
    let mut faults: Vec<String> = layers::pointing_up(layers, &arrows)
        .into_iter()
        .map(|arrow| {
            format!(
                "{} -> {} ({} dependency) points up",
                arrow.0, arrow.1, kinds[arrow]
            )
        })
        .collect();
    if let Some(cycle) = layers::cycle(&arrows) {
        faults.push(format!(
            "crates that depend on each other in a circle: {}",
            cycle.join(", ")
        ));
    }
    faults
}

/// What a registry asks of a crate, and what we ask.
fn check_manifest(package: &Package, root: &Path) -> Vec<String> {
    let folder = package.folder(root);
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push(format!("{}: {what}", folder.display()));
    if package.name
        != format!(
            "headwater-{}",
            folder.file_name().unwrap_or_default().to_string_lossy()
        )
    {
        fault("the package is not named headwater- and its folder");
    }
    if package
        .description
        .as_deref()
        .is_none_or(|text| text.len() < 10)
    {
        fault("no description");
    }
    if package.license.as_deref() != Some("Apache-2.0 OR MIT") {
        fault("licence is not Apache-2.0 OR MIT");
    }
    if package.repository.is_none() || package.rust_version.is_none() {
        fault("repository or rust-version is missing");
    }
    if package.publish.is_some() {
        fault("publishing is switched off");
    }
    if package.readme.is_none() || !root.join(&folder).join("README.md").exists() {
        fault("no README.md");
    }
    let lib = std::fs::read_to_string(root.join(&folder).join("src/lib.rs")).unwrap_or_default();
    let readme = std::fs::read_to_string(root.join(&folder).join("README.md")).unwrap_or_default();
    if !lib.contains("include_str!(\"../README.md\")") {
        fault("lib.rs does not open with the README, so its example is not tested");
    }
    if !has_example(&readme) {
        fault("README.md has no example");
    }
    faults
}

/// Whether a text has a code block that rustdoc runs or at least builds.
fn has_example(readme: &str) -> bool {
    let mut inside = false;
    for fence in readme.lines().filter_map(|line| line.strip_prefix("```")) {
        if !inside && matches!(fence.trim(), "" | "rust" | "no_run" | "rust,no_run") {
            return true;
        }
        inside = !inside;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::has_example;

    #[test]
    fn only_code_that_is_built_is_an_example() {
        assert!(has_example("text\n```\nfn main() {}\n```\n"));
        assert!(has_example("```text\nno\n```\n```rust\nyes\n```\n"));
        assert!(!has_example("```text\nno\n```\n```sh\nno\n```\n"));
    }
}
