//! The topics of the report.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::{Workload, files, fixed, mixed, planning, text, trivial, waiting};

/// Makes the workloads of a topic, ready to run.
pub type Topic = fn(&Arc<Runtime>) -> Vec<Workload>;

/// Every topic and its name.
pub const TOPICS: [(&str, Topic); 7] = [
    ("waiting", waiting::workloads),
    ("mixed", mixed::workloads),
    ("files", files::workloads),
    ("trivial", trivial::workloads),
    ("text", text::workloads),
    ("fixed", fixed::workloads),
    ("planning", planning::workloads),
];
