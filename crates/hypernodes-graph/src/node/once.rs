//! Functions that read no column: called once in a run, whatever the number of rows.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use async_lock::OnceCell;

use crate::columns::{Columns, Failure};
use crate::kernel::{AsyncKernel, AsyncRows, BoxFuture, Call, Kernel};
use crate::shared::SharedValue;
use crate::{Error, ErrorKind};

/// The row of the one call, or its error, which is that of each row.
type Made = Result<ArrayRef, Error>;

pub(super) fn rows(kernel: &Arc<dyn Kernel>) -> Call {
    Call::Rows(Arc::new(Once {
        kernel: Arc::clone(kernel),
        made: OnceLock::new(),
    }))
}

pub(super) fn awaited(kernel: &Arc<dyn AsyncKernel>) -> Call {
    Call::Async(Arc::new(OnceAsync {
        kernel: Arc::clone(kernel),
        made: Arc::default(),
    }))
}

fn kept(failure: Failure) -> Error {
    match failure.error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(users) => Error::new(ErrorKind::NodeFailed, "it failed").with_source(users),
    }
}

/// The one row for each that is valid in `wanted`, null for the others.
fn repeated(made: &Made, rows: usize, wanted: Option<&NullBuffer>) -> Result<ArrayRef, Failure> {
    let failed = |error: Error| Failure {
        row: None,
        error: error.into(),
    };
    let one = made.as_ref().map_err(|error| failed(error.clone()))?;
    let firsts = UInt64Array::new(vec![0; rows].into(), wanted.cloned());
    take(one, &firsts, None).map_err(|error| {
        let message = "a value cannot be repeated";
        failed(Error::new(ErrorKind::Internal, message).with_source(error))
    })
}

struct Once {
    kernel: Arc<dyn Kernel>,
    made: OnceLock<Made>,
}

impl Kernel for Once {
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
        let (rows, wanted) = (columns.rows(), columns.wanted());
        if columns.is_unwanted() {
            return self.kernel.call(columns);
        }
        let call = || self.kernel.call(&columns.alone()).map_err(kept);
        repeated(self.made.get_or_init(call), rows, wanted)
    }
}

struct OnceAsync {
    kernel: Arc<dyn AsyncKernel>,
    made: Arc<OnceCell<Made>>,
}

impl AsyncKernel for OnceAsync {
    fn batch(
        &self,
        arrays: Vec<ArrayRef>,
        shared: &[SharedValue],
        rows: usize,
    ) -> Arc<dyn AsyncRows> {
        Arc::new(OnceRows {
            one: self.kernel.batch(arrays, shared, 1),
            made: Arc::clone(&self.made),
            called: std::iter::repeat_with(AtomicBool::default)
                .take(rows)
                .collect(),
        })
    }
}

struct OnceRows {
    one: Arc<dyn AsyncRows>,
    made: Arc<OnceCell<Made>>,
    called: Box<[AtomicBool]>,
}

impl AsyncRows for OnceRows {
    /// All rows hold the one result.
    fn call(self: Arc<Self>, row: usize) -> BoxFuture<'static, Result<usize, Failure>> {
        Box::pin(async move {
            let made = self.made.get_or_init(|| async {
                let called = Arc::clone(&self.one).call(0).await;
                called.and_then(|_| self.one.take(0..1)).map_err(kept)
            });
            let made = made.await.as_ref();
            made.map_err(|error| Failure {
                row: None,
                error: error.clone().into(),
            })?;
            self.called[row].store(true, Ordering::Release);
            Ok(0)
        })
    }

    fn take(&self, rows: Range<usize>) -> Result<ArrayRef, Failure> {
        let called = self.called[rows.clone()].iter();
        let called: NullBuffer = called.map(|row| row.load(Ordering::Acquire)).collect();
        // Where nothing was called, the one row is a null of the right type.
        let made = match self.made.get() {
            Some(made) => made.clone(),
            None => Ok(self.one.take(0..1)?),
        };
        repeated(&made, rows.len(), Some(&called))
    }
}
