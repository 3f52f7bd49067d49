//! What runs pipelines: each engine, users' own, and all of them against the sequential one.

mod agreement;
mod at_once;
pub(crate) mod calls;
pub(crate) mod executors;
mod own;
mod parallel;
mod random;
mod results;
mod reuse;

use hypernodes::prelude::*;

/// The default engine, the sequential one, and the parallel one by both of its schedulers.
fn all() -> Result<Vec<Box<dyn Engine>>> {
    let parallel = ParallelEngine::builder().num_workers(3).npartitions(5);
    let synchronous = ParallelEngine::builder().scheduler(Scheduler::Synchronous);
    Ok(vec![
        Box::new(Session::new()?),
        Box::new(SequentialEngine),
        Box::new(parallel.build()?),
        Box::new(synchronous.build()?),
    ])
}
