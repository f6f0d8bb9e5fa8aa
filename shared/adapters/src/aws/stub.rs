//! An AWS that answers from a script, for what no emulator produces: refused entries, lost answers,
//! conflicts, throttling. Records what was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;

use super::{Settings, connect};

/// One answer of the script.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This status and body: JSON or XML, as the service has it.
    Text(u16, String),
    /// The connection broke off after the request was sent.
    Lost,
}

/// What was asked: the operation, and the body.
pub(crate) type Asked = (String, serde_json::Value);

/// A request that is told by its head: `PUT /bucket/key`, and the headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Script {
    /// Gives these answers in turn, then nothing but lost ones.
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() }
    }

    /// A configuration that asks this script, and does not try again by itself.
    pub(crate) fn config(&self) -> SdkConfig {
        let settings = Settings {
            region: "eu-central-1".to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
            endpoint_url: Some("http://stub.invalid".to_owned()),
        };
        let connector = SharedHttpConnector::new(self.clone());
        let client: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
        connect(settings).into_builder().http_client(client).retry_config(RetryConfig::disabled()).build()
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config())
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap().clone()
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        self.asked.lock().unwrap().push((operation, body));
        let path = request.uri().split_once("stub.invalid").map_or("", |(_, path)| path);
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.heads.lock().unwrap().push(Head { line: format!("{} {path}", request.method()), headers });
        HttpConnectorFuture::ready(match self.answers.lock().unwrap().pop_front() {
            Some(Answer::Text(status, body)) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
            Some(Answer::Lost) | None => Err(ConnectorError::io("broken pipe".into())),
        })
    }
}
