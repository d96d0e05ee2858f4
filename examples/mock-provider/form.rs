//! `multipart/form-data`, read plainly: for tests whose forms are well made.

use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;

use crate::vendor::Fault;

/// One field of a form.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) value: Vec<u8>,
}

/// The fields of a form.
pub(crate) struct Form {
    pub(crate) fields: Vec<Field>,
}

impl Form {
    /// The form that `body` is, by its header; `None` for any other body.
    pub(crate) fn of(head: &Parts, body: &[u8]) -> Option<Self> {
        let content_type = head.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let boundary = content_type.strip_prefix("multipart/form-data")?.split_once("boundary=")?.1;
        let boundary = boundary.split(';').next()?.trim().trim_matches('"');
        // Each byte a character: positions and values stay what they are.
        let text: String = body.iter().map(|byte| char::from(*byte)).collect();
        let delimiter = format!("--{boundary}");
        let pieces = text.split(&delimiter).skip(1);
        Some(Self { fields: pieces.take_while(|piece| !piece.starts_with("--")).filter_map(field).collect() })
    }

    /// The text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let found = self.fields.iter().find(|field| field.name == name)?;
        Some(String::from_utf8_lossy(&found.value).into_owned())
    }

    /// The text of a field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, Fault> {
        self.text(name).ok_or_else(|| Fault::new(400, format!("Missing required parameter: '{name}'.")))
    }

    /// Whether there is a file under this name.
    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.filename.is_some())
    }
}

fn field(piece: &str) -> Option<Field> {
    let (head, value) = piece.split_once("\r\n\r\n")?;
    let parameter = |name: &str| Some(head.split_once(name)?.1.split('"').next()?.to_owned());
    let value = value.strip_suffix("\r\n")?.chars().map(|byte| byte as u8).collect();
    Some(Field { name: parameter(" name=\"")?, filename: parameter("filename=\""), value })
}
