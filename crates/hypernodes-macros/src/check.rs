//! What a function must look like to be a node; every fault is reported, each at its token.

use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, GenericParam, ItemFn, Pat, PatType, Result, ReturnType, Type};

use crate::parse::{Options, default_of, is_shared};

/// A function that can be a node.
pub(crate) struct Checked {
    /// The parameters in their order.
    pub(crate) parameters: Vec<Parameter>,
    /// The return type as written.
    pub(crate) output: Type,
}

/// One parameter.
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The type as written; of a shared or an array parameter, what is behind the `&`.
    pub(crate) written: Type,
    pub(crate) shared: bool,
    /// Of a batch function: one value for all rows instead of an array.
    pub(crate) constant: bool,
    pub(crate) default: Option<Expr>,
}

pub(crate) fn check(options: &Options, function: &ItemFn) -> Result<Checked> {
    let mut faults = Vec::new();
    let signature = &function.sig;
    for generic in &signature.generics.params {
        if !matches!(generic, GenericParam::Lifetime(_)) {
            faults.push(Error::new(
                generic.span(),
                "a node has concrete types; write one function for each type",
            ));
        }
    }
    if let Some(token) = &signature.unsafety {
        faults.push(Error::new(token.span(), "a node cannot be `unsafe`"));
    }
    if options.batch && signature.asyncness.is_some() {
        faults.push(Error::new(
            signature.asyncness.span(),
            "a batch function is not async; leave out `batch` and take one item, and the rows are awaited at once",
        ));
    }
    check_options(options, signature.asyncness.is_some(), &mut faults);
    let parameters: Vec<Parameter> = signature
        .inputs
        .iter()
        .filter_map(|input| {
            parameter(input, options.batch)
                .map_err(|fault| faults.push(fault))
                .ok()
        })
        .collect();
    if options.batch
        && !parameters
            .iter()
            .any(|known| !known.shared && !known.constant)
    {
        faults.push(Error::new(
            signature.ident.span(),
            "a batch function takes at least one array, so that it knows the number of rows",
        ));
    }
    if let (true, Some(dual)) = (options.batch, &options.dual) {
        faults.push(Error::new(
            dual.span(),
            "a batch function has no other; write this on the function for one item",
        ));
    }
    let output = match &signature.output {
        ReturnType::Type(_, output) => Some(output.as_ref().clone()),
        ReturnType::Default => {
            let message = "a node returns the value of its output column; write `-> T`";
            faults.push(Error::new(signature.ident.span(), message));
            None
        }
    };
    match (all(faults), output) {
        (None, Some(output)) => Ok(Checked { parameters, output }),
        (Some(faults), _) => Err(faults),
        (None, None) => Err(Error::new(signature.span(), "a node returns a value")),
    }
}

/// All faults as one error, if there is any.
pub(crate) fn all(faults: Vec<Error>) -> Option<Error> {
    faults.into_iter().reduce(|mut all, fault| {
        all.combine(fault);
        all
    })
}

fn check_options(options: &Options, is_async: bool, faults: &mut Vec<Error>) {
    let mut refuse = |span, message: &str| faults.push(Error::new(span, message));
    if is_async {
        let message = "this is for sync functions; an async one takes `max_in_flight = N`";
        options
            .max_workers
            .iter()
            .for_each(|number| refuse(number.span(), message));
        options
            .workload_type
            .iter()
            .for_each(|name| refuse(name.span(), message));
        options
            .batch_size
            .iter()
            .for_each(|number| refuse(number.span(), message));
        options
            .use_batch_udf
            .iter()
            .for_each(|switch| refuse(switch.span(), message));
    } else if let Some(number) = &options.max_in_flight {
        refuse(
            number.span(),
            "this is for async functions; a sync one takes `max_workers = N`",
        );
    }
    if let (true, Some(switch)) = (options.batch, &options.use_batch_udf) {
        refuse(
            switch.span(),
            "a batch function always takes batches; leave this out, or set `batch_size = N`",
        );
    }
}

fn parameter(input: &FnArg, batch: bool) -> Result<Parameter> {
    let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else {
        return Err(Error::new(
            input.span(),
            "a node is a free function; take a `#[shared]` parameter instead of `self`",
        ));
    };
    let Pat::Ident(name) = pat.as_ref() else {
        let message = "a parameter's name is the name of its column; write a plain name here";
        return Err(Error::new(pat.span(), message));
    };
    if let Type::ImplTrait(_) = ty.as_ref() {
        return Err(Error::new(
            ty.span(),
            "a node has concrete types; write the column's type here",
        ));
    }
    let shared = attrs.iter().any(is_shared);
    let written = match ty.as_ref() {
        Type::Reference(reference) if (shared || batch) && reference.mutability.is_none() => {
            reference.elem.as_ref().clone()
        }
        _ if shared => {
            let message = "a shared parameter is taken by reference; write `&T`, with a lock inside if it changes";
            return Err(Error::new(ty.span(), message));
        }
        written => written.clone(),
    };
    let default = default_of(attrs)?;
    if let (true, Some(default)) = (shared, &default) {
        let message = "a shared parameter has no default; bind it to the pipeline";
        return Err(Error::new(default.span(), message));
    }
    let constant = batch && !shared && !matches!(ty.as_ref(), Type::Reference(_));
    if let (true, false, Some(default)) = (batch, constant, &default) {
        let message = "an array has no default; take the value without `&`";
        return Err(Error::new(default.span(), message));
    }
    Ok(Parameter {
        name: unraw(&name.ident),
        written,
        shared,
        constant,
        default,
    })
}

/// `r#type` names the column `type`.
pub(crate) fn unraw(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}
