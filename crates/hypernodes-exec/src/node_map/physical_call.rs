//! A call as an operator makes it.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::Result;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, Literal};
use hypernodes_graph::{Call, Error, ErrorKind};
use hypernodes_plan::{BoundNode, to_datafusion};

use super::gate::Gate;
use crate::call::conformed;
use crate::nested::Program;
use crate::runtime::Runtime;

/// A call with its guard and arguments over the input's columns.
#[derive(Debug, Clone)]
pub(crate) struct PhysicalCall {
    pub(crate) bound: Arc<BoundNode>,
    pub(super) args: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) guard: Option<Arc<dyn PhysicalExpr>>,
    pub(super) outputs: Vec<(Option<usize>, Arc<Field>)>,
    pub(super) gate: Arc<Gate>,
    /// Of a nested pipeline, what runs in it.
    pub(super) program: Option<Arc<Program>>,
    /// Which rows share a call.
    pub(super) shared: Shared,
    /// Whether whoever reads counts on the order of the rows, whatever settings say.
    pub(super) keeps_order: bool,
}

/// Which rows share a call.
#[derive(Debug, Clone)]
pub(super) enum Shared {
    No,
    /// Those of equal arguments that are in flight together; if `is_kept`, all of them.
    Arguments {
        is_kept: bool,
    },
    /// All that have the same value of a column; none where it is null.
    Rows(Arc<dyn PhysicalExpr>),
}

impl PhysicalCall {
    /// A call that makes the outputs named; of a nested pipeline, only what they need is run.
    ///
    /// # Errors
    /// If a value that is the same for all rows would differ, or an inner node lacks one.
    pub(crate) fn new(
        bound: Arc<BoundNode>,
        args: Vec<Arc<dyn PhysicalExpr>>,
        guard: Option<Arc<dyn PhysicalExpr>>,
        outputs: Vec<(Option<usize>, Arc<Field>)>,
        runtime: &Arc<Runtime>,
    ) -> Result<Self> {
        for (parameter, arg) in std::iter::zip(bound.node.parameters(), &args) {
            if parameter.constant && !(arg.as_ref() as &dyn Any).is::<Literal>() {
                let (node, name) = (bound.node.name(), &parameter.name);
                let message = format!(
                    "node {node:?} takes {name:?} as one value for all rows, and was given {arg}"
                );
                return Err(to_datafusion(Error::new(ErrorKind::InvalidInput, message)));
            }
        }
        let gate = Arc::new(Gate::new(&bound.node, runtime.settings()));
        let bound = match bound.node.parameters() {
            [] => Arc::new(BoundNode {
                node: bound.node.once(),
                ..BoundNode::clone(&bound)
            }),
            _ => bound,
        };
        let shared = match bound.node.declared().dedup && !args.is_empty() {
            true => Shared::Arguments { is_kept: false },
            false => Shared::No,
        };
        let call = Self {
            bound,
            args,
            guard,
            outputs,
            gate,
            program: None,
            shared,
            keeps_order: false,
        };
        let Call::Nested(_) = call.bound.node.call() else {
            return Ok(call);
        };
        let call = call.narrowed();
        let program = match call.bound.node.call() {
            Call::Nested(nested) => Some(Arc::new(Program::new(nested, runtime)?)),
            _ => None,
        };
        Ok(Self { program, ..call })
    }

    /// The same call, once for all rows that need it, each of which gives it the same arguments.
    pub(super) fn once(self) -> Self {
        let shared = match self.args.is_empty() {
            true => self.shared,
            false => Shared::Arguments { is_kept: true },
        };
        Self { shared, ..self }
    }

    /// Whether what a call makes is kept for rows that are yet to come.
    pub(super) fn is_kept(&self) -> bool {
        matches!(
            self.shared,
            Shared::Rows(_) | Shared::Arguments { is_kept: true }
        )
    }

