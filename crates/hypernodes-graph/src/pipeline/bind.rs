//! Values that a pipeline holds: bound inputs and shared resources.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::{Graph, Pipeline};
use crate::kernel::Call;
use crate::node::{Names, Node, SharedParameter};
use crate::shared::SharedValue;
use crate::value::{InputValue, Inputs};
use crate::{BoxError, Error, ErrorKind, Result, hint};

impl Pipeline {
    /// The same pipeline with values for some of its inputs: `bind(inputs! { k: 3 })`.
    ///
    /// A later value replaces an earlier one, and what `run` and `map` are given goes before
    /// both. A bound column may be mapped over. On a table, a bound item is used whatever
    /// columns the table has. A null, `None`, is a value. The pipeline that it is called on stays
    /// as it was.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline, inputs};
    ///
    /// let scaled = Node::map("scaled", ["x", "k"], |x: i64, k: i64| x * k);
    /// let bound = Pipeline::new([scaled])?.bind(inputs! { k: 3 })?;
    /// assert_eq!(bound.unfulfilled_args().collect::<Vec<_>>(), ["x"]);
    /// let free = bound.unbind("k");
    /// assert_eq!(free.unfulfilled_args().collect::<Vec<_>>(), ["k", "x"]);
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with every fault at once: a name that is no input, a value of
    /// another type. A value that no column can hold exactly is refused by the run that reads it.
    pub fn bind(mut self, inputs: Inputs) -> Result<Self> {
        let (mut faults, mut fitted) = (Vec::new(), Inputs::default());
        for (name, value) in inputs.iter() {
            let Some(input) = self.inputs().iter().find(|input| input.name == name) else {
                faults.push(self.no_input(name));
                continue;
            };
            match value.fitted(&input.data_type) {
                Ok(value) => fitted = fitted.with(name, value),
                Err(why) => faults.push(format!("{name:?} is {why}")),
            }
        }
        if !faults.is_empty() {
            let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
            return Err(error.with_context("pipeline", self.name()));
        }
        let bound = &mut Arc::make_mut(&mut self.0).bound;
        *bound = std::mem::take(bound).merged(fitted);
        Ok(self)
    }

    /// The same pipeline without the values of these inputs: `.unbind("x")` or
    /// `.unbind(["x", "y"])`. A name that is not bound is ignored.
    #[must_use]
    pub fn unbind(mut self, names: impl Names) -> Self {
        let bound = &mut Arc::make_mut(&mut self.0).bound;
        names
            .names()
            .into_iter()
            .for_each(|name| bound.remove(name));
        self
    }

    /// The same pipeline with no input bound.
    #[must_use]
    pub fn unbind_all(mut self) -> Self {
        Arc::make_mut(&mut self.0).bound = Inputs::default();
        self
    }

    /// The values that are bound, by the names of their inputs; shared values are not among them.
    pub fn bound_inputs(&self) -> &Inputs {
        &self.0.bound
    }

    /// The value of an input that is the same for every row: bound to one item. An array of one
    /// row; `None` where nothing is bound, or a column.
    pub fn bound_item(&self, name: &str) -> Option<&ArrayRef> {
        match self.0.bound.get(name) {
            Some(InputValue::Item(item)) => Some(item),
            _ => None,
        }
    }

    /// The names of the inputs that are not bound, in alphabetic order; those with a default too.
    pub fn unfulfilled_args(&self) -> impl Iterator<Item = &str> {
        let names = self.inputs().iter().map(|input| input.name.as_str());
        names.filter(|name| self.0.bound.get(name).is_none())
    }

