//! What a config says about one token: where it is fetched, and what proves who we are.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::pem;
use crate::config::Address;
use crate::secret::Secret;

/// Google's token endpoint.
pub const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Where Google's metadata server is, on every machine of theirs.
///
/// Source: Google Cloud, "About VM metadata" <https://docs.cloud.google.com/compute/docs/metadata/overview>, not re-read
/// for this.
const METADATA_HOST: &str = "169.254.169.254";
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Entra ID of the public cloud, and the audience of Azure's AI services.
///
/// Source: Microsoft, "Microsoft identity platform and the OAuth 2.0 client credentials flow"
/// <https://learn.microsoft.com/en-gb/entra/identity-platform/v2-oauth2-client-creds-grant-flow>, read 2026-11-23 in part.
const AZURE_AUTHORITY: &str = "https://login.microsoftonline.com";
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// Source: IBM Cloud, "Generating an IBM Cloud IAM token by using an API key"
/// <https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey>, read 2026-11-23.
const IBM_TOKEN_URL: &str = "https://iam.cloud.ibm.com/identity/token";

/// A place that gives tokens, and what it gives them for. Two of the same are one: their ids are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    id: String,
    /// The Envoy cluster that leads there; not a provider's, whose filter would not let the call through.
    pub cluster: String,
    /// Where that cluster leads.
    pub address: Address,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// The Google Cloud project that the credential names.
    pub project: Option<String>,
    pub(super) grant: Grant,
}

/// What proves who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// A Google service account signs an assertion.
    ServiceAccount {
        email: String,
        key_id: Option<String>,
        /// PKCS #8 in PEM; it decodes.
        private_key: Secret,
        audience: String,
    },
    /// A user's refresh token, as `gcloud auth application-default login` leaves it.
    RefreshToken { client_id: String, client_secret: Secret, refresh_token: Secret },
    /// The machine that we are on.
    Metadata,
    /// An application of Entra ID.
    ClientSecret { client_id: String, client_secret: Secret, scope: String },
    /// An API key of IBM's IAM.
    ApiKey(Secret),
}

/// Why there is no source: a sentence for a person, without a secret.
pub type Fault = String;

impl Source {
    /// The source of a Google credential in JSON: a service account's key, or an authorized user's.
    ///
    /// # Errors
    ///
    /// It is neither, or lacks what it needs.
    pub fn google(credential: &Value) -> Result<Self, Fault> {
        let text = |name: &str| credential.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let need = |name: &str| text(name).ok_or_else(|| format!("expected a credential with `{name}`, found none"));
        let url = text("token_uri").unwrap_or(GOOGLE_TOKEN_URL);
        match text("type").unwrap_or("service_account") {
            "service_account" => {
                let private_key = Secret::new(need("private_key")?);
                if pem::der(private_key.expose()).is_none() {
                    return Err("expected a private_key in PEM, as PKCS #8, found something else".to_owned());
                }
                let email = need("client_email")?.to_owned();
                let key_id = text("private_key_id").map(str::to_owned);
                let grant = Grant::ServiceAccount { email, key_id, private_key, audience: url.to_owned() };
                let project = text("project_id").map(str::to_owned);
                Ok(Self { project, ..Self::at(url, grant)? })
            }
            "authorized_user" => {
                let (client_secret, refresh_token) = (need("client_secret")?, need("refresh_token")?);
                let grant = Grant::RefreshToken {
                    client_id: need("client_id")?.to_owned(),
                    client_secret: Secret::new(client_secret),
                    refresh_token: Secret::new(refresh_token),
                };
                let project = text("quota_project_id").map(str::to_owned);
                Ok(Self { project, ..Self::at(url, grant)? })
            }
            "external_account" | "external_account_authorized_user" | "impersonated_service_account" => {
                let message = "expected a credential of type service_account or authorized_user: workload identity \
                               federation and impersonation are not supported; on GKE and GCE leave the credential out";
                Err(message.to_owned())
            }
            _ => Err("expected a credential of type service_account or authorized_user".to_owned()),
        }
    }

    /// The source of the machine that we are on, where it is one of Google's. `host` is another place of the metadata
    /// server: `host` or `host:port`.
    ///
    /// # Errors
    ///
    /// `host` is none.
    pub fn metadata(host: Option<&str>) -> Result<Self, Fault> {
        Self::at(&format!("http://{}{METADATA_PATH}", host.unwrap_or(METADATA_HOST)), Grant::Metadata)
    }

    /// The source of an application of Entra ID. `authority` is another cloud's, with or without its scheme.
    ///
    /// # Errors
    ///
    /// The tenant or the authority cannot be part of a URL.
    pub fn azure(
        authority: Option<&str>,
        tenant: &str,
        (client_id, client_secret): (String, Secret),
        scope: Option<String>,
    ) -> Result<Self, Fault> {
        if tenant.is_empty() || !tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
            return Err("expected a tenant's id or domain".to_owned());
        }
        let authority = authority.unwrap_or(AZURE_AUTHORITY).trim_end_matches('/');
        let scheme = if authority.contains("://") { "" } else { "https://" };
        let scope = scope.unwrap_or_else(|| AZURE_SCOPE.to_owned());
        let grant = Grant::ClientSecret { client_id, client_secret, scope };
        Self::at(&format!("{scheme}{authority}/{tenant}/oauth2/v2.0/token"), grant)
    }

    /// The source of an API key of IBM Cloud. `url` is another token endpoint.
    ///
    /// # Errors
    ///
    /// `url` is none.
    pub fn watsonx(url: Option<&str>, api_key: Secret) -> Result<Self, Fault> {
        Self::at(url.unwrap_or(IBM_TOKEN_URL), Grant::ApiKey(api_key))
    }

    /// What tells this source from others: no secret, but made from all of them.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn at(url: &str, grant: Grant) -> Result<Self, Fault> {
        let (address, authority, path) = place(url).ok_or("expected the URL of a token endpoint")?;
        let cluster = format!("tollgate_token{}", address.cluster().trim_start_matches("tollgate"));
        let id = grant.id(url);
        Ok(Self { id, cluster, address, authority, path, project: None, grant })
    }
}

impl Grant {
    /// The first half of a digest over all that makes this grant.
    fn id(&self, url: &str) -> String {
        let parts: [&str; 4] = match self {
            Self::ServiceAccount { email, key_id, private_key, .. } => {
                [email, key_id.as_deref().unwrap_or_default(), private_key.expose(), "service_account"]
            }
            Self::RefreshToken { client_id, client_secret, refresh_token } => {
                [client_id, client_secret.expose(), refresh_token.expose(), "refresh_token"]
            }
            Self::Metadata => ["", "", "", "metadata"],
            Self::ClientSecret { client_id, client_secret, scope } => {
                [client_id, client_secret.expose(), scope, "client_secret"]
            }
            Self::ApiKey(key) => [key.expose(), "", "", "api_key"],
        };
        let mut digest = Sha256::new();
        for part in parts.iter().chain([&url]) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().iter().take(16).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }
}

/// A URL as address, `:authority` and `:path`.
fn place(url: &str) -> Option<(Address, String, String)> {
    let url = Url::parse(url).ok()?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return None;
    }
    let host = url.host_str()?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let address = Address { tls, host: host.trim_matches(['[', ']']).to_owned(), port: url.port_or_known_default()? };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some((address, authority, format!("{}{query}", url.path())))
}
