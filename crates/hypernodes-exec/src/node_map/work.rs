//! One call of a sync node, wherever it runs.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, take};
use arrow::error::ArrowError;
use hypernodes_graph::{Failure, Kernel};
use hypernodes_plan::BoundNode;
use tokio::sync::OwnedSemaphorePermit;

use super::gate::Gate;
use super::meters::Meters;
use crate::call::call;
use crate::clock::{Clock, Lap};
use crate::watchdog::watch;

/// Rows of a batch to call a node for.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) kernel: Arc<dyn Kernel>,
    pub(super) is_batch: bool,
    /// The batch's.
    pub(super) arrays: Vec<ArrayRef>,
    pub(super) skipped: Option<NullBuffer>,
    pub(super) rows: Range<usize>,
    pub(super) bound: Arc<BoundNode>,
    pub(super) gate: Arc<Gate>,
    pub(super) meters: Meters,
}

impl Work {
    /// On the thread of whoever polls, without a permit.
    pub(super) fn in_place(&self) -> Result<ArrayRef, Failure> {
        self.meters.began(1);
        let began = Instant::now();
        let result = self.call();
        let lap = Lap {
            computing: began.elapsed(),
            ..Lap::default()
        };
        self.gate.measured(self.done(&result).len(), lap.computing);
        self.meters.took(lap);
        result
    }

    /// On a thread that may block; the permit is for another call, unless there are too many.
    pub(super) fn on_pool(
        &self,
        permit: OwnedSemaphorePermit,
    ) -> (Result<ArrayRef, Failure>, Option<OwnedSemaphorePermit>) {
        self.meters.began(self.gate.in_flight());
        self.gate.began();
        let clock = Clock::start();
        let result = self.call();
        let lap = clock.lap();
        let rows = self.done(&result).len();
        self.gate.measured(rows, lap.computing + lap.waiting);
        self.meters.took(lap);
        (result, self.gate.ended(permit, lap))
    }

    /// The rows that a call has done which gave `result`: the first ones, if it was stopped.
    pub(super) fn done(&self, result: &Result<ArrayRef, Failure>) -> Range<usize> {
        let start = self.rows.start;
        let end = result
            .as_ref()
            .map_or(self.rows.end, |made| start + made.len());
        start..end
    }

    /// Of `rows`, those that the function is not called for are null.
    fn skipped(&self, rows: &Range<usize>) -> Option<NullBuffer> {
        let skipped = self.skipped.as_ref();
        skipped.map(|skipped| skipped.slice(rows.start, rows.len()))
    }

    fn call(&self) -> Result<ArrayRef, Failure> {
        let (start, length) = (self.rows.start, self.rows.len());
        let arrays = self.arrays.iter().map(|array| array.slice(start, length));
        let arrays: Vec<_> = arrays.collect();
        let result = match self.skipped(&self.rows) {
            Some(skipped) if self.is_batch && skipped.null_count() > 0 => {
                self.compressed(&arrays, &skipped)
            }
            skipped if self.gate.may_stop(self.bound.node.call(), length) => {
                let watched = watch();
                self.called(&arrays, length, skipped, Some(watched.stop()))
            }
            skipped => self.called(&arrays, length, skipped, None),
        };
        let done = self.done(&result);
        let skipped = self.skipped(&done);
        let rows = done.len() - skipped.map_or(0, |skipped| skipped.null_count());
        let calls = if self.is_batch { rows.min(1) } else { rows };
        self.meters.called(calls);
        result
    }

    fn called(
        &self,
        arrays: &[ArrayRef],
        rows: usize,
        skipped: Option<NullBuffer>,
        stop: Option<&AtomicBool>,
    ) -> Result<ArrayRef, Failure> {
        let shared = &self.bound.shared;
        call(&*self.kernel, arrays, shared, rows, skipped, stop)
    }

    /// A batch function called without the rows that are skipped, which are null.
    fn compressed(&self, arrays: &[ArrayRef], skipped: &NullBuffer) -> Result<ArrayRef, Failure> {
        let rows = skipped.len() - skipped.null_count();
        if rows == 0 {
            let data_type = self.bound.node.data_type();
            return Ok(new_null_array(&data_type, skipped.len()));
        }
        let failed = |error: ArrowError| Failure {
            row: None,
            error: error.into(),
        };
        let wanted = BooleanArray::new(skipped.inner().clone(), None);
        let arrays = arrays.iter().map(|array| filter(array, &wanted));
        let arrays = arrays.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let made = self.called(&arrays, rows, None, None)?;
        let mut next = 0..made.len() as u32;
        let places = skipped
            .iter()
            .map(|wanted| if wanted { next.next() } else { None });
        let places: UInt32Array = places.collect();
        take(&made, &places, None).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use datafusion_physical_plan::metrics::ExecutionPlanMetricsSet;
    use hypernodes_graph::{Call, Node, Pipeline, Settings};
    use parking_lot::Mutex;

    use super::*;

    /// What a batch function of these rows makes of those wanted, and which it was given.
    fn check(wanted: Option<[bool; 4]>, made: [Option<i64>; 4], given: &[Option<i64>]) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let rows = Arc::clone(&seen);
        let node = Node::batch("y", ["x"], move |x: &Int64Array| -> Int64Array {
            rows.lock().extend(x.iter());
            x.iter().map(|x| Some(x.unwrap_or(5) * 10)).collect()
        });
        let pipeline = Pipeline::new([node]).expect("one node");
        let bound = BoundNode::of(&pipeline, &pipeline.nodes()[0]).expect("no shared values");
        let Call::Batch(kernel) = bound.node.call() else {
            panic!("a batch node");
        };
        let metrics = ExecutionPlanMetricsSet::new();
        let x = Int64Array::from(vec![Some(1), None, Some(3), Some(4)]);
        let work = Work {
            kernel: Arc::clone(kernel),
            is_batch: true,
            arrays: vec![Arc::new(x)],
            skipped: wanted.map(|wanted| NullBuffer::from(wanted.to_vec())),
            rows: 0..4,
            gate: Arc::new(Gate::new(&bound.node, Settings::default())),
            meters: Meters::new(&metrics, "y", 0),
            bound: Arc::new(bound),
        };
        let array = work.in_place().expect("no failure");
        let array: Vec<_> = array.as_primitive::<Int64Type>().iter().collect();
        assert_eq!((array, &seen.lock()[..]), (made.to_vec(), given));
    }

    #[test]
    fn a_batch_function_sees_no_row_whose_guard_is_false() {
        let all = [Some(1), None, Some(3), Some(4)];
        let tens = [Some(10), Some(50), Some(30), Some(40)];
        check(None, tens, &all);
        check(Some([true; 4]), tens, &all);
        let some = [None, Some(50), None, Some(40)];
        check(Some([false, true, false, true]), some, &[None, Some(4)]);
        check(Some([false; 4]), [None; 4], &[]);
    }
}
