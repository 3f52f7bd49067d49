//! What the author of a node says about the function, for planning.

/// What a query's planner may rely on; nothing needs to be said to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Declared {
    /// Whether equal arguments give equal results, so that calls may be merged; `true` if not
    /// said. One that is not is called once per row for each place that names it.
    pub pure: bool,
    /// What a call costs, beside those of other nodes and in no unit; 1 if not said. Of two
    /// predicates on nodes, the cheaper is tested first.
    pub cost: u32,
    /// Whether rows of equal arguments that are in flight together in a partition share a call;
    /// `false` if not said. Values are equal if their bits are; maps cannot be compared. It is
    /// refused of a node that is not pure.
    pub dedup: bool,
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            pure: true,
            cost: 1,
            dedup: false,
        }
    }
}
