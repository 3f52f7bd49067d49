//! Rows that share a call: those of equal arguments that are in flight together, or all that a
//! join made of one row.
//!
//! ```text
//!   rows --> Distinct: arguments for which there is no call --> the call --> SharedCalls: rows again
//!                 \------ the rows, and which call each waits for -------/
//! ```

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_empty_array, new_null_array,
};
use arrow::compute::{cast, interleave, take};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion_common::Result;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use futures::{Stream, StreamExt};
use hashbrown::HashMap;
use hypernodes_graph::{Error, ErrorKind, conform};
use hypernodes_plan::to_datafusion;
use parking_lot::Mutex;

use super::exec::Setting;
use super::held::{array_bytes, bytes};
use super::physical_call::{PhysicalCall, Shared};
use crate::call::skipped;
use crate::rejoined::{Rejoin, Rejoined};

/// Rows that are held at most while a call that they wait for runs.
const HELD_ROWS: usize = 8192;

/// What rows that share a call have in common, encoded.
type Key = Arc<[u8]>;

/// A call that was made and may still be needed.
struct Entry {
    /// `None` if no other row shares it.
    key: Option<Key>,
    /// The ordinal of the first row that needs it.
    row: u64,
    /// Rows held that need it.
    rows: usize,
    /// What it made: an array and the place in it.
    made: Option<(ArrayRef, usize)>,
}

/// Rows held, and for each the number of the call it needs, if it needs one.
struct Group {
    batch: RecordBatch,
    calls: Vec<Option<u64>>,
    emitted: usize,
    bytes: usize,
}

/// What the two ends share.
struct InFlight {
    known: HashMap<Key, u64>,
    /// Whether calls that have a key are kept for rows that are yet to come.
    is_kept: bool,
    /// The calls from number `first` on.
    entries: VecDeque<Entry>,
    first: u64,
    /// The number of calls that are done, which is in their order.
    arrived: u64,
    groups: VecDeque<Group>,
    rows: usize,
    memory: MemoryReservation,
}

