//! `#[derive(Column)]`: a struct read from a Struct column, field by field, and written to one.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, GenericParam, Index, Lifetime, LitStr, Result};

use crate::check::{all, unraw};
use crate::generate::{home, home_at};

pub(crate) fn derive(item: &DeriveInput) -> Result<TokenStream> {
    let fields = fields(item)?;
    let krate = home();
    let ident = &item.ident;
    let (_, arguments, _) = item.generics.split_for_impl();
    let parameters = &item.generics.params;
    let own = item.generics.lifetimes().next();
    let array = own.map_or_else(
        || Lifetime::new("'column", Span::call_site()),
        |own| own.lifetime.clone(),
    );
    let arity = fields.len();
    let members: Vec<_> = fields.iter().map(|(field, _)| &field.ident).collect();
    let names: Vec<_> = fields.iter().map(|(_, name)| name).collect();
    let places: Vec<_> = (0..arity).map(Index::from).collect();
    let types = || fields.iter().map(|(field, _)| &field.ty);
    let reads: Vec<_> = types()
        .map(|ty| quote! { <#ty as #krate::FromColumn<#array>> })
        .collect();
    let writes: Vec<_> = types()
        .map(|ty| quote! { <#ty as #krate::IntoColumn> })
        .collect();
    let views: Vec<_> = types()
        .map(|ty| quote! { #krate::FieldColumn<#array, #ty> })
        .collect();
    // Bounds, so that a field that is no column is told at its type, and only there.
    let readable = types().map(|ty| {
        let krate = home_at(ty.span());
        match own {
            None => quote_spanned! { ty.span() => #ty: #krate::Owned },
            Some(_) => quote_spanned! { ty.span() => #ty: #krate::FromColumn<#array> },
        }
    });
    let readable: Vec<_> = readable.collect();
    let writable = types().map(|ty| {
        let krate = home_at(ty.span());
        quote_spanned! { ty.span() => #ty: #krate::IntoColumn }
    });
    let writable: Vec<_> = writable.collect();
    let owned = own.is_none().then(|| {
        quote! {
            #[automatically_derived]
            impl #krate::Owned for #ident
            where
                #(#readable,)*
            {}
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl<#array> #krate::FromColumn<#array> for #ident #arguments
        where
            #(#readable,)*
        {
            type Column = (#(#views,)*);

            fn data_type() -> #krate::DataType {
                #krate::struct_type(::std::vec![#((#names, #reads::data_type())),*])
            }

            fn column(array: &#array #krate::ArrayRef) -> ::std::option::Option<Self::Column> {
                ::std::option::Option::Some((#(<#views>::of(array, #places)?,)*))
            }

            fn get(
                column: &Self::Column,
                row: ::std::primitive::usize,
            ) -> ::std::result::Result<Self, #krate::Unreadable> {
                ::std::result::Result::Ok(Self {
                    #(#members: column.#places.get(row, #names)?,)*
                })
            }
        }

        #[automatically_derived]
        impl<#parameters> #krate::StructColumn for #ident #arguments
        where
            #(#writable,)*
        {
            const ARITY: ::std::primitive::usize = #arity;

            fn fields() -> ::std::vec::Vec<(&'static ::std::primitive::str, #krate::DataType)> {
                ::std::vec![#((#names, #writes::data_type())),*]
            }
        }

        #[automatically_derived]
        impl<#parameters> #krate::IntoColumn for #ident #arguments
        where
            #(#writable,)*
        {
            type Builder = #krate::StructBuilder<(#(#writes::Builder,)*)>;

            fn data_type() -> #krate::DataType {
                #krate::struct_type(<Self as #krate::StructColumn>::fields())
            }

            fn builder(rows: ::std::primitive::usize) -> Self::Builder {
                #krate::StructBuilder::new(rows, (#(#writes::builder(rows),)*))
            }

            fn append(
                self,
                builder: &mut Self::Builder,
            ) -> ::std::result::Result<(), #krate::Unwritable> {
                let fields = &mut builder.fields;
                let written = ::std::result::Result::Ok(())
                    #(.and(#krate::field_written(
                        #names,
                        #writes::append(self.#members, &mut fields.#places),
                    )))*;
                builder.end_row(written)
            }

            fn held_bytes(&self) -> ::std::primitive::usize {
                0 #(+ #writes::held_bytes(&self.#members))*
            }

            fn append_null(builder: &mut Self::Builder) {
                #(#writes::append_null(&mut builder.fields.#places);)*
                builder.end_null();
            }

            fn finish(builder: Self::Builder) -> #krate::ArrayRef {
                let fields = <Self as #krate::StructColumn>::fields();
                builder.finish(fields, |fields| ::std::vec![#(#writes::finish(fields.#places)),*])
            }
        }

        #[automatically_derived]
        impl<#parameters> #krate::ListItem for #ident #arguments {}

        #owned
    })
}

/// The fields with the names of their columns; every fault is reported.
fn fields(item: &DeriveInput) -> Result<Vec<(&Field, String)>> {
    let message = "`Column` is for a struct with named fields, each of which is a column";
    let named = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => Some(&fields.named),
            _ => None,
        },
        _ => None,
    };
    let named = named.ok_or_else(|| Error::new(item.ident.span(), message))?;
    let mut faults = Vec::new();
    let lifetimes = item.generics.lifetimes().skip(1);
    faults.extend(lifetimes.map(|lifetime| {
        let message = "all borrowed fields are of one column; use one lifetime";
        Error::new(lifetime.span(), message)
    }));
    let generics = item.generics.params.iter();
    let generics = generics.filter(|generic| !matches!(generic, GenericParam::Lifetime(_)));
    faults.extend(generics.map(|generic| {
        let message = "a column has a concrete type; write one struct for each type";
        Error::new(generic.span(), message)
    }));
    let mut fields: Vec<(&Field, String)> = Vec::new();
    for field in named {
        match name(field) {
            Ok(name) if fields.iter().any(|(_, known)| *known == name) => {
                let message = format!("there is a field {name:?} already");
                faults.push(Error::new(field.span(), message));
            }
            Ok(name) => fields.push((field, name)),
            Err(fault) => faults.push(fault),
        }
    }
    all(faults).map_or(Ok(fields), Err)
}

/// What `#[column(name = "…")]` says, or else the field's own name.
fn name(field: &Field) -> Result<String> {
    let mut name = field.ident.as_ref().map(unraw).unwrap_or_default();
    let attributes = field.attrs.iter();
    for attribute in attributes.filter(|attribute| attribute.path().is_ident("column")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                let message = "unknown option of `#[column]`; the option is `name = \"…\"`";
                return Err(meta.error(message));
            }
            name = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(name)
}
