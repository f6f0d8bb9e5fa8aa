//! What is fetched from the web, from a real server: rates and certificates, and what else may be there.

use std::time::Duration;

use adapters::ports::{CertificateSource, RateSource};
use adapters::testing::{MemoryCertificates, MemoryRates, conformance};
use adapters::web::{EcbRates, PaypalCertificates};
use protocols::ecb::FILE_BYTES_MAX;
use protocols::gateway::PublicKey;
use protocols::gateway::paypal::CertificateUrl;
use simulators::gateway::PAYPAL_CERTIFICATE;
use simulators::web::{Page, Server};

const RATES_FILE: &str = include_str!("../fixtures/fx/eurofxref-daily.2024-06-28.xml");
const FOLDER: &str = "/v1/notifications/certs";

fn rates(server: &Server, path: &str) -> EcbRates {
    EcbRates::new(format!("{}{path}", server.url)).unwrap()
}

#[tokio::test]
async fn the_source_of_rates_and_its_twin_keep_the_promises_of_their_port() {
    let server = Server::start().await.unwrap();
    server.publish("/rates.xml", Page::of(RATES_FILE));
    server.publish("/spoilt.xml", Page::of(RATES_FILE.replace("'1.0705'", "'1,0705'")));
    let away = EcbRates::new("http://127.0.0.1:1/".to_owned()).unwrap();
    conformance::rates(&rates(&server, "/rates.xml"), &away, &rates(&server, "/spoilt.xml")).await.unwrap();
    let twin = MemoryRates::new(crate::support::rates());
    conformance::rates(&twin, &MemoryRates::default(), &MemoryRates::default()).await.unwrap();
}

#[tokio::test]
async fn the_source_of_certificates_and_its_twin_keep_the_promises_of_their_port() {
    let url = |name: &str| CertificateUrl::new(&format!("https://api.paypal.com{FOLDER}/{name}")).unwrap();
    let server = Server::start().await.unwrap();
    server.publish(&format!("{FOLDER}/CERT-1"), Page::of(PAYPAL_CERTIFICATE));
    let source = PaypalCertificates::at(server.url.clone());
    conformance::certificates(&source, &url("CERT-1"), &url("CERT-2")).await.unwrap();
    let twin = MemoryCertificates::default();
    twin.publish(url("CERT-1").as_str(), PublicKey::from_certificate(PAYPAL_CERTIFICATE).unwrap());
    conformance::certificates(&twin, &url("CERT-1"), &url("CERT-2")).await.unwrap();
}

#[tokio::test]
async fn whatever_else_the_web_answers_is_no_rates() {
    let server = Server::start().await.unwrap();
    server.publish("/elsewhere.xml", Page::of(RATES_FILE));
    let redirect = Page { location: Some(format!("{}/elsewhere.xml", server.url)), ..Page::status(302) };
    let padding = " ".repeat(FILE_BYTES_MAX);
    for (name, page) in [
        ("not found", Page::status(404)),
        ("gone", Page::status(410)),
        ("throttled", Page::status(429)),
        ("broken", Page::status(500)),
        ("empty", Page::of("")),
        ("a page of a hotel", Page::of("<html><body>Sign in</body></html>")),
        ("not UTF-8", Page::of(b"\xff\xfe".to_vec())),
        ("too large", Page::of(format!("{RATES_FILE}{padding}"))),
        ("a redirect", redirect),
        ("too late", Page { delay: Duration::from_secs(6), ..Page::of(RATES_FILE) }),
    ] {
        server.publish("/rates.xml", page);
        assert!(rates(&server, "/rates.xml").rates().await.is_err(), "{name}");
    }
    assert_eq!(server.asked("/elsewhere.xml"), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_page_that_is_no_certificate_of_paypal_s_is_none() {
    let server = Server::start().await.unwrap();
    let source = PaypalCertificates::at(server.url.clone());
    let url = CertificateUrl::new(&format!("https://api.sandbox.paypal.com{FOLDER}/CERT-1")).unwrap();
    for page in [
        Page::of(""),
        Page::of("not PEM"),
        Page::of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Page::of(simulators::gateway::ALIPAY_PUBLIC_KEY),
        Page::status(404),
    ] {
        server.publish(&format!("{FOLDER}/CERT-1"), page);
        assert_eq!(source.key(&url).await.unwrap(), None);
    }
    server.publish(&format!("{FOLDER}/CERT-1"), Page::status(500));
    assert!(source.key(&url).await.is_err(), "PayPal is away, which is no no");
}
