//! `nodes![…]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Result, Token};

use crate::generate::home;

pub(crate) fn nodes(items: TokenStream) -> Result<TokenStream> {
    let krate = home();
    let items = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(items)?;
    let items = items.iter().map(|item| match item {
        Expr::Path(path) => {
            quote_spanned! { path.span() => <#path as #krate::NodeFunction>::node() }
        }
        // Parentheses tell a variable from a function.
        Expr::Paren(paren) => node(&krate, &paren.expr),
        other => node(&krate, other),
    });
    Ok(quote! { ::std::vec![#(#items),*] })
}

fn node(krate: &TokenStream, made: &Expr) -> TokenStream {
    quote_spanned! { made.span() => #krate::Node::from(#made) }
}
