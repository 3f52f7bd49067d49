//! The two ends of a nested map: outer rows to items, items to outer rows.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::Result;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt};
use hypernodes_graph::{Error, conform};
use hypernodes_plan::to_datafusion;
use parking_lot::Mutex;

use super::flat::{Flat, flatten, lengths, regroup};
use super::program::{Program, Steps};
use crate::call::{call_engine, failed};
use crate::node_map::PhysicalCall;
use crate::rejoined::{Rejoin, Rejoined};

/// Inner rows of a batch, unless one outer row has more.
const INNER_ROWS: usize = 8192;

/// Outer rows whose items were handed in and not all come back.
struct Group {
    batch: RecordBatch,
    lengths: Vec<Option<usize>>,
    /// The ordinals of its first outer and inner row.
    first: (u64, u64),
    /// Outer rows that were emitted.
    emitted: usize,
    bytes: usize,
}

/// What the two ends share.
struct Groups {
    queue: VecDeque<Group>,
    memory: MemoryReservation,
}

/// Outer rows to items.
struct Flattened {
    input: SendableRecordBatchStream,
    call: PhysicalCall,
    program: Arc<Program>,
    groups: Arc<Mutex<Groups>>,
    /// The rest of a batch that is not flattened yet, its arguments and lengths.
    rest: Option<(RecordBatch, Vec<ArrayRef>, Vec<Option<usize>>)>,
    rows: (u64, u64),
}

impl Flattened {
    fn hold(&mut self, batch: RecordBatch) -> Result<()> {
        let (arrays, wanted) = self.call.arguments(&batch)?;
        let bound = &self.call.bound;
        let parameters = bound.node.parameters().iter();
        let names: Vec<&str> = parameters
            .map(|parameter| parameter.name.as_str())
            .collect();
        let rows = batch.num_rows();
        let lengths = lengths(&self.program.nested, &names, &arrays, rows, wanted.as_ref());
        let lengths =
            lengths.map_err(|failure| to_datafusion(failed(bound, self.rows.0, failure)))?;
        self.rest = Some((batch, arrays, lengths));
        Ok(())
    }

    /// The items of the next rows; `None` if there is no batch.
    fn next_group(&mut self) -> Result<Option<Flat>> {
        let Some((batch, arrays, lengths)) = self.rest.take() else {
            return Ok(None);
        };
        let mut inner = 0;
        let fits = lengths.iter().take_while(|length| {
            inner += length.unwrap_or(0);
            inner <= INNER_ROWS
        });
        let rows = fits.count().max(1).min(lengths.len());
        let slice = |arrays: &[ArrayRef], start, rows| -> Vec<ArrayRef> {
            arrays
                .iter()
                .map(|array| array.slice(start, rows))
                .collect()
        };
        let (now, left) = (slice(&arrays, 0, rows), lengths.len() - rows);
        if left > 0 {
            let arrays = slice(&arrays, rows, left);
            self.rest = Some((batch.slice(rows, left), arrays, lengths[rows..].to_vec()));
        }
        let flat = flatten(&self.program.nested, &now, lengths[..rows].to_vec());
        let flat =
            flat.map_err(|failure| to_datafusion(failed(&self.call.bound, self.rows.0, failure)))?;
        let batch = batch.slice(0, rows);
        let bytes = if left == 0 {
            batch.get_array_memory_size()
        } else {
            0
        };
        let mut groups = self.groups.lock();
        groups.memory.try_grow(bytes)?;
        groups.queue.push_back(Group {
            batch,
            lengths: flat.lengths.clone(),
            first: self.rows,
            emitted: 0,
            bytes,
        });
        self.rows.0 += rows as u64;
        self.rows.1 += flat.rows as u64;
        Ok(Some(flat))
    }

