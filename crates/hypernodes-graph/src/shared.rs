//! Resources that nodes take by `#[shared]` reference: models, clients, connections.
//!
//! A resource is made at the first row that needs it, once, and dropped with the last pipeline
//! that holds it. One that cannot be shared between threads is made once for each call that
//! runs at the same time, and lent from call to call.

use std::any::{Any, type_name};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use async_lock::OnceCell;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use parking_lot::Mutex;

use crate::columns::Failure;
use crate::kernel::BoxFuture;
use crate::{BoxError, Error, ErrorKind, Result};

type Anything = Arc<dyn Any + Send + Sync>;
type Made<T> = Result<T, BoxError>;

/// A resource, made or still to be made; clones are one resource.
#[derive(Clone)]
pub struct SharedValue(Arc<Source>);

struct Source {
    type_name: &'static str,
    kind: Kind,
}

enum Kind {
    One {
        cell: OnceCell<Result<Anything>>,
        make: Make,
    },
    PerWorker(PerWorker),
}

enum Make {
    Given,
    Sync(Arc<dyn Fn() -> Made<Anything> + Send + Sync>),
    Async(Box<dyn Fn() -> BoxFuture<'static, Made<Anything>> + Send + Sync>),
}

struct PerWorker {
    make: Box<dyn Fn() -> Made<Box<dyn Any + Send>> + Send + Sync>,
    idle: Mutex<Vec<Box<dyn Any + Send>>>,
    failed: OnceLock<Error>,
}

impl SharedValue {
    /// A resource that is there.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        let cell = OnceCell::from(Ok(Arc::new(value) as Anything));
        Self::one::<T>(cell, Make::Given)
    }

    /// A resource that `make` makes; it may block, and is called on a thread of its own or on
    /// one of a pool.
    pub fn lazy<T, E, F>(make: F) -> Self
    where
        T: Any + Send + Sync,
        E: Into<BoxError>,
        F: Fn() -> Result<T, E> + Send + Sync + 'static,
    {
        let make = move || Ok(Arc::new(make().map_err(Into::into)?) as Anything);
        Self::one::<T>(OnceCell::new(), Make::Sync(Arc::new(make)))
    }

