//! The macros of hypernodes: `#[node]`, `nodes!` and `#[derive(Column)]`.
//!
//! A macro saves typing and points errors at the right token, no more: whatever it makes can be
//! made with `Node::map`, `Node::map_async` or `Node::batch`. Parameter types are never judged
//! by their spelling; the expansion asks the traits of `hypernodes-graph` at the user's token.
//! The user's documentation of these macros is on the `hypernodes` crate.

mod check;
mod column;
mod generate;
mod list;
mod parse;

use proc_macro::TokenStream;
use quote::quote;
use syn::parse_macro_input;

/// Makes a function a node; see the `hypernodes` crate.
#[proc_macro_attribute]
pub fn node(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut function = parse_macro_input!(item as syn::ItemFn);
    let result = parse::options(options.into());
    let result = result
        .and_then(|options| check::check(&options, &function).map(|checked| (options, checked)));
    let expansion = match result {
        Ok((options, checked)) => generate::generate(&options, &checked, &function),
        Err(error) => error.into_compile_error(),
    };
    parse::strip(&mut function);
    quote! { #function #expansion }.into()
}

/// Makes a struct a column type; see the `hypernodes` crate.
#[proc_macro_derive(Column, attributes(column))]
pub fn column(item: TokenStream) -> TokenStream {
    column::derive(&parse_macro_input!(item as syn::DeriveInput))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// A list of nodes; see the `hypernodes` crate.
#[proc_macro]
pub fn nodes(items: TokenStream) -> TokenStream {
    list::nodes(items.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
