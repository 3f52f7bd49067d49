//! The expansion: an empty type of the function's name that makes the node.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{VisitMut, visit_type_mut};
use syn::{Ident, ItemFn, Lifetime, LitStr, Type};

use crate::check::{Checked, Parameter, unraw};
use crate::parse::Options;

pub(crate) fn generate(options: &Options, checked: &Checked, function: &ItemFn) -> TokenStream {
    let krate = home();
    let (visibility, ident) = (&function.vis, &function.sig.ident);
    let name = unraw(ident);
    let mut outputs: Vec<String> = options.outputs.iter().map(LitStr::value).collect();
    if outputs.is_empty() {
        outputs.push(name.clone());
    }
    let parameters = checked
        .parameters
        .iter()
        .filter(|parameter| !parameter.shared);
    let reading = |constant| match (options.batch, constant) {
        (true, true) => quote!(constant_parameter),
        (true, false) => quote!(array_parameter),
        (false, _) => quote!(parameter),
    };
    let parameters = parameters.map(
        |Parameter {
             name,
             written,
             constant,
             ..
         }| {
            let reading = reading(*constant);
            let at_home = held(&krate, written, "'static");
            quote_spanned! { written.span() => #krate::#reading::<#at_home>(#name) }
        },
    );
    let shared = checked
        .parameters
        .iter()
        .filter(|parameter| parameter.shared);
    let shared = shared.map(|Parameter { name, written, .. }| {
        quote_spanned! { written.span() => #krate::shared_parameter::<#written>(#name) }
    });
    let returned = with_lifetimes(&checked.output, "'static");
    let body = body(&krate, checked, function, options.batch);
    let span = checked.output.span();
    let make = match (options.batch, function.sig.asyncness) {
        (true, _) => quote_spanned!(span => batch_node::<#returned, _>),
        (_, Some(_)) => quote_spanned!(span => async_node::<#returned, _, _>),
        _ => quote_spanned!(span => row_node::<#returned, _>),
    };
    let make = quote_spanned! { span => #krate::#make };
    let settings = settings(&krate, options);
    let arity = (options.outputs.len() > 1 && !options.batch).then(|| {
        let (first, named) = (&options.outputs[0], options.outputs.len());
        let span = checked.output.span();
        let krate = home_at(span);
        let value = quote_spanned! { span => <#returned as #krate::NodeOutput>::Value };
        let arity = quote_spanned! { span => <#value as #krate::StructColumn>::ARITY };
        let message = "`outputs` names as many columns as the function returns";
        quote_spanned! { first.span() =>
            const _: () = ::std::assert!(#arity == #named, #message);
        }
    });
    let declared = declared(&krate, options);
    let defaults = checked.parameters.iter().filter_map(|parameter| {
        let (name, default) = (&parameter.name, parameter.default.as_ref()?);
        let owned = &parameter.written;
        Some(quote_spanned! { default.span() =>
            node.with_default(#name, #krate::default_value::<#owned>(#default))
        })
    });
    let dual = options.dual.as_ref().map(|dual| {
        quote_spanned! { dual.span() =>
            let node = node.with_batch(<#dual as #krate::NodeFunction>::node());
        }
    });
    quote! {
        #[allow(non_camel_case_types)]
        #[doc(hidden)]
        #visibility enum #ident {}

        #arity

        impl #krate::NodeFunction for #ident {
            fn node() -> #krate::Node {
                static IDENTITY: #krate::OnceIdentity = #krate::OnceIdentity::new();
                let node = #make(
                    #krate::Face {
                        identity: IDENTITY.get(),
                        name: #name,
                        outputs: &[#(#outputs),*],
                        parameters: ::std::vec![#(#parameters),*],
                        shared: ::std::vec![#(#shared),*],
                    },
                    #body,
                );
                let node = node.with_settings(#settings).with_declared(#declared);
                #(let node = #defaults;)*
                #dual
                node
            }
        }
    }
}

/// The closure that reads the arguments and calls the function.
fn body(krate: &TokenStream, checked: &Checked, function: &ItemFn, batch: bool) -> TokenStream {
    let ident = &function.sig.ident;
    let is_async = function.sig.asyncness.is_some();
    let (mut columns, mut resources) = (0usize, 0usize);
    let (mut reads, mut arguments) = (Vec::new(), Vec::new());
    for (
        position,
        Parameter {
            written,
            shared,
            constant,
            ..
        },
    ) in checked.parameters.iter().enumerate()
    {
        let variable = format_ident!("argument_{position}");
        let counter = if *shared {
            &mut resources
        } else {
            &mut columns
        };
        let index = *counter;
        *counter += 1;
        let read = held(krate, written, "'_");
        let span = written.span();
        let lent = |held: TokenStream| match referent(krate, written) {
            Some(referent) => quote_spanned!(span => #referent::lend(&#held)),
            None => held,
        };
        let (read, argument) = match (shared, is_async, batch) {
            (true, true, _) => (
                quote!(#krate::resource(&shared, #index).await?),
                quote!(#krate::resource_as::<#written>(&*#variable)?),
            ),
            (true, false, _) => (
                quote!(columns.shared::<#written>(#index)?),
                quote!(#variable),
            ),
            (false, true, _) => (
                quote_spanned!(span => #krate::argument::<#read>(&arrays, #index, row)?),
                lent(quote!(#variable)),
            ),
            (false, false, true) if *constant => (
                quote_spanned!(span => columns.constant::<#read>(#index)?),
                quote!(#variable),
            ),
            (false, false, true) => (
                quote_spanned!(span => columns.array::<#read>(#index)?),
                quote!(&#variable),
            ),
            (false, false, false) => (
                quote_spanned!(span => columns.reader::<#read>(#index)?),
                lent(quote!(#variable.get(row)?)),
            ),
        };
        reads.push(quote! { let #variable = #read; });
        arguments.push(argument);
    }
    if is_async {
        quote! {
            |arrays, shared, row| async move {
                #(#reads)*
                #krate::settle(row, #ident(#(#arguments),*).await)
            }
        }
    } else if batch {
        quote! { |columns| { #(#reads)* columns.whole(#ident(#(#arguments),*)) } }
    } else {
        let row = if columns == 0 { quote!(_) } else { quote!(row) };
        quote! { |columns| { #(#reads)* columns.collect(|#row| ::std::result::Result::Ok(#ident(#(#arguments),*))) } }
    }
}

fn settings(krate: &TokenStream, options: &Options) -> TokenStream {
    let option = |value: Option<TokenStream>| match value {
        Some(value) => quote!(::std::option::Option::Some(#value)),
        None => quote!(::std::option::Option::None),
    };
    let max_workers = option(options.max_workers.as_ref().map(|number| quote!(#number)));
    let workload_type = option(options.workload_type.as_ref().map(|name| {
        let variant = match name.value().as_str() {
            "io" => quote!(Io),
            "cpu" => quote!(Cpu),
            _ => quote!(Mixed),
        };
        quote!(#krate::WorkloadType::#variant)
    }));
    let batch_size = option(options.batch_size.as_ref().map(|number| quote!(#number)));
    let max_in_flight = option(options.max_in_flight.as_ref().map(|number| quote!(#number)));
    let use_batch_udf = option(options.use_batch_udf.as_ref().map(|switch| quote!(#switch)));
    let ordered = option(options.ordered.as_ref().map(|switch| quote!(#switch)));
    quote! {
        #krate::Settings {
            max_workers: #max_workers,
            workload_type: #workload_type,
            batch_size: #batch_size,
            max_in_flight: #max_in_flight,
            use_batch_udf: #use_batch_udf,
            ordered: #ordered,
        }
    }
}

fn declared(krate: &TokenStream, options: &Options) -> TokenStream {
    let pure = options.pure.as_ref();
    let pure = pure.map(|pure| quote!(pure: #pure,));
    let cost = options.cost.as_ref();
    let cost = cost.map(|cost| quote!(cost: #cost,));
    let dedup = options.dedup.then(|| quote!(dedup: true,));
    let all = pure.is_some() && cost.is_some() && dedup.is_some();
    let rest = (!all).then(|| quote!(..::std::default::Default::default()));
    quote!(#krate::Declared { #pure #cost #dedup #rest })
}

/// What a parameter `&T` refers to, as a `Referent`.
fn referent(krate: &TokenStream, written: &Type) -> Option<TokenStream> {
    let reference = match written {
        Type::Reference(reference) if reference.mutability.is_none() => reference,
        _ => return None,
    };
    let referent = with_lifetimes(&reference.elem, "'static");
    Some(quote_spanned!(referent.span() => <#referent as #krate::Referent>))
}

/// What is read from a column for a parameter.
fn held(krate: &TokenStream, written: &Type, life: &str) -> TokenStream {
    match referent(krate, written) {
        Some(referent) => {
            let life = Lifetime::new(life, Span::call_site());
            quote_spanned!(written.span() => #referent::Held<#life>)
        }
        None => with_lifetimes(written, life).into_token_stream(),
    }
}

/// The type with every lifetime, written or left out, replaced.
fn with_lifetimes(written: &Type, lifetime: &str) -> Type {
    struct Replace(Lifetime);
    impl VisitMut for Replace {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            *lifetime = self.0.clone();
        }
        fn visit_type_mut(&mut self, written: &mut Type) {
            if let Type::Reference(reference) = written {
                reference.lifetime.get_or_insert_with(|| self.0.clone());
            }
            visit_type_mut(self, written);
        }
    }
    let mut replaced = written.clone();
    Replace(Lifetime::new(lifetime, Span::call_site())).visit_type_mut(&mut replaced);
    replaced
}

/// The module of the library that expansions call, under whatever name the user's crate has it.
pub(crate) fn home() -> TokenStream {
    home_at(Span::call_site())
}

/// The same at the user's token, so that errors point there.
pub(crate) fn home_at(span: Span) -> TokenStream {
    let found = crate_name("hypernodes").map(|found| (found, "hypernodes"));
    let found =
        found.or_else(|_| crate_name("hypernodes-graph").map(|found| (found, "hypernodes_graph")));
    let name = match found {
        Ok((FoundCrate::Name(name), _)) => name,
        Ok((FoundCrate::Itself, own)) => own.to_owned(),
        Err(_) => "hypernodes".to_owned(),
    };
    let krate = Ident::new(&name, span);
    quote_spanned!(span => ::#krate::expansion)
}
