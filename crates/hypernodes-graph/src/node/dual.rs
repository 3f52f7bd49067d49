//! Dual nodes: a function for one item, another for many.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::Node;
use crate::kernel::Call;

impl Node {
    /// The node as it is called for one item: of a dual node, by its singular function.
    #[must_use]
    pub fn singular(&self) -> Self {
        match &self.0.single {
            None => self.clone(),
            Some(single) => {
                let mut node = self.clone();
                let definition = Arc::make_mut(&mut node.0);
                definition.call = single.clone();
                definition.single = None;
                node
            }
        }
    }

    /// A dual node: this function for one item, the function of `batch`, over whole arrays, for
    /// many.
    ///
    /// Both have the same parameters by name and order, take the same shared values and make
    /// the same columns, or [`Pipeline::new`](crate::Pipeline::new) refuses it. Name, nulls and
    /// defaults are this node's: a row that this function is not called for is not handed to
    /// `batch` either. Settings are those of `batch`.
    ///
    /// ```
    /// use arrow::array::Int64Array;
    /// use hypernodes_graph::{Node, Pipeline};
    ///
    /// let one = Node::map("y", ["x"], |x: i64| 2 * x);
    /// let many = Node::batch("y", ["x"], |x: &Int64Array| -> Int64Array { x.unary(|x| 2 * x) });
    /// let pipeline = Pipeline::new([one.with_batch(many)])?;
    /// assert_eq!(pipeline.nodes().len(), 1);
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    #[must_use]
    pub fn with_batch(mut self, batch: impl Into<Self>) -> Self {
        let batch = batch.into();
        let faults = dual_faults(&self, &batch);
        let definition = Arc::make_mut(&mut self.0);
        definition.faults.extend(faults);
        let single = std::mem::replace(&mut definition.call, batch.0.call.clone());
        definition.single = Some(single);
        definition.settings = batch.0.settings;
        self
    }
}

/// What keeps two functions from being one dual node.
fn dual_faults(single: &Node, batch: &Node) -> Vec<String> {
    let names = |node: &Node| -> Vec<String> {
        let columns = node.parameters().iter().map(|known| known.name.clone());
        let shared = node.shared().iter().map(|known| known.name.clone());
        columns.chain(shared).collect()
    };
    let mut faults = Vec::new();
    if !matches!(batch.call(), Call::Batch(_)) {
        faults.push(format!("{:?} is not a batch function", batch.name()));
    }
    if names(single) != names(batch) {
        let (single, batch) = (names(single), names(batch));
        faults.push(format!(
            "its function for one item takes {single:?}, that for many {batch:?}"
        ));
    }
    let types = |node: &Node| -> Vec<DataType> {
        let read = node.parameters().iter();
        let made = node.outputs().iter().map(|output| output.data_type.clone());
        read.map(|known| known.data_type.clone())
            .chain(made)
            .collect()
    };
    if faults.is_empty() && types(single) != types(batch) {
        let (single, batch) = (types(single), types(batch));
        faults.push(format!(
            "its function for one item reads and makes {single:?}, that for many {batch:?}"
        ));
    }
    faults.extend(batch.faults().iter().cloned());
    faults
}
