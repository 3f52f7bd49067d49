//! `nodes![…]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Result, Token};

use crate::generate::home;

pub(crate) fn nodes(items: TokenStream) -> Result<TokenStream> {
    let krate = home();
    let items = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(items)?;
    let items = items.iter().map(|item| match item {
        Expr::Path(path) => Ok(quote_spanned! { path.span() => <#path as #krate::NodeFunction>::node() }),
        Expr::Paren(paren) => {
            let inner = &paren.expr;
            Ok(quote_spanned! { inner.span() => #krate::Node::from(#inner) })
        }
        other => {
            let message = "write the name of a `#[node]` function, or an expression that makes a node in parentheses";
            Err(Error::new(other.span(), message))
        }
    });
    let items = items.collect::<Result<Vec<_>>>()?;
    Ok(quote! { ::std::vec![#(#items),*] })
}
