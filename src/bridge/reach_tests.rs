//! Every vendor and every endpoint: it is taken, or the error names both.

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::error::Kind;
use crate::provider::vendor::VENDORS;

/// The least that an endpoint takes.
fn least(endpoint: Endpoint) -> Request {
    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--b\r\nContent-Disposition: \
                        form-data; name=\"image\"\r\n\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"prompt\"\
                        \r\n\r\n\r\n--b--";
    const JSON: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"prompt":"Hi","input":"Hi",
        "query":"Hi","documents":["a"],"voice":"alloy","max_tokens":9}"#;
    let model = "m".to_owned();
    let request = match endpoint {
        Endpoint::Realtime => Ok(Request::realtime(model, String::new())),
        _ if endpoint.is_form() => {
            Request::parse_form(endpoint, Some(model), "multipart/form-data; boundary=b", FORM.into())
        }
        _ => Request::parse(endpoint, JSON.into()),
    };
    request.unwrap()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_vendor_takes_an_endpoint_or_says_that_it_has_none() {
    for vendor in VENDORS {
        let target = Target::of(vendor.prefix, "m");
        for endpoint in Endpoint::ALL {
            let found = Asked::new(least(endpoint)).check(&target);
            if reach(endpoint, &target).is_none() {
                let error = found.unwrap_err();
                assert_eq!(error.kind, Kind::UnsupportedEndpoint, "{} {endpoint:?}", vendor.prefix);
                let names_both = [vendor.prefix, endpoint.path()].iter().all(|name| error.message.contains(name));
                assert!(names_both, "{error}");
            } else if let Err(error) = found {
                assert_ne!(error.kind, Kind::UnsupportedEndpoint, "{} {endpoint:?}", vendor.prefix);
            }
        }
    }
}