    /// A resource that the future of `make` makes.
    pub fn lazy_async<T, E, F, Fut>(make: F) -> Self
    where
        T: Any + Send + Sync,
        E: Into<BoxError>,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let make = move || {
            let making = make();
            let made = async move { Ok(Arc::new(making.await.map_err(Into::into)?) as Anything) };
            Box::pin(made) as BoxFuture<'static, Made<Anything>>
        };
        Self::one::<T>(OnceCell::new(), Make::Async(Box::new(make)))
    }

    /// A resource of a type that only one thread may use at a time: `make` is called when a call
    /// finds none that is idle.
    pub fn per_worker<T, E, F>(make: F) -> Self
    where
        T: Any + Send,
        E: Into<BoxError>,
        F: Fn() -> Result<T, E> + Send + Sync + 'static,
    {
        let make = move || Ok(Box::new(make().map_err(Into::into)?) as Box<dyn Any + Send>);
        let kind = Kind::PerWorker(PerWorker {
            make: Box::new(make),
            idle: Mutex::default(),
            failed: OnceLock::new(),
        });
        let type_name = type_name::<T>();
        Self(Arc::new(Source { type_name, kind }))
    }

    fn one<T>(cell: OnceCell<Result<Anything>>, make: Make) -> Self {
        let kind = Kind::One { cell, make };
        let type_name = type_name::<T>();
        Self(Arc::new(Source { type_name, kind }))
    }

    /// Whether both are one resource.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether one is made for each call that runs at the same time.
    pub fn is_per_worker(&self) -> bool {
        matches!(self.0.kind, Kind::PerWorker(_))
    }

    /// The resource for one call, on a thread that may block; made if it is not there yet.
    ///
    /// # Errors
    /// [`ErrorKind::SharedFailed`] if it cannot be made; the same error ever after, without
    /// another try.
    pub fn lend(&self) -> Result<Lent> {
        match &self.0.kind {
            Kind::One { cell, make } => {
                let made = cell.get_or_init_blocking(|| match make {
                    Make::Sync(make) => self.guarded(|| make()),
                    Make::Async(make) => block_on(self.awaited(make)),
                    Make::Given => Err(self.failed("it was not given".into())),
                });
                made.clone().map(|value| Lent(Inner::Shared(value)))
            }
            Kind::PerWorker(workers) => {
                if let Some(error) = workers.failed.get() {
                    return Err(error.clone());
                }
                let idle = workers.idle.lock().pop();
                let value = match idle {
                    Some(value) => value,
                    None => self
                        .guarded(|| (workers.make)())
                        .map_err(|error| workers.failed.get_or_init(|| error).clone())?,
                };
                Ok(Lent(Inner::Own {
                    value: Some(value),
                    home: self.clone(),
                }))
            }
        }
    }

    /// The resource, in a task that must not block; made if it is not there yet.
    ///
    /// # Errors
    /// As for [`SharedValue::lend`]; and for a resource per worker, which is for sync functions.
    pub async fn get(&self) -> Result<Anything> {
        let Kind::One { cell, make } = &self.0.kind else {
            return Err(self.failed("one for each worker is for sync functions".into()));
        };
        let made = cell.get_or_init(|| async {
            match make {
                Make::Sync(make) => {
                    let (sender, receiver) = oneshot::channel();
                    let (make, this) = (Arc::clone(make), self.clone());
                    let work = move || drop(sender.send(this.guarded(|| make())));
                    let thread = std::thread::Builder::new().name("hypernodes-shared".into());
                    match thread.spawn(work) {
                        Ok(_) => receiver
                            .await
                            .unwrap_or_else(|lost| Err(self.failed(lost.into()))),
                        Err(error) => Err(self.failed(error.into())),
                    }
                }
                Make::Async(make) => self.awaited(make).await,
                Make::Given => Err(self.failed("it was not given".into())),
            }
        });
        made.await.clone()
    }

    fn guarded<T>(&self, make: impl FnOnce() -> Made<T>) -> Result<T> {
        let made = catch_unwind(AssertUnwindSafe(make));
        let made = made.unwrap_or_else(|panic| Err(panic_text(&*panic).into()));
        made.map_err(|error| self.failed(error))
    }

    async fn awaited(
        &self,
        make: &(dyn Fn() -> BoxFuture<'static, Made<Anything>> + Send + Sync),
    ) -> Result<Anything> {
        let made = AssertUnwindSafe(async { make().await })
            .catch_unwind()
            .await;
        let made = made.unwrap_or_else(|panic| Err(panic_text(&*panic).into()));
        made.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: BoxError) -> Error {
        let message = format!("the shared {} could not be made", self.0.type_name);
        Error::new(ErrorKind::SharedFailed, message).with_source(error)
    }
}

/// What a panic says.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("a value that is no text"))
}

impl fmt::Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedValue({})", self.0.type_name)
    }
}

/// A resource for the time of one call; one of a worker goes back when this is dropped.
pub struct Lent(Inner);

enum Inner {
    Shared(Anything),
    Own {
        value: Option<Box<dyn Any + Send>>,
        home: SharedValue,
    },
}

impl Lent {
    /// The resource as a `T`.
    ///
    /// # Errors
    /// If it is of another type, a fault of the engine.
    pub fn get<T: Any>(&self) -> Result<&T, Failure> {
        let found = match &self.0 {
            Inner::Shared(value) => value.downcast_ref(),
            Inner::Own { value, .. } => value.as_ref().and_then(|value| value.downcast_ref()),
        };
        found.ok_or_else(|| {
            let message = format!("a shared value is no {}", type_name::<T>());
            Failure {
                row: None,
                error: Error::new(ErrorKind::Internal, message).into(),
            }
        })
    }
}

impl Drop for Lent {
    /// A resource that a panic went through is not used again.
    fn drop(&mut self) {
        if let Inner::Own { value, home } = &mut self.0
            && let (Some(value), Kind::PerWorker(workers)) = (value.take(), &home.0.kind)
            && !std::thread::panicking()
        {
            workers.idle.lock().push(value);
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Shared(_) => "Lent(shared)",
            Inner::Own { .. } => "Lent(own)",
        })
    }
}