impl InFlight {
    fn entry(&mut self, call: u64) -> Option<&mut Entry> {
        let place = usize::try_from(call.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(place)
    }

    /// The number of the call for the row with this key, and whether it is a new one.
    fn call_for(&mut self, key: Option<&[u8]>, row: u64) -> (u64, bool) {
        if let Some(key) = key
            && let Some(&call) = self.known.get(key)
            && let Some(entry) = self.entry(call)
        {
            entry.rows += 1;
            return (call, false);
        }
        let call = self.first + self.entries.len() as u64;
        let key = key.map(Key::from);
        if let Some(key) = &key {
            self.known.insert(Arc::clone(key), call);
        }
        self.entries.push_back(Entry {
            key,
            row,
            rows: 1,
            made: None,
        });
        (call, true)
    }

    /// One row that needed `call` is emitted.
    fn release(&mut self, call: u64) {
        let Some(entry) = self.entry(call) else {
            return;
        };
        entry.rows -= 1;
        let is_shared = entry.key.is_some();
        if entry.rows > 0 || (self.is_kept && is_shared) {
            return;
        }
        let entry = self.entry(call);
        if let Some(key) = entry.and_then(|entry| {
            entry.made = None;
            entry.key.clone()
        }) {
            self.known.remove(&key);
        }
        let is_over = |entry: &Entry| entry.rows == 0 && entry.made.is_none();
        while self.first < self.arrived && self.entries.front().is_some_and(is_over) {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

/// Rows to the arguments of those that share no call yet.
struct Distinct {
    input: SendableRecordBatchStream,
    /// A batch for which there was no memory while others were held.
    unheld: Option<RecordBatch>,
    call: PhysicalCall,
    schema: SchemaRef,
    converter: RowConverter,
    /// What rows that share a call have in common; `None`: their arguments.
    row: Option<Arc<dyn PhysicalExpr>>,
    shared: Arc<Mutex<InFlight>>,
    rows: u64,
}

impl Distinct {
    /// The arguments of the rows for which there is no call yet; `None` if there is no memory for
    /// the batch until others are emitted.
    fn hold(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let bytes = bytes(&batch)?;
        {
            let shared = self.shared.lock();
            match shared.memory.try_grow(bytes) {
                Ok(()) => {}
                Err(_) if shared.rows > 0 => {
                    self.unheld = Some(batch);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let rows = batch.num_rows();
        let (arrays, wanted) = self.call.arguments(&batch)?;
        let fields = std::iter::zip(&arrays, self.schema.fields());
        let arrays = fields.map(|(array, field)| cast(array, field.data_type()));
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let strict = skipped(&self.call.bound.node, &arrays);
        let is_needed = |row| {
            let masks = wanted.iter().chain(&strict);
            masks.into_iter().all(|mask| mask.is_valid(row))
        };
        let row = self.row.as_ref();
        let row = row.map(|row| row.evaluate(&batch)?.into_array(rows));
        let row = row.transpose()?;
        let keys = match &row {
            Some(row) => self.converter.convert_columns(&[Arc::clone(row)])?,
            None => self.converter.convert_columns(&arrays)?,
        };
        let has_key = |place| row.as_ref().is_none_or(|row| row.is_valid(place));
        let mut shared = self.shared.lock();
        let (mut calls, mut new) = (Vec::with_capacity(rows), Vec::new());
        for row in 0..rows {
            if !is_needed(row) {
                calls.push(None);
                continue;
            }
            let key = has_key(row).then(|| keys.row(row));
            let key = key.as_ref().map(AsRef::as_ref);
            let (call, is_new) = shared.call_for(key, self.rows + row as u64);
            calls.push(Some(call));
            if is_new {
                new.push(row as u64);
            }
        }
        self.rows += rows as u64;
        shared.rows += rows;
        shared.groups.push_back(Group {
            batch,
            calls,
            emitted: 0,
            bytes,
        });
        let options = RecordBatchOptions::new().with_row_count(Some(new.len()));
        let new = UInt64Array::from(new);
        let columns = arrays.iter().map(|array| take(array, &new, None));
        let columns = columns.collect::<Result<_, _>>()?;
        let schema = Arc::clone(&self.schema);
        let new = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Some(new))
    }
}

impl Stream for Distinct {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The calls in flight wake whoever waits here, since they alone make room.
        if self.shared.lock().rows >= HELD_ROWS {
            return Poll::Pending;
        }
        let batch = match self.unheld.take() {
            Some(batch) => batch,
            None => match ready!(self.input.poll_next_unpin(cx)).transpose()? {
                Some(batch) => batch,
                None => return Poll::Ready(None),
            },
        };
        match self.hold(batch)? {
            None => Poll::Pending,
            Some(new) if new.num_rows() > 0 => Poll::Ready(Some(Ok(new))),
            // Nothing to call, but perhaps rows to emit: the other end must have its turn.
            Some(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl RecordBatchStream for Distinct {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Calls to the rows that need them.
pub(super) struct SharedCalls {
    schema: SchemaRef,
    call: PhysicalCall,
    /// The place in what arrives of what the node makes.
    place: usize,
    null: ArrayRef,
    shared: Arc<Mutex<InFlight>>,
}

impl SharedCalls {
    /// The rows of one partition with what their calls made; `run` puts a call on a stream.
    ///
    /// # Errors
    /// If values of an argument's type cannot be compared.
    pub(super) fn stream(
        input: SendableRecordBatchStream,
        call: &PhysicalCall,
        setting: &Setting<'_>,
        run: impl FnOnce(SendableRecordBatchStream, PhysicalCall) -> SendableRecordBatchStream,
    ) -> Result<Rejoined<Self>> {
        let node = &call.bound.node;
        let schema = call.extended(&input.schema());
        let fields = std::iter::zip(node.parameters(), &call.args).enumerate();
        let fields = fields.map(|(place, (parameter, arg))| {
            let given = new_empty_array(&arg.data_type(&input.schema())?);
            let read = conform(&given, &parameter.data_type)?;
            let read = read.data_type().clone();
            Ok(Field::new(format!("#{place}"), read, true))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let row = call.once_per().filter(|_| !node.declared().dedup);
        let keys = match row {
            Some(row) => vec![SortField::new(row.data_type(&input.schema())?)],
            None => {
                let types = fields.iter().map(|field| field.data_type().clone());
                types.map(SortField::new).collect()
            }
        };
        let converter = RowConverter::new(keys).map_err(|error| {
            let message = format!("node {:?} cannot have `dedup`", node.name());
            to_datafusion(Error::new(ErrorKind::InvalidSetting, message).with_source(error))
        })?;
        let place = fields.len();
        let args = fields.iter().enumerate();
        let args = args.map(|(place, field)| Arc::new(Column::new(field.name(), place)) as _);
        let made = Field::new("#made", node.data_type(), true);
        let inner = PhysicalCall {
            args: args.collect(),
            guard: None,
            outputs: vec![(None, Arc::new(made))],
            shared: Shared::No,
            ..call.clone()
        };
        let consumer = MemoryConsumer::new(format!("NodeMapExec[{}]", node.name()));
        let shared = Arc::new(Mutex::new(InFlight {
            known: HashMap::new(),
            is_kept: call.is_kept(),
            entries: VecDeque::new(),
            first: 0,
            arrived: 0,
            groups: VecDeque::new(),
            rows: 0,
            memory: consumer.register(setting.pool),
        }));
        let distinct = Distinct {
            input,
            unheld: None,
            call: call.clone(),
            schema: Arc::new(Schema::new(fields)),
            converter,
            row: row.cloned(),
            shared: Arc::clone(&shared),
            rows: 0,
        };
        let rows = Self {
            schema: Arc::clone(&schema),
            call: call.clone(),
            place,
            null: new_null_array(&node.data_type(), 1),
            shared,
        };
        let made = run(Box::pin(distinct), inner);
        Ok(Rejoined::new(schema, made, rows))
    }
}

impl Rejoin for SharedCalls {
    fn arrive(&mut self, batch: RecordBatch) -> Result<()> {
        let made = batch.column(self.place);
        let mut shared = self.shared.lock();
        if shared.is_kept {
            let keys = made.len() * size_of::<Entry>();
            shared.memory.try_grow(array_bytes(made)? + keys)?;
        }
        for place in 0..made.len() {
            let call = shared.arrived;
            shared.arrived += 1;
            if let Some(entry) = shared.entry(call) {
                entry.made = Some((Arc::clone(made), place));
            }
        }
        Ok(())
    }

    fn take_front(&mut self, any: bool) -> Result<Option<RecordBatch>> {
        let mut shared = self.shared.lock();
        let arrived = shared.arrived;
        let Some(group) = shared.groups.front_mut() else {
            return Ok(None);
        };
        let left = &group.calls[group.emitted..];
        let done = left
            .iter()
            .take_while(|call| call.is_none_or(|call| call < arrived));
        let rows = done.count();
        let is_last = rows == left.len();
        if rows == 0 || !(any || is_last) {
            return Ok(None);
        }
        let calls = left[..rows].to_vec();
        let passed = group.batch.slice(group.emitted, rows);
        group.emitted += rows;
        if is_last && let Some(group) = shared.groups.pop_front() {
            shared.memory.shrink(group.bytes);
        }
        shared.rows -= rows;
        let mut arrays = vec![Arc::clone(&self.null)];
        let mut known = HashMap::new();
        let mut places = Vec::with_capacity(rows);
        for call in &calls {
            let made = call.and_then(|call| shared.entry(call)?.made.clone());
            let Some((array, place)) = made else {
                places.push((0, 0));
                continue;
            };
            let known = known.entry(Arc::as_ptr(&array).cast::<()>());
            let known = known.or_insert_with(|| {
                arrays.push(array);
                arrays.len() - 1
            });
            places.push((*known, place));
        }
        calls
            .into_iter()
            .flatten()
            .for_each(|call| shared.release(call));
        drop(shared);
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        let made = interleave(&arrays, &places)?;
        let columns = passed
            .columns()
            .iter()
            .cloned()
            .chain(self.call.columns(made));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?;
        Ok(Some(batch))
    }

    /// Told by the first row that needs the call.
    fn located(&self, error: Error) -> Error {
        let row = error.first_row();
        let row = row.and_then(|call| Some(self.shared.lock().entry(call)?.row));
        match row {
            Some(row) => error.with_row(row),
            None => error,
        }
    }

    fn clear(&mut self) {
        self.shared.lock().groups.clear();
    }
}
