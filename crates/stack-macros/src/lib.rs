//! `derive(Schema)` and nothing else.
//!
//! The macro never interprets types: it emits calls to the field type's own `Decode` implementation. A field's doc
//! comment is its reference text.
//!
//! Field marks, in `#[schema(...)]`:
//! `computed` (the provider gives the value; with `optional` the configuration may too), `replace`, `sensitive`,
//! `recomputed`, `identity`, `default = EXPR`, `deprecated = "TEXT"`, `name = "ARGUMENT"`, `block` (a nested block:
//! `Option<T>` at most once, `Vec<T>` any number of times), `min = N`, `max = N`.
//! Struct marks: `version = N`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Expr, Field, Fields, LitInt, LitStr};

/// Derives `SchemaOf` and `Decode` for a struct with named fields.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(|e| e.to_compile_error()).into()
}

#[derive(Default)]
struct Marks {
    name: Option<String>,
    computed: bool,
    optional: bool,
    replace: bool,
    sensitive: bool,
    recomputed: bool,
    identity: bool,
    block: bool,
    default: Option<Expr>,
    deprecated: Option<String>,
    min: Option<usize>,
    max: Option<usize>,
}

fn marks(field: &Field) -> syn::Result<Marks> {
    let mut marks = Marks::default();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("schema")) {
        attribute.parse_nested_meta(|meta| {
            let flag = |slot: &mut bool| {
                *slot = true;
                Ok(())
            };
            let Some(word) = meta.path.get_ident().map(ToString::to_string) else {
                return Err(meta.error("a single word is wanted"));
            };
            match word.as_str() {
                "computed" => flag(&mut marks.computed),
                "optional" => flag(&mut marks.optional),
                "replace" => flag(&mut marks.replace),
                "sensitive" => flag(&mut marks.sensitive),
                "recomputed" => flag(&mut marks.recomputed),
                "identity" => flag(&mut marks.identity),
                "block" => flag(&mut marks.block),
                "name" => Ok(marks.name = Some(meta.value()?.parse::<LitStr>()?.value())),
                "deprecated" => Ok(marks.deprecated = Some(meta.value()?.parse::<LitStr>()?.value())),
                "default" => Ok(marks.default = Some(meta.value()?.parse()?)),
                "min" => Ok(marks.min = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?)),
                "max" => Ok(marks.max = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?)),
                _ => Err(meta.error("unknown mark")),
            }
        })?;
    }
    Ok(marks)
}

/// The doc comment as one text: lines joined by spaces, paragraphs kept.
fn description(attributes: &[syn::Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(line),
            ..
        }) = &pair.value
        else {
            continue;
        };
        let line = line.value();
        match line.trim() {
            "" => text.push('\n'),
            line => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}

fn expand(input: &DeriveInput) -> syn::Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "derive(Schema) wants a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(
            input,
            "derive(Schema) wants named fields",
        ));
    };
    let mut version = quote!(0);
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("schema")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("version") {
                return Err(meta.error("unknown mark"));
            }
            let number: LitInt = meta.value()?.parse()?;
            version = quote!(#number);
            Ok(())
        })?;
    }
    let (mut entries, mut decoders, mut encoders) = (Vec::new(), Vec::new(), Vec::new());
    for field in &fields.named {
        let marks = marks(field)?;
        let Some(ident) = &field.ident else { continue };
        let name = marks
            .name
            .clone()
            .unwrap_or_else(|| ident.to_string().trim_start_matches("r#").to_owned());
        let ty = &field.ty;
        entries.push(entry(&name, field, &marks));
        decoders.push(quote!(#ident: <#ty as ::stack_core::Decode>::decode(
            value.attribute(#name).unwrap_or(&::stack_core::Value::NULL), &path.attribute(#name))?));
        let encoded = quote!(<#ty as ::stack_core::Decode>::encode(&self.#ident));
        let encoded = if marks.sensitive {
            quote!(#encoded.sensitive())
        } else {
            encoded
        };
        encoders.push(quote!((::std::string::String::from(#name), #encoded)));
    }
    let ident = &input.ident;
    let text = description(&input.attrs);
    Ok(quote! {
        impl ::stack_core::SchemaOf for #ident {
            fn schema() -> ::stack_core::Schema {
                let mut schema = ::stack_core::Schema {
                    version: #version,
                    description: ::std::string::String::from(#text),
                    ..::std::default::Default::default()
                };
                #(#entries)*
                schema
            }
        }
        impl ::stack_core::Decode for #ident {
            fn ty() -> ::stack_core::Type {
                <Self as ::stack_core::SchemaOf>::schema().ty()
            }
            fn decode(value: &::stack_core::Value, path: &::stack_core::Path)
                -> ::std::result::Result<Self, ::stack_core::DecodeError> {
                if value.as_mapping().is_none() {
                    let message = ::std::string::String::from("an object is required");
                    return Err(::stack_core::DecodeError { path: path.clone(), message });
                }
                Ok(Self { #(#decoders),* })
            }
            fn encode(&self) -> ::stack_core::Value {
                ::stack_core::Value::object([#(#encoders),*])
            }
        }
    })
}

/// The statement that puts one field into the schema.
fn entry(name: &str, field: &Field, marks: &Marks) -> Tokens {
    let ty = &field.ty;
    let text = description(&field.attrs);
    if marks.block {
        let min = marks.min.unwrap_or(0);
        let max = marks.max.map_or_else(|| quote!(None), |n| quote!(Some(#n)));
        return quote! {
            schema.blocks.insert(::std::string::String::from(#name),
                <#ty as ::stack_core::schema::NestedBlock>::block(#min, #max, #text));
        };
    }
    let Marks {
        computed,
        replace,
        recomputed,
        identity,
        sensitive,
        ..
    } = marks;
    let default = marks
        .default
        .as_ref()
        .map_or_else(|| quote!(None), |e| quote!(Some(::stack_core::Value::from(#e))));
    let deprecated = marks
        .deprecated
        .as_ref()
        .map_or_else(|| quote!(None), |t| quote!(Some(::std::string::String::from(#t))));
    let (has_default, marked_optional) = (marks.default.is_some(), marks.optional);
    quote! {
        {
            let may_lack = <#ty as ::stack_core::Decode>::is_optional() || #has_default;
            schema.attributes.insert(::std::string::String::from(#name), ::stack_core::Attribute {
                ty: <#ty as ::stack_core::Decode>::ty(),
                description: ::std::string::String::from(#text),
                required: !may_lack && !#computed,
                optional: #marked_optional || (may_lack && !#computed),
                computed: #computed,
                sensitive: #sensitive || <#ty as ::stack_core::Decode>::is_sensitive(),
                replace: #replace,
                recomputed: #recomputed,
                identity: #identity,
                default: #default,
                deprecated: #deprecated,
            });
        }
    }
}
