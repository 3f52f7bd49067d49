//! What stands in `#[node(…)]` and on the parameters.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprArray, ExprLit, FnArg, ItemFn, Lit, LitBool, LitInt, LitStr, Path, Result,
    Token,
};

/// The options of `#[node]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) outputs: Vec<LitStr>,
    pub(crate) batch: bool,
    /// The batch function of a dual node.
    pub(crate) dual: Option<Path>,
    pub(crate) max_workers: Option<LitInt>,
    pub(crate) workload_type: Option<LitStr>,
    pub(crate) batch_size: Option<LitInt>,
    pub(crate) max_in_flight: Option<LitInt>,
    pub(crate) use_batch_udf: Option<LitBool>,
    pub(crate) ordered: Option<LitBool>,
    pub(crate) pure: Option<LitBool>,
    pub(crate) cost: Option<LitInt>,
    pub(crate) dedup: bool,
}

const KNOWN: &str = "`output = \"…\"`, `outputs = [\"…\", \"…\"]`, `batch`, `batch = function`, `max_workers = N`, `workload_type = \"io\"`, `batch_size = N`, `max_in_flight = N`, `use_batch_udf = true`, `ordered = false`, `pure = false`, `cost = N`, `dedup`";

pub(crate) fn options(tokens: TokenStream) -> Result<Options> {
    let mut options = Options::default();
    syn::meta::parser(|meta| options.read(&meta)).parse2(tokens)?;
    Ok(options)
}

impl Options {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        match name.as_str() {
            "batch" if meta.input.peek(Token![=]) => self.dual = Some(meta.value()?.parse()?),
            "batch" => self.batch = true,
            "output" => self.outputs = vec![meta.value()?.parse()?],
            "outputs" => self.outputs = several(meta)?,
            "max_workers" => self.max_workers = Some(positive(meta)?),
            "workload_type" => self.workload_type = Some(workload(meta)?),
            "batch_size" => self.batch_size = Some(positive(meta)?),
            "max_in_flight" => self.max_in_flight = Some(positive(meta)?),
            "use_batch_udf" => self.use_batch_udf = Some(meta.value()?.parse()?),
            "ordered" => self.ordered = Some(meta.value()?.parse()?),
            "pure" => self.pure = Some(meta.value()?.parse()?),
            "cost" => self.cost = Some(positive(meta)?),
            "dedup" => self.dedup = true,
            _ => {
                return Err(meta.error(format!(
                    "unknown option of `#[node]`; the options are {KNOWN}"
                )));
            }
        }
        Ok(())
    }
}

fn several(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let list: ExprArray = meta.value()?.parse()?;
    let span = list.span();
    let names = list.elems.into_iter().map(|name| match name {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) => Ok(name),
        other => Err(syn::Error::new(other.span(), "write a name in quotes")),
    });
    let names = names.collect::<Result<Vec<_>>>()?;
    match names.len() {
        0 | 1 => Err(syn::Error::new(
            span,
            "write at least two names, or `output = \"…\"` for one",
        )),
        _ => Ok(names),
    }
}

fn positive(meta: &ParseNestedMeta<'_>) -> Result<LitInt> {
    let number: LitInt = meta.value()?.parse()?;
    match number.base10_parse::<usize>()? {
        0 => Err(syn::Error::new(number.span(), "this must be at least 1")),
        _ => Ok(number),
    }
}

fn workload(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    match name.value().as_str() {
        "io" | "cpu" | "mixed" => Ok(name),
        _ => Err(syn::Error::new(
            name.span(),
            "a workload is `\"io\"`, `\"cpu\"` or `\"mixed\"`",
        )),
    }
}

/// Whether the attribute marks a shared parameter.
pub(crate) fn is_shared(attribute: &Attribute) -> bool {
    attribute.path().is_ident("shared")
}

/// The default value of a parameter, in `#[default(value)]`.
pub(crate) fn default_of(attributes: &[Attribute]) -> Result<Option<Expr>> {
    let mut defaults = attributes.iter().filter(|known| is_default(known));
    defaults.next().map(Attribute::parse_args).transpose()
}

fn is_default(attribute: &Attribute) -> bool {
    attribute.path().is_ident("default")
}

/// Takes our own attributes off the function that is handed back.
pub(crate) fn strip(function: &mut ItemFn) {
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(parameter) = input {
            parameter
                .attrs
                .retain(|attribute| !is_shared(attribute) && !is_default(attribute));
        }
    }
}
