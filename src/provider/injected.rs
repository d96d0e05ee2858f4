//! A credential that the filter never sees: Envoy keeps it as a secret (SDS) and writes it behind the filter.
//!
//! The filter writes a request without it; `envoy.filters.http.credential_injector`, next in the cluster's chain, adds
//! the one header. Every attempt begins with headers of its own, so what was injected for one provider is gone before the
//! next one is asked.

/// Which secret of Envoy's goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The secret's name.
    pub name: String,
    /// The header that it goes into.
    pub header: KeyHeader,
}

/// Where a vendor expects a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer <key>`.
    #[default]
    Bearer,
    /// The key alone, in the header of this name.
    Named(&'static str),
}

impl KeyHeader {
    /// The header's name, and what stands before the key.
    pub fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Bearer => ("authorization", "Bearer "),
            Self::Named(name) => (name, ""),
        }
    }
}

impl Injected {
    /// What tells clusters with different injectors apart: letters, digits, `-`, `_` and `.`.
    pub fn suffix(&self) -> String {
        let name = self.name.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "-");
        match self.header {
            KeyHeader::Bearer => format!("sds_{name}"),
            KeyHeader::Named(header) => format!("sds_{name}_{header}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use crate::openai::{Endpoint, Request};
    use crate::provider::vendor::VENDORS;
    use crate::provider::{Credential, Target};
    use crate::secret::Secret;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_vendors_key_goes_where_its_language_writes_it() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
        let key = Secret::new("the-key".to_owned());
        for vendor in VENDORS {
            let mut target = Target::of(vendor.prefix, "m");
            target.credential = Credential::Key(key.clone());
            let asked = Request::parse(Endpoint::ChatCompletions, body.into()).unwrap();
            let Ok(upstream) = target.request(&asked, Some(&key)) else { continue };
            let (header, prefix) = vendor.language.key_header(&target).parts();
            let written: Vec<_> = upstream.headers.iter().filter(|(_, value)| value.contains("the-key")).collect();
            assert_eq!(written, [&(header, format!("{prefix}the-key"))], "{}", vendor.prefix);
        }
    }
}
