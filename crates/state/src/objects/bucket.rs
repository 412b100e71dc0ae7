//! Which bucket, and how it is reached. Opens no connection.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store_remote::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store_remote::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store_remote::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store_remote::path::Path;
use object_store_remote::{BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig};
use weir_model::{ErrorKind, SeamError, SeamResult, Secret};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of one request with all its bytes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How long an answer like 503 is tried again.
const RETRY_FOR: Duration = Duration::from_secs(8);

/// A bucket: of snapshots, or of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    pub url: String,
    /// Options by the names that object stores have for them, such as `endpoint`, `region`, `access_key_id`. What is not
    /// here is taken from the environment, where the tools of the cloud look for it.
    pub options: BTreeMap<String, Secret>,
}

/// How the addresses of buckets begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    S3,
    Google,
    Azure,
}

impl Bucket {
    /// Whether the address and the names of the options make sense. What is in the environment does not matter.
    ///
    /// # Errors
    /// `Config`, with what would be right.
    pub fn check(&self) -> SeamResult<()> {
        match self.parts()?.0 {
            Scheme::S3 => self.keys::<AmazonS3ConfigKey>().map(drop),
            Scheme::Google => self.keys::<GoogleConfigKey>().map(drop),
            Scheme::Azure => self.keys::<AzureConfigKey>().map(drop),
        }
    }

    /// What it is, the bucket's name, and where in it objects begin.
    fn parts(&self) -> SeamResult<(Scheme, &str, &str)> {
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| self.wrong("it has no ://"))?;
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Google,
            "az" => Scheme::Azure,
            other => return Err(self.wrong(&format!("{other}:// is none of s3://, gs:// and az://"))),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() { Err(self.wrong("it names no bucket")) } else { Ok((scheme, bucket, prefix)) }
    }

    /// The bucket, and where in it objects begin.
    ///
    /// # Errors
    /// `Config` when the address or an option makes no sense.
    pub(crate) fn open(&self) -> SeamResult<(Arc<dyn ObjectStore>, Path)> {
        let (scheme, bucket, prefix) = self.parts()?;
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 20, retry_timeout: RETRY_FOR };
        let client = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(REQUEST_TIMEOUT);
        let store: Arc<dyn ObjectStore> = match scheme {
            Scheme::S3 => {
                let mut builder = AmazonS3Builder::from_env().with_client_options(client).with_bucket_name(bucket);
                // A server of one's own, without encryption, is asked for by its address.
                let plain = |(name, value): (&String, &Secret)| {
                    name.ends_with("endpoint") && value.expose().starts_with("http://")
                };
                builder = builder.with_allow_http(self.options.iter().any(plain));
                for (key, value) in self.keys::<AmazonS3ConfigKey>()? {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.with_retry(retry).build().map_err(|error| self.refused(error))?)
            }
            Scheme::Google => {
                let mut builder =
                    GoogleCloudStorageBuilder::from_env().with_client_options(client).with_bucket_name(bucket);
                for (key, value) in self.keys::<GoogleConfigKey>()? {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.with_retry(retry).build().map_err(|error| self.refused(error))?)
            }
            Scheme::Azure => {
                let mut builder =
                    MicrosoftAzureBuilder::from_env().with_client_options(client).with_container_name(bucket);
                for (key, value) in self.keys::<AzureConfigKey>()? {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.with_retry(retry).build().map_err(|error| self.refused(error))?)
            }
        };
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| self.refused(error.into()))?;
        Ok((store, prefix))
    }

    fn keys<K: FromStr<Err = Error>>(&self) -> SeamResult<Vec<(K, String)>> {
        let key = |(name, value): (&String, &Secret)| match name.parse() {
            Ok(key) => Ok((key, value.expose().to_owned())),
            Err(_) => Err(self.wrong(&format!("it has no option {name}"))),
        };
        self.options.iter().map(key).collect()
    }

    fn wrong(&self, why: &str) -> SeamError {
        SeamError::new(ErrorKind::Config, format!("{} cannot be used: {why}", self.url))
    }

    fn refused(&self, error: Error) -> SeamError {
        SeamError::caused(ErrorKind::Config, format!("{} cannot be used", self.url), error)
    }
}
