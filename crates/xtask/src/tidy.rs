//! What the manifests and `ARCHITECTURE.md` must agree on.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The workspace's packages and what each needs outside tests.
fn workspace() -> Result<BTreeMap<String, BTreeSet<String>>, Box<dyn Error>> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()?;
    let packages = metadata.workspace_packages();
    let needs = packages.iter().map(|package| {
        let needed = package.dependencies.iter();
        let needed = needed.filter(|dependency| dependency.kind == DependencyKind::Normal);
        let needed = needed.map(|dependency| dependency.name.clone()).collect();
        (package.name.to_string(), needed)
    });
    Ok(needs.collect())
}

#[test]
fn the_architectures_table_lists_the_workspace() -> Result<(), Box<dyn Error>> {
    let text = include_str!("../../../ARCHITECTURE.md");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let packages: BTreeSet<String> = workspace()?.into_keys().collect();
    assert_eq!(listed, packages);
    Ok(())
}

#[test]
fn no_crate_needs_what_its_layer_must_not_know() -> Result<(), Box<dyn Error>> {
    let banned = [
        ("hypernodes-graph", &["tokio", "datafusion"][..]),
        ("hypernodes-plan", &["tokio", "hypernodes-exec"]),
        ("hypernodes-macros", &["arrow", "hypernodes-graph"]),
        ("hypernodes-exec", &["hypernodes-session"]),
    ];
    let workspace = workspace()?;
    for (package, words) in banned {
        let needs = workspace.get(package).ok_or(package)?;
        for banned in words {
            let found = needs.iter().find(|need| need.starts_with(banned));
            assert_eq!(found, None, "{package} must not need {banned}");
        }
    }
    let full: Vec<_> = workspace
        .iter()
        .filter(|(_, needs)| needs.contains("datafusion"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        full,
        ["hypernodes", "hypernodes-session"],
        "crates on the full datafusion"
    );
    Ok(())
}
