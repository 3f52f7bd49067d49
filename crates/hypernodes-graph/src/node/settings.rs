//! How a node or an engine is to be run, for whoever wants to say.

/// Settings of a node, and the defaults of an engine; what a node leaves open, its engine says.
///
/// Nothing needs to be set to be right or fast: where both leave a setting open, what calls take is
/// measured. The session honours them, and so do functions made by `to_udf`; the sequential and the
/// parallel engine run row by row whatever they say. A count of zero is refused where the engine or
/// the pipeline is made, and [`Pipeline::new`](crate::Pipeline::new) also refuses a setting that
/// the node's kind of function cannot honour.
///
/// ```
/// use hypernodes_graph::{Node, Settings};
///
/// let slow = Node::map("slow", ["x"], |x: i64| x + 1);
/// let slow = slow.with_settings(Settings { max_workers: Some(4), ..Settings::default() });
/// assert_eq!(slow.settings().max_workers, Some(4));
/// assert_eq!(slow.settings().batch_size, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Settings {
    /// Calls of a sync or batch node at once: on an engine, the threads of its pool; on a node,
    /// its share of them. If open, a pool has up to 256 threads, and a node as many calls as there
    /// are cores, up to 250 where they wait.
    pub max_workers: Option<usize>,
    /// What the calls of a sync or batch node mostly do. If open, it is measured, unless
    /// `max_workers` says how many there are at once.
    pub workload_type: Option<WorkloadType>,
    /// Rows per call of a batch node, or per unit of work that a sync node hands to the pool; the
    /// last of a batch may have fewer. If open, a batch node gets whole batches of its input, of up
    /// to 8,192 rows unless DataFusion is told otherwise, and a sync node's units take about a
    /// millisecond.
    pub batch_size: Option<usize>,
    /// Rows of an async node in flight at once, over all partitions. If open, 256 at first, then
    /// as many as help, from 16 up to 1,024.
    pub max_in_flight: Option<usize>,
    /// `false`: each row of a sync node is a unit of work of its own, whatever `batch_size` says.
    /// `true` is what holds if it is open.
    pub use_batch_udf: Option<bool>,
    /// `false`: rows of a table may come in another order than the input's, each as soon as it is
    /// done, so that a slow row holds up none. What is ordered by, the items of a nested pipeline's
    /// lists and what `map` gives keep their order all the same. `true` is what holds if it is open.
    pub ordered: Option<bool>,
}

/// What calls mostly do, which tells how many of them are worth running at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WorkloadType {
    /// They wait. From the first one on, as many run at once as `max_workers` allows, or 250, and
    /// none on a thread that drives I/O. The parallel engine makes four partitions for each worker.
    Io,
    /// They compute. As many run at once as there are cores, unless `max_workers` allows fewer. The
    /// parallel engine makes two partitions for each worker.
    Cpu,
    /// Both, or unknown. It is measured how many run at once, up to `max_workers`, or 250. The
    /// parallel engine makes three partitions for each worker.
    #[default]
    Mixed,
}

impl Settings {
    /// These settings, with what they leave open taken from `defaults`.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        Self {
            max_workers: self.max_workers.or(defaults.max_workers),
            workload_type: self.workload_type.or(defaults.workload_type),
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
