//! How a node or an engine is to be run, for whoever wants to say.

/// Settings of a node, and the defaults of an engine; what a node leaves open, its engine says.
///
/// Nothing needs to be set to be right or fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Settings {
    /// Calls of a sync node at once: on an engine, the threads of its pool; on a node, its
    /// share of them.
    pub max_workers: Option<usize>,
    /// Rows per call of a batch node, or per unit of work that a sync node hands to the pool.
    pub batch_size: Option<usize>,
    /// Rows of an async node in flight at once, over all partitions.
    pub max_in_flight: Option<usize>,
    /// `false`: a sync node is called for strictly one row at a time.
    pub use_batch_udf: Option<bool>,
    /// `false`: rows of a table may come in another order than the input's, each as soon as it is
    /// done, so that a slow row holds up none. What is ordered by, the items of a nested pipeline's
    /// lists and what `map` gives keep their order all the same.
    pub ordered: Option<bool>,
}

impl Settings {
    /// These settings, with what they leave open taken from `defaults`.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        Self {
            max_workers: self.max_workers.or(defaults.max_workers),
            batch_size: self.batch_size.or(defaults.batch_size),
            max_in_flight: self.max_in_flight.or(defaults.max_in_flight),
            use_batch_udf: self.use_batch_udf.or(defaults.use_batch_udf),
            ordered: self.ordered.or(defaults.ordered),
        }
    }

    /// The names of the settings that are zero, which nothing can honour.
    pub fn zeros(&self) -> impl Iterator<Item = &'static str> + use<> {
        let counts = [
            ("max_workers", self.max_workers),
            ("batch_size", self.batch_size),
            ("max_in_flight", self.max_in_flight),
        ];
        counts
            .into_iter()
            .filter(|(_, count)| *count == Some(0))
            .map(|(name, _)| name)
    }
}