    /// The same pipeline with a resource for every `#[shared]` parameter called `name`, in nested
    /// pipelines too where none was bound; a later value replaces an earlier one.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline};
    /// use hypernodes_macros::{node, nodes};
    ///
    /// struct Model(i64);
    ///
    /// #[node]
    /// fn scored(x: i64, #[shared] model: &Model) -> i64 {
    ///     x * model.0
    /// }
    ///
    /// let pipeline = Pipeline::new(nodes![scored])?.bind_shared("model", Model(3))?;
    /// assert!(pipeline.clone().bind_shared("modl", Model(4)).is_err());
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`] if no node takes such a resource, or of another type.
    pub fn bind_shared<T: Any + Send + Sync>(self, name: &str, value: T) -> Result<Self> {
        self.bind_resource::<T>(name, SharedValue::new(value))
    }

    /// As [`Pipeline::bind_shared`], of a resource that `make` makes at the first row that needs
    /// it: once, whatever nodes, partitions and runs share it. It may block.
    ///
    /// If it fails, so does each call that needs it, with [`ErrorKind::SharedFailed`]; it is not
    /// tried again.
    ///
    /// # Errors
    /// As for [`Pipeline::bind_shared`].
    pub fn bind_shared_with<T, E, F>(self, name: &str, make: F) -> Result<Self>
    where
        T: Any + Send + Sync,
        E: Into<BoxError>,
        F: Fn() -> Result<T, E> + Send + Sync + 'static,
    {
        self.bind_resource::<T>(name, SharedValue::lazy(make))
    }

    /// As [`Pipeline::bind_shared_with`], where the resource is what a future yields.
    ///
    /// # Errors
    /// As for [`Pipeline::bind_shared`].
    pub fn bind_shared_async<T, E, F, Fut>(self, name: &str, make: F) -> Result<Self>
    where
        T: Any + Send + Sync,
        E: Into<BoxError>,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.bind_resource::<T>(name, SharedValue::lazy_async(make))
    }

    /// As [`Pipeline::bind_shared_with`], of a type that one thread at a time may use: one is
    /// made for each call that runs at the same time, and used again by later ones.
    ///
    /// # Errors
    /// As for [`Pipeline::bind_shared`]; and if an async node takes it.
    pub fn bind_shared_per_worker<T, E, F>(self, name: &str, make: F) -> Result<Self>
    where
        T: Any + Send,
        E: Into<BoxError>,
        F: Fn() -> Result<T, E> + Send + Sync + 'static,
    {
        self.bind_resource::<T>(name, SharedValue::per_worker(make))
    }

    fn bind_resource<T: Any>(mut self, name: &str, value: SharedValue) -> Result<Self> {
        let mut takers = Vec::new();
        self.takers(&mut takers);
        let invalid = |message| Err(Error::new(ErrorKind::InvalidPipeline, message));
        if !takers.iter().any(|(_, taker)| taker.name == name) {
            let names: BTreeSet<&str> = takers
                .iter()
                .map(|(_, taker)| taker.name.as_str())
                .collect();
            let hint = hint(name, names);
            return invalid(format!("no node takes a shared value {name:?}{hint}"));
        }
        for (node, taker) in takers.iter().filter(|(_, taker)| taker.name == name) {
            if taker.type_id != TypeId::of::<T>() {
                let (given, wanted) = (type_name::<T>(), taker.type_name);
                return invalid(format!(
                    "shared value {name:?} is a {given}, and node {:?} takes a {wanted}",
                    node.name()
                ));
            }
            if value.is_per_worker() && matches!(node.call(), Call::Async(_)) {
                return invalid(format!(
                    "shared value {name:?} is made for each worker, and node {:?} is async; share one by `bind_shared`",
                    node.name()
                ));
            }
        }
        Arc::make_mut(&mut self.0).share(name, &value);
        Ok(self)
    }

    /// What is told of a value that is given to no input.
    pub(crate) fn no_input(&self, name: &str) -> String {
        let mut takers = Vec::new();
        self.takers(&mut takers);
        if takers.iter().any(|(_, taker)| taker.name == name) {
            return format!("{name:?} is a shared value; give it by `bind_shared({name:?}, …)`");
        }
        let names = self.inputs().iter().map(|input| input.name.as_str());
        let hint = hint(name, names);
        format!("the pipeline has no input {name:?}{hint}")
    }

    /// The nodes that take shared values, those of nested pipelines included where the value is
    /// not bound in them.
    fn takers<'a>(&'a self, found: &mut Vec<(&'a Node, &'a SharedParameter)>) {
        for node in &self.0.listed {
            match node.call() {
                Call::Nested(nested) => {
                    let inner = &nested.pipeline.0;
                    let mut inside = Vec::new();
                    nested.pipeline.takers(&mut inside);
                    found.extend(
                        inside
                            .into_iter()
                            .filter(|(_, taker)| !inner.shared.contains_key(&taker.name)),
                    );
                }
                _ => found.extend(node.shared().iter().map(|taker| (node, taker))),
            }
        }
    }

    /// The shared values that must still be bound.
    pub(super) fn unbound_shared(&self) -> Vec<SharedParameter> {
        let mut takers = Vec::new();
        self.takers(&mut takers);
        let mut unbound: Vec<SharedParameter> = Vec::new();
        for (_, taker) in takers {
            if !self.0.shared.contains_key(&taker.name) && !unbound.contains(taker) {
                unbound.push(taker.clone());
            }
        }
        unbound
    }

    /// The resources that `node` takes, in the order of its parameters; none for a nested
    /// pipeline, which holds its own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if one was not bound.
    pub fn shared_values(&self, node: &Node) -> Result<Vec<SharedValue>> {
        if let Call::Nested(_) = node.call() {
            return Ok(Vec::new());
        }
        let bound = |name: &String| {
            self.0.shared.get(name).cloned().ok_or_else(|| {
                let message = format!(
                    "node {:?} takes a shared value {name:?}, which was not bound; call `bind_shared({name:?}, …)`",
                    node.name()
                );
                Error::new(ErrorKind::InvalidInput, message).with_context("pipeline", self.name())
            })
        };
        let shared = node.shared().iter();
        shared.map(|parameter| bound(&parameter.name)).collect()
    }
}

impl Graph {
    fn share(&mut self, name: &str, value: &SharedValue) {
        self.shared.insert(name.to_owned(), value.clone());
        for node in self.listed.iter_mut().chain(&mut self.nodes) {
            node.change_nested(|pipeline| {
                let mut takers = Vec::new();
                pipeline.takers(&mut takers);
                let is_free = !pipeline.0.shared.contains_key(name);
                if is_free && takers.iter().any(|(_, taker)| taker.name == name) {
                    Arc::make_mut(&mut pipeline.0).share(name, value);
                }
            });
        }
    }
}
