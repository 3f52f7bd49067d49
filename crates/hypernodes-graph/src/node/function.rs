//! Rust functions and closures as nodes, their parameter types inferred.
//!
//! A function's parameters are owned (`i64`, `Option<f64>`, `Vec<i64>`), borrowed (`&str`,
//! `&[f64]`) or optional and borrowed (`Option<&str>`). A marker per parameter tells these
//! apart, so that one blanket implementation for each combination can exist and the compiler
//! finds the right one from the function alone.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use parking_lot::Mutex;

use super::{Identity, Names, Node, Parameter};
use crate::columns::{Columns, Failure, reader};
use crate::kernel::{AsyncKernel, AsyncRows, BoxFuture, Call, Kernel};
use crate::shared::SharedValue;
use crate::value::{BatchOutput, ColumnArray, FromColumn, IntoColumn, NodeOutput, Owned};

/// Marks an owned parameter.
pub struct Own<T>(PhantomData<fn(T)>);
/// Marks a parameter borrowed from the array.
pub struct Ref<T: ?Sized>(PhantomData<fn(&T)>);
/// Marks an optional parameter borrowed from the array.
pub struct Opt<T: ?Sized>(PhantomData<fn(&T)>);

/// A parameter's type where `'a` is the life of its array.
macro_rules! at {
    (Own $t:ident $a:lifetime) => { $t };
    (Ref $t:ident $a:lifetime) => { &$a $t };
    (Opt $t:ident $a:lifetime) => { Option<&$a $t> };
}

/// A function or closure of one row; `Marker` lists what its parameters are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of one row",
    note = "it takes one to four column values, such as `|text: &str, k: i64|`, with their types written, and returns a column value or a `Result` of one",
    note = "for more parameters, `#[shared]` resources or a returned borrow, use `#[node]`"
)]
pub trait RowFunction<Marker>: Send + Sync + 'static {
    /// What it returns.
    type Output: NodeOutput;
    /// One name for each parameter.
    type Names<'n>;

    /// The parameters under these names.
    fn parameters(names: Self::Names<'_>) -> Vec<Parameter>;

    /// The function over all rows.
    ///
    /// # Errors
    /// As [`Kernel::call`].
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure>;
}

/// An async function of one row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async function of one row",
    note = "it is an `async fn` of one to four column values, or a closure of owned ones that returns a future"
)]
pub trait AsyncRowFunction<Marker>: Send + Sync + 'static {
    /// What its future yields.
    type Output: NodeOutput<Value: Send + 'static> + Send;
    /// One name for each parameter.
    type Names<'n>;

    /// The parameters under these names.
    fn parameters(names: Self::Names<'_>) -> Vec<Parameter>;

    /// The call for one row of `arrays`.
    fn call(
        self: Arc<Self>,
        arrays: Arc<[ArrayRef]>,
        row: usize,
    ) -> impl Future<Output = RowResult<Self::Output>> + Send + 'static;
}

type RowResult<R> = Result<<R as NodeOutput>::Value, Failure>;

/// A function or closure over one to four whole arrays.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of whole arrays",
    note = "it takes one to four borrowed arrays, such as `|x: &Int64Array|`, with their types written, and returns an array, a `Vec` or a `Result` of one"
)]
pub trait BatchFunction<Marker>: Send + Sync + 'static {
    /// What it returns.
    type Output: BatchOutput;
    /// One name for each parameter.
    type Names<'n>;

    /// The parameters under these names.
    fn parameters(names: Self::Names<'_>) -> Vec<Parameter>;

    /// The function over all rows.
    ///
    /// # Errors
    /// As [`Kernel::call`].
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure>;
}

/// An async function of `Arguments`, whose future may borrow from them.
pub trait AsyncCall<'a, Arguments> {
    /// What the future yields.
    type Output;
    /// The future.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Starts the call.
    fn start(&'a self, arguments: Arguments) -> Self::Future;
}

