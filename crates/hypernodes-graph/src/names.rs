//! Telling a user which name was probably meant.

/// The candidate nearest to `name`, if one is near enough to be a slip of the keyboard.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distance = |candidate: &str| strsim::osa_distance(&lower, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(steps, candidate)| {
            *steps <= candidate.chars().count().max(name.chars().count()) / 2
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The end of a message about an unknown name: the nearest valid one and all valid ones.
///
/// ```
/// let hint = hypernodes_graph::hint("pasage", ["passage", "words"]);
/// assert_eq!(hint, "; did you mean \"passage\"? available: [\"passage\", \"words\"]");
/// ```
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(near) => format!("; did you mean {near:?}? available: {candidates:?}"),
        None => format!("; available: {candidates:?}"),
    }
}
