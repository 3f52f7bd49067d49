//! The behaviours that the facade's docs list are those that tests carry in their names.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

/// An id of a behaviour: a letter and two digits.
fn is_id(word: &str) -> bool {
    let mut letters = word.chars();
    word.len() == 3
        && letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|digit| digit.is_ascii_digit())
}

/// The ids at the front of each test's name: `fn m05_m06_…` has two.
fn in_names(source: &str) -> impl Iterator<Item = String> {
    let lines = source.lines().map(str::trim_start);
    let names = lines.filter_map(|line| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
    });
    names.flat_map(|name| {
        let words = name.split('_').take_while(|word| is_id(word));
        words.map(str::to_uppercase)
    })
}

fn in_folder(folder: &Path, found: &mut BTreeSet<String>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            in_folder(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(in_names(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[test]
fn the_behaviours_that_are_listed_are_those_that_are_tested() -> Result<(), Box<dyn Error>> {
    let page = include_str!("../../hypernodes/src/coming_from_python.md");
    let (_, table) = page
        .split_once("# Behaviours that tests prove")
        .ok_or("the table is gone")?;
    let words = table.split_whitespace().filter(|word| is_id(word));
    let listed: BTreeSet<String> = words.map(str::to_owned).collect();
    let mut tested = BTreeSet::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    in_folder(&crates, &mut tested)?;
    let untested: Vec<_> = listed.difference(&tested).collect();
    let unlisted: Vec<_> = tested.difference(&listed).collect();
    assert!(
        untested.is_empty(),
        "listed, and no test has them: {untested:?}"
    );
    assert!(unlisted.is_empty(), "tested, and not listed: {unlisted:?}");
    assert!(listed.len() > 100, "only {} are listed", listed.len());
    Ok(())
}

/// The groups of behaviours that are here, and how many each has.
const GROUPS: [(char, usize); 10] = [
    ('N', 15),
    ('U', 16),
    ('S', 11),
    ('P', 23),
    ('R', 8),
    ('M', 14),
    ('X', 21),
    ('T', 4),
    ('E', 13),
    ('D', 13),
];

#[test]
fn every_behaviour_is_tested_or_said_not_to_be_there() {
    let page = include_str!("../../hypernodes/src/coming_from_python.md");
    let words: BTreeSet<&str> = page
        .split(|letter: char| !letter.is_alphanumeric())
        .collect();
    let ids = GROUPS
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |id| format!("{group}{id:02}")));
    let missing: Vec<_> = ids.filter(|id| !words.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "the page says nothing of {missing:?}");
}