    fn items(&self, flat: Flat) -> Result<RecordBatch> {
        let fields = self.program.schema.fields().iter();
        let columns = std::iter::zip(fields, flat.columns);
        let columns = columns.map(|(field, column)| match field.data_type() {
            DataType::Null => Ok(arrow::array::new_null_array(&DataType::Null, flat.rows)),
            wanted => {
                conform(&column, wanted).and_then(|column| arrow::compute::cast(&column, wanted))
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(flat.rows));
        let schema = Arc::clone(&self.program.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

impl Stream for Flattened {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.next_group()? {
                Some(flat) if flat.rows > 0 => return Poll::Ready(Some(self.items(flat))),
                // Nothing to run, but rows to emit: whoever regroups them must have its turn.
                Some(_) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {}
            }
            match ready!(self.input.poll_next_unpin(cx)).transpose()? {
                Some(batch) if batch.num_rows() > 0 => self.hold(batch)?,
                Some(_) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

impl RecordBatchStream for Flattened {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.program.schema)
    }
}

/// Items to outer rows: the outputs of the inner pipeline, a row for each item, become lists.
pub(crate) struct Regrouped {
    schema: SchemaRef,
    call: PhysicalCall,
    is_mapped: bool,
    /// The columns of what arrives that are outputs.
    outputs: Vec<usize>,
    groups: Arc<Mutex<Groups>>,
    pieces: VecDeque<RecordBatch>,
    /// Inner rows in `pieces`.
    arrived: usize,
}

impl Regrouped {
    /// The rows of one partition with what the nested pipeline makes of them; `run` puts calls on
    /// a stream.
    pub(crate) fn stream(
        input: SendableRecordBatchStream,
        call: PhysicalCall,
        program: &Arc<Program>,
        pool: &Arc<dyn MemoryPool>,
        run: impl Fn(SendableRecordBatchStream, &[PhysicalCall]) -> SendableRecordBatchStream,
    ) -> Rejoined<Self> {
        let consumer = MemoryConsumer::new(format!("NodeMapExec[{}]", call.bound.node.name()));
        let groups = Arc::new(Mutex::new(Groups {
            queue: VecDeque::new(),
            memory: consumer.register(pool),
        }));
        let schema = call.extended(&input.schema());
        let items: SendableRecordBatchStream = Box::pin(Flattened {
            input,
            call: call.clone(),
            program: Arc::clone(program),
            groups: Arc::clone(&groups),
            rest: None,
            rows: (0, 0),
        });
        let (made, outputs) = match &program.steps {
            Steps::Calls(calls, outputs) => (run(items, calls), outputs.clone()),
            Steps::Engine(engine) => {
                let width = program.nested.pipeline.outputs().len();
                let outputs = (0..width).collect();
                let (engine, pipeline) = (Arc::clone(engine), program.nested.pipeline.clone());
                let mut first = 0;
                let made = items.then(move |batch| {
                    let (engine, pipeline) = (Arc::clone(&engine), pipeline.clone());
                    let before = first;
                    first += batch.as_ref().map_or(0, RecordBatch::num_rows) as u64;
                    async move {
                        let mapped = call_engine(&*engine, &pipeline, batch?).await;
                        mapped.map_err(|error| {
                            to_datafusion(match error.first_row() {
                                Some(row) => error.with_row(before + row),
                                None => error,
                            })
                        })
                    }
                });
                let schema = program.nested.pipeline.output_schema();
                let made = RecordBatchStreamAdapter::new(schema, made);
                (Box::pin(made) as SendableRecordBatchStream, outputs)
            }
        };
        let rows = Self {
            schema: Arc::clone(&schema),
            call,
            is_mapped: program.nested.mode.is_some(),
            outputs,
            groups,
            pieces: VecDeque::new(),
            arrived: 0,
        };
        Rejoined::new(schema, made, rows)
    }

    /// The next `rows` inner rows, an array for each output.
    fn take_items(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.outputs.len()];
        let mut missing = rows;
        while missing > 0
            && let Some(piece) = self.pieces.pop_front()
        {
            let taken = missing.min(piece.num_rows());
            for (part, &output) in std::iter::zip(&mut parts, &self.outputs) {
                part.push(piece.column(output).slice(0, taken));
            }
            if taken < piece.num_rows() {
                let left = piece.slice(taken, piece.num_rows() - taken);
                self.pieces.push_front(left);
            }
            missing -= taken;
        }
        self.arrived -= rows;
        let types = self.call.bound.node.outputs().iter();
        let columns = std::iter::zip(parts, types).map(|(parts, output)| match &parts[..] {
            [only] => Ok(Arc::clone(only)),
            [] => Ok(arrow::array::new_empty_array(
                self.item_type(&output.data_type),
            )),
            several => {
                let several: Vec<&dyn Array> = several.iter().map(AsRef::as_ref).collect();
                Ok(concat(&several)?)
            }
        });
        columns.collect()
    }

    /// The type of the inner output that becomes an outer one of this type.
    fn item_type<'a>(&self, outer: &'a DataType) -> &'a DataType {
        match outer {
            DataType::List(item) if self.is_mapped => item.data_type(),
            other => other,
        }
    }
}

impl Rejoin for Regrouped {
    fn arrive(&mut self, batch: RecordBatch) -> Result<()> {
        self.arrived += batch.num_rows();
        self.pieces.push_back(batch);
        Ok(())
    }

    fn take_front(&mut self, any: bool) -> Result<Option<RecordBatch>> {
        let groups = Arc::clone(&self.groups);
        let mut groups = groups.lock();
        let Some(group) = groups.queue.front_mut() else {
            return Ok(None);
        };
        let left = &group.lengths[group.emitted..];
        let mut items = 0;
        let complete = left.iter().take_while(|length| {
            let next = items + length.unwrap_or(0);
            let fits = next <= self.arrived;
            items = if fits { next } else { items };
            fits
        });
        let rows = complete.count();
        let is_last = rows == left.len();
        if rows == 0 || !(any || is_last) {
            return Ok(None);
        }
        let lengths = left[..rows].to_vec();
        let passed = group.batch.slice(group.emitted, rows);
        group.emitted += rows;
        if is_last && let Some(group) = groups.queue.pop_front() {
            groups.memory.shrink(group.bytes);
        }
        drop(groups);
        let made = self.take_items(items)?;
        let made = made
            .into_iter()
            .map(|made| regroup(self.is_mapped, &lengths, made));
        let made = made.collect::<Result<Vec<_>, _>>()?;
        let columns = passed
            .columns()
            .iter()
            .cloned()
            .chain(self.call.fields(made));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?;
        Ok(Some(batch))
    }

    /// Told by the outer row and the item.
    fn located(&self, error: Error) -> Error {
        let Some(inner) = error.first_row() else {
            return error;
        };
        let groups = self.groups.lock();
        let group = groups
            .queue
            .iter()
            .rev()
            .find(|group| group.first.1 <= inner);
        let Some(group) = group else {
            return error;
        };
        let mut before = group.first.1;
        for (row, length) in group.lengths.iter().enumerate() {
            let length = length.unwrap_or(0) as u64;
            if inner < before + length {
                let error = error.with_row(group.first.0 + row as u64);
                return match self.is_mapped {
                    true => error.with_context("item", inner - before),
                    false => error,
                };
            }
            before += length;
        }
        error
    }

    fn clear(&mut self) {
        self.groups.lock().queue.clear();
    }
}