    /// The call without the outputs that are not named.
    fn narrowed(self) -> Self {
        let fields = self.outputs.iter().map(|(field, _)| *field);
        let Some(fields) = fields.collect::<Option<Vec<_>>>() else {
            return self;
        };
        let node = self.bound.node.narrowed(&fields);
        let args = node.parameters().iter().filter_map(|parameter| {
            let known = self.bound.node.parameters().iter();
            let place = known
                .clone()
                .position(|known| known.name == parameter.name)?;
            self.args.get(place).map(Arc::clone)
        });
        let args = args.collect();
        let several = node.outputs().len() > 1;
        let outputs = self.outputs.iter().map(|(field, column)| {
            let name = field.map(|field| &self.bound.node.outputs()[field].name);
            let made = node
                .outputs()
                .iter()
                .position(|output| Some(&output.name) == name);
            (made.filter(|_| several), Arc::clone(column))
        });
        let outputs = outputs.collect();
        let bound = Arc::new(BoundNode {
            node,
            ..BoundNode::clone(&self.bound)
        });
        Self {
            bound,
            args,
            outputs,
            ..self
        }
    }

    /// What it reads of the input.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.args.iter().chain(&self.guard).chain(self.once_per())
    }

    /// What it is made once for.
    pub(super) fn once_per(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        match &self.shared {
            Shared::Rows(row) => Some(row),
            Shared::No | Shared::Arguments { .. } => None,
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        !matches!(self.shared, Shared::No)
    }

    /// The arguments as the node reads them, and the rows that the guard lets pass.
    pub(crate) fn arguments(
        &self,
        batch: &RecordBatch,
    ) -> Result<(Vec<ArrayRef>, Option<NullBuffer>)> {
        let rows = batch.num_rows();
        let guard = self.guard.as_ref();
        let wanted = guard.map(|guard| wanted(&**guard, batch)).transpose()?;
        let wanted = wanted.filter(BooleanArray::has_false);
        let arrays = self.args.iter().map(|arg| match &wanted {
            Some(wanted) if !arg.is::<Column>() => {
                arg.evaluate_selection(batch, wanted)?.into_array(rows)
            }
            _ => arg.evaluate(batch)?.into_array(rows),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let arrays = conformed(&self.bound, &arrays).map_err(to_datafusion)?;
        let wanted = wanted.map(|wanted| NullBuffer::new(wanted.values().clone()));
        Ok((arrays, wanted))
    }

    /// Whether nothing says that its rows may come in another order than its input's.
    pub(super) fn is_ordered(&self) -> bool {
        self.gate.is_ordered() || self.program.is_some() || self.is_shared()
    }

    /// The columns in what the node made.
    pub(super) fn columns(&self, made: ArrayRef) -> Vec<ArrayRef> {
        self.fields(self.bound.node.columns(&made)).collect()
    }

    /// The columns of the call, given one for each output of the node.
    pub(crate) fn fields(&self, made: Vec<ArrayRef>) -> impl Iterator<Item = ArrayRef> {
        self.outputs
            .iter()
            .map(move |(field, _)| match (field, &made[..]) {
                (Some(field), made) => Arc::clone(&made[*field]),
                (None, [only]) => Arc::clone(only),
                (None, several) => {
                    let outputs = self.bound.node.outputs().iter();
                    let fields = outputs.map(|output| {
                        Arc::new(Field::new(&output.name, output.data_type.clone(), true))
                    });
                    let columns = std::iter::zip(fields, several.iter().cloned());
                    Arc::new(StructArray::from(columns.collect::<Vec<_>>()))
                }
            })
    }

    /// The schema with the call's columns at its end.
    pub(crate) fn extended(&self, schema: &Schema) -> SchemaRef {
        let made = self.outputs.iter().map(|(_, field)| field);
        let fields = schema.fields().iter().chain(made);
        let fields: Vec<_> = fields.cloned().collect();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }
}

/// The rows where the guard is true; it is never null.
fn wanted(guard: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<BooleanArray> {
    let guard = guard.evaluate(batch)?.into_array(batch.num_rows())?;
    let guard = guard.as_boolean();
    Ok(match Array::nulls(guard) {
        Some(_) => prep_null_mask_filter(guard),
        None => guard.clone(),
    })
}