/// Implements the traits for one list of parameters: marker, type, variable, position.
macro_rules! implement {
    ($(($marker:ident $t:ident $v:ident $i:tt))+) => {
        impl<Fun, Out, $($t: ?Sized + 'static),+> RowFunction<($($marker<$t>,)+)> for Fun
        where
            Fun: for<'a> Fn($(at!($marker $t 'a)),+) -> Out + Send + Sync + 'static,
            Out: NodeOutput,
            $($marker<$t>: ParameterKind,)+
            $(for<'a> at!($marker $t 'a): FromColumn<'a>,)+
        {
            type Output = Out;
            type Names<'n> = [&'n str; [$($i),+].len()];

            fn parameters(names: Self::Names<'_>) -> Vec<Parameter> {
                vec![$(Parameter::of::<at!($marker $t 'static)>(names[$i])),+]
            }

            fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
                $(let $v = columns.reader::<at!($marker $t '_)>($i)?;)+
                columns.collect(|row| Ok(self($($v.get(row)?),+)))
            }
        }

        impl<Fun, Out, $($t: ?Sized + 'static),+> AsyncRowFunction<($($marker<$t>,)+)> for Fun
        where
            Fun: for<'a> AsyncCall<'a, ($(at!($marker $t 'a),)+), Output = Out> + Send + Sync + 'static,
            Out: NodeOutput<Value: Send + 'static> + Send + 'static,
            $($marker<$t>: ParameterKind,)+
            $(for<'a> at!($marker $t 'a): FromColumn<'a> + Send,)+
        {
            type Output = Out;
            type Names<'n> = [&'n str; [$($i),+].len()];

            fn parameters(names: Self::Names<'_>) -> Vec<Parameter> {
                vec![$(Parameter::of::<at!($marker $t 'static)>(names[$i])),+]
            }

            async fn call(self: Arc<Self>, arrays: Arc<[ArrayRef]>, row: usize) -> RowResult<Out> {
                let arguments = ($(argument::<at!($marker $t '_)>(&arrays, $i, row)?,)+);
                settle(row, self.start(arguments).await)
            }
        }
    };
}

/// Every combination of markers for a list of parameters.
macro_rules! combine {
    ({$($done:tt)*}) => { implement! { $($done)* } };
    ({$($done:tt)*} ($t:ident $v:ident $i:tt) $($rest:tt)*) => {
        combine! { {$($done)* (Own $t $v $i)} $($rest)* }
        combine! { {$($done)* (Ref $t $v $i)} $($rest)* }
        combine! { {$($done)* (Opt $t $v $i)} $($rest)* }
    };
}

/// The async functions of one number of arguments.
macro_rules! arity {
    ($(($t:ident $v:ident $i:tt))+) => {
        impl<'a, Fun, Fut, $($t),+> AsyncCall<'a, ($($t,)+)> for Fun
        where
            Fun: Fn($($t),+) -> Fut,
            Fut: Future + Send + 'a,
        {
            type Output = Fut::Output;
            type Future = Fut;

            fn start(&'a self, ($($v,)+): ($($t,)+)) -> Fut {
                self($($v),+)
            }
        }

        impl<Fun, Out, $($t: ColumnArray),+> BatchFunction<($($t,)+)> for Fun
        where
            Fun: Fn($(&$t),+) -> Out + Send + Sync + 'static,
            Out: BatchOutput,
        {
            type Output = Out;
            type Names<'n> = [&'n str; [$($i),+].len()];

            fn parameters(names: Self::Names<'_>) -> Vec<Parameter> {
                vec![$(Parameter::of_array::<$t>(names[$i])),+]
            }

            fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
                $(let $v = columns.array::<$t>($i)?;)+
                columns.whole(self($(&$v),+))
            }
        }

        combine! { {} $(($t $v $i))+ }
    };
}

arity! { (A a 0) }
arity! { (A a 0) (B b 1) }
arity! { (A a 0) (B b 1) (C c 2) }
arity! { (A a 0) (B b 1) (C c 2) (D d 3) }

/// What a marker says about its type, so that exactly one marker fits each parameter.
pub trait ParameterKind {}

impl<T: Owned> ParameterKind for Own<T> {}
impl<T: ?Sized> ParameterKind for Ref<T> {}
impl<T: ?Sized> ParameterKind for Opt<T> {}

/// Argument `index` of one row.
///
/// # Errors
/// If the array cannot be viewed as `T`, or the row cannot be read as one.
pub fn argument<'a, T: FromColumn<'a>>(
    arrays: &'a [ArrayRef],
    index: usize,
    row: usize,
) -> Result<T, Failure> {
    reader::<T>(arrays, index)?
        .get(row)
        .map_err(|why| Failure::unreadable(row, why))
}

/// What the call for `row` came to.
///
/// # Errors
/// The user's error.
pub fn settle<R: NodeOutput>(row: usize, output: R) -> RowResult<R> {
    output.into_output().map_err(|error| Failure {
        row: Some(row),
        error,
    })
}

/// A row function with its types erased.
struct RowKernel<F, M>(F, PhantomData<fn(M)>);

impl<M: 'static, F: RowFunction<M>> Kernel for RowKernel<F, M> {
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
        self.0.call(columns)
    }
}

/// A batch function with its types erased.
struct BatchKernel<F, M>(F, PhantomData<fn(M)>);

impl<M: 'static, F: BatchFunction<M>> Kernel for BatchKernel<F, M> {
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
        self.0.call(columns)
    }
}

/// An async row function with its types erased.
struct AsyncRowKernel<F, M>(Arc<F>, PhantomData<fn(M)>);

impl<M: 'static, F: AsyncRowFunction<M>> AsyncKernel for AsyncRowKernel<F, M> {
    fn batch(&self, arrays: Vec<ArrayRef>, _: &[SharedValue], rows: usize) -> Arc<dyn AsyncRows> {
        let (function, arrays) = (Arc::clone(&self.0), Arc::from(arrays));
        slots(rows, move |row| {
            Arc::clone(&function).call(Arc::clone(&arrays), row)
        })
    }
}

/// The rows of a batch whose calls `start` makes.
pub(crate) fn slots<V, S, Fut>(rows: usize, start: S) -> Arc<dyn AsyncRows>
where
    V: IntoColumn + Send + 'static,
    S: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Failure>> + Send + 'static,
{
    let values = std::iter::repeat_with(|| Mutex::new(None))
        .take(rows)
        .collect();
    Arc::new(Slots { start, values })
}

struct Slots<V, S> {
    start: S,
    values: Box<[Mutex<Option<V>>]>,
}

impl<V, S, Fut> AsyncRows for Slots<V, S>
where
    V: IntoColumn + Send + 'static,
    S: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Failure>> + Send + 'static,
{
    fn call(self: Arc<Self>, row: usize) -> BoxFuture<'static, Result<usize, Failure>> {
        Box::pin(async move {
            let value = (self.start)(row).await?;
            let bytes = value.held_bytes();
            *self.values[row].lock() = Some(value);
            Ok(bytes)
        })
    }

    fn take(&self, rows: Range<usize>) -> Result<ArrayRef, Failure> {
        let mut builder = V::builder(rows.len());
        for row in rows {
            match self.values[row].lock().take() {
                Some(value) => value
                    .append(&mut builder)
                    .map_err(|why| Failure::unwritable(row, &why))?,
                None => V::append_null(&mut builder),
            }
        }
        Ok(V::finish(builder))
    }
}

impl Node {
    /// A node from a function or closure of one row.
    ///
    /// `output` names the column it makes, and the SQL function, or is an array of names where
    /// the function returns a tuple or a struct, one for each of its fields; `inputs` the columns
    /// it reads, one for each of up to four parameters, whose types are taken from the function
    /// ([`FromColumn`](crate::FromColumn) lists them). Its name is that of its output, of several
    /// joined by `_`.
    ///
    /// A row that is null in a parameter which is no `Option` gives null without a call. An error
    /// that is returned, and a panic, end the run with an error that names node and row.
    ///
    /// ```
    /// use hypernodes_graph::Node;
    ///
    /// let scaled = Node::map("scaled", ["x", "factor"], |x: f64, factor: Option<f64>| {
    ///     x * factor.unwrap_or(1.0)
    /// });
    /// assert!(scaled.parameters()[1].optional);
    /// ```
    pub fn map<M: 'static, F: RowFunction<M>>(
        output: impl Names,
        inputs: F::Names<'_>,
        function: F,
    ) -> Self {
        let data_type = <F::Output as NodeOutput>::Value::data_type();
        let call = Call::Rows(Arc::new(RowKernel(function, PhantomData)));
        Self::unnamed(&output.names(), F::parameters(inputs), data_type, call)
    }

    /// A node from an `async fn` of one row, which may borrow its parameters, or from a closure
    /// of owned ones that returns a future. Names, nulls and errors are as for [`Node::map`].
    ///
    /// ```
    /// use hypernodes_graph::Node;
    ///
    /// async fn length(text: &str) -> i64 {
    ///     text.len() as i64
    /// }
    /// let node = Node::map_async("length", ["text"], length);
    /// assert_eq!(node.data_type(), arrow::datatypes::DataType::Int64);
    /// ```
    pub fn map_async<M: 'static, F: AsyncRowFunction<M>>(
        output: impl Names,
        inputs: F::Names<'_>,
        function: F,
    ) -> Self {
        let data_type = <F::Output as NodeOutput>::Value::data_type();
        let call = Call::Async(Arc::new(AsyncRowKernel(Arc::new(function), PhantomData)));
        Self::unnamed(&output.names(), F::parameters(inputs), data_type, call)
    }

    /// A node from a function over whole Arrow arrays.
    ///
    /// The arrays are of one length, hold the nulls of their columns, and are of the types the
    /// function asks for, whatever the layout of the column; it returns as many rows, in their
    /// order, or its node fails. How many it is given at a time is
    /// [`batch_size`](crate::Settings::batch_size). What it returns as an error is one of the
    /// batch: no row is named, but the batch's first.
    ///
    /// ```
    /// use arrow::array::Int64Array;
    /// use hypernodes_graph::Node;
    ///
    /// let doubled = Node::batch("doubled", ["x"], |x: &Int64Array| -> Int64Array {
    ///     x.unary(|x| x * 2)
    /// });
    /// assert!(doubled.parameters()[0].optional);
    /// ```
    pub fn batch<M: 'static, F: BatchFunction<M>>(
        output: impl Names,
        inputs: F::Names<'_>,
        function: F,
    ) -> Self {
        let data_type = <F::Output as BatchOutput>::column_type();
        let call = Call::Batch(Arc::new(BatchKernel(function, PhantomData)));
        Self::unnamed(&output.names(), F::parameters(inputs), data_type, call)
    }

    fn unnamed(
        outputs: &[&str],
        parameters: Vec<Parameter>,
        data_type: DataType,
        call: Call,
    ) -> Self {
        let (identity, name) = (Identity::new(), outputs.join("_"));
        Self::made(
            identity,
            name,
            parameters,
            Vec::new(),
            outputs,
            data_type,
            call,
        )
    }
}
