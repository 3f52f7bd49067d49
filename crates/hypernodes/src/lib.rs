#![doc = include_str!("../../../README.md")]

#[doc(hidden)]
pub use hypernodes_graph::expansion;

pub use hypernodes_exec::{Runtime, SequentialEngine};
pub use hypernodes_graph::{
    AsNode, Engine, Error, ErrorKind, Input, InputValue, Inputs, MapMode, Names, Node, Output,
    Outputs, Pipeline, Result, Settings, inputs, items,
};
pub use hypernodes_macros::{node, nodes};
pub use hypernodes_session::{
    DataFrameExt, MapCall, NodeQueryPlanner, PipelineExt, RunCall, Session, SessionContextExt,
    SessionStateBuilderExt,
};

pub use hypernodes_plan::{from_datafusion, to_datafusion};
pub use {arrow, datafusion};

/// What a program that runs pipelines uses: `use hypernodes::prelude::*`.
pub mod prelude {
    pub use crate::{
        DataFrameExt, Engine, Error, ErrorKind, Inputs, MapMode, Node, Outputs, Pipeline,
        PipelineExt, Result, SequentialEngine, Session, SessionContextExt, SessionStateBuilderExt,
        Settings, inputs, items, node, nodes,
    };
    pub use datafusion::prelude::{col, lit};
}
