//! A broker that also speaks with those it knows, with and without encryption. Refuses to keep its secrets: they are for tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cluster::{CLIENT_PORT, CONTROLLER_PORT, Cluster, free_addresses, temporary_folder};
use crate::{BrokerError, jars};

const SASL_PORT: u16 = 19_094;
const SASL_TLS_PORT: u16 = 19_095;
/// Who the broker knows.
pub const USER: &str = "weir";
/// And the password.
pub const PASSWORD: &str = "a-secret-for-tests";

/// One broker with three doors: plain (see [`Cluster::bootstrap`]), SASL, and SASL inside TLS. SASL is PLAIN, SCRAM-SHA-512
/// or OAUTHBEARER with tokens that nobody signed.
pub struct Secured {
    /// The broker.
    pub cluster: Cluster,
    /// `host:port` for SASL.
    pub sasl: String,
    /// `host:port` for SASL inside TLS.
    pub sasl_tls: String,
    /// The certificate (PEM) that clients have to trust.
    pub certificate: PathBuf,
}

impl Secured {
    /// Starts the broker.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start() -> Result<Self, BrokerError> {
        let folder = temporary_folder()?;
        let addresses = free_addresses(1);
        let host = addresses[0];
        let (store, certificate) = (folder.path().join("broker.p12"), folder.path().join("broker.pem"));
        make_certificate(&store, &certificate, &host.to_string())?;
        let doors = format!("PLAINTEXT://{host}:{CLIENT_PORT},SASL://{host}:{SASL_PORT},TLS://{host}:{SASL_TLS_PORT}");
        let listeners = format!("{doors},CONTROLLER://{host}:{CONTROLLER_PORT}");
        let plain =
            format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let token = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";";
        let store = store.to_string_lossy();
        let more = [
            ("listeners", listeners.as_str()),
            ("advertised.listeners", &doors),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL",
            ),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512,OAUTHBEARER"),
            ("listener.name.sasl.plain.sasl.jaas.config", &plain),
            ("listener.name.tls.plain.sasl.jaas.config", &plain),
            ("listener.name.sasl.scram-sha-512.sasl.jaas.config", scram),
            ("listener.name.tls.scram-sha-512.sasl.jaas.config", scram),
            ("listener.name.sasl.oauthbearer.sasl.jaas.config", token),
            ("listener.name.tls.oauthbearer.sasl.jaas.config", token),
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.location", &store),
            ("ssl.keystore.password", PASSWORD),
        ];
        let user = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
        let cluster = Cluster::launch(folder, &addresses, &more, &["--add-scram", &user])?;
        let at = |port: u16| format!("{host}:{port}");
        Ok(Self { cluster, sasl: at(SASL_PORT), sasl_tls: at(SASL_TLS_PORT), certificate })
    }
}

/// A key with a certificate that it signed itself.
fn make_certificate(store: &Path, certificate: &Path, host: &str) -> Result<(), BrokerError> {
    let name = format!("SAN=ip:{host}");
    keytool(store, &["-genkeypair", "-keyalg", "RSA", "-dname", "CN=broker", "-ext", &name, "-validity", "3650"])?;
    keytool(store, &["-exportcert", "-rfc", "-file", &certificate.to_string_lossy()])
}

fn keytool(store: &Path, arguments: &[&str]) -> Result<(), BrokerError> {
    let output = Command::new("keytool")
        .args(arguments)
        .args(["-alias", "broker", "-storetype", "PKCS12", "-storepass", PASSWORD, "-keystore"])
        .arg(store)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BrokerError::Program { program: "keytool", package: "default-jre-headless", error })?;
    if output.status.success() {
        return Ok(());
    }
    Err(BrokerError::Refused(jars::tail(&[output.stdout, output.stderr].concat())))
}
