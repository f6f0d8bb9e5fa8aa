//! AWS, as far as the functions ask it: Secrets Manager, SQS and DynamoDB over HTTP on the loopback, that count what they
//! are asked and cost little beside what is measured.
//!
//! Puts are kept, and a put that must not find its item is refused when there is one. Of updates only their number is
//! kept: whether they come to the right item is shown on the stack (`tests/stack`), not here.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What was asked of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// What was asked, by operation, such as `PutItem`.
pub type Calls = BTreeMap<String, Asked>;

#[derive(Debug, Default)]
struct Kept {
    secrets: String,
    calls: Calls,
    /// Items by table, then by their key.
    items: BTreeMap<String, BTreeMap<String, Value>>,
}

/// The services, as long as they are held.
#[derive(Debug)]
pub struct Aws {
    /// Where they are, such as `http://127.0.0.1:40123`.
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    serving: JoinHandle<()>,
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Aws {
    /// Starts them, with this secrets document.
    pub async fn start(secrets: String) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let kept = Arc::new(Mutex::new(Kept { secrets, ..Kept::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, kept, serving })
    }

    /// What was asked since the last time that somebody looked.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut lock(&self.kept).calls)
    }

    /// Puts an item, as if it had been put before.
    pub fn keep(&self, table: &str, item: Value) {
        lock(&self.kept).items.entry(table.to_owned()).or_default().insert(key(&item), item);
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap, body: String) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let mut kept = lock(&kept);
    let asked = kept.calls.entry(operation.to_owned()).or_default();
    asked.requests += 1;
    asked.bytes += u64::try_from(body.len()).unwrap_or_default();
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    match kept.answer(operation, &request) {
        Ok(answer) => (StatusCode::OK, answer.to_string()).into_response(),
        Err(refusal) => (StatusCode::BAD_REQUEST, refusal.to_string()).into_response(),
    }
}

/// The text under a name.
fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The key of an item, or that a request names: both its parts, where the table has two.
fn key(item: &Value) -> String {
    let part = |name| item.get(name).map(|part| text(part, "S")).unwrap_or_default();
    format!("{}\n{}", part("pk"), part("sk"))
}

impl Kept {
    fn answer(&mut self, operation: &str, request: &Value) -> Result<Value, Value> {
        match operation {
            "GetSecretValue" => Ok(json!({"Name": "secrets", "VersionId": "v1", "SecretString": self.secrets})),
            "SendMessageBatch" => Ok(sent(request)),
            "PutItem" => self.put(request),
            "UpdateItem" => Ok(json!({})),
            "GetItem" => {
                let found = self.table(request).and_then(|items| items.get(&key(request.get("Key")?)));
                Ok(found.map_or_else(|| json!({}), |item| json!({"Item": item})))
            }
            "Query" => Ok(self.query(request)),
            "BatchGetItem" => Ok(self.batch(request)),
            _ => Err(json!({"__type": "UnknownOperationException"})),
        }
    }

    fn table(&self, request: &Value) -> Option<&BTreeMap<String, Value>> {
        self.items.get(text(request, "TableName"))
    }

    fn put(&mut self, request: &Value) -> Result<Value, Value> {
        let item = request.get("Item").cloned().unwrap_or_default();
        let items = self.items.entry(text(request, "TableName").to_owned()).or_default();
        if let Some(there) = items.get(&key(&item))
            && text(request, "ConditionExpression").starts_with("attribute_not_exists")
        {
            return Err(json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                              "message": "The conditional request failed", "Item": there}));
        }
        items.insert(key(&item), item);
        Ok(json!({}))
    }

    /// Items whose key, or whose attribute that an index is of, has the one value that is asked for.
    fn query(&self, request: &Value) -> Value {
        let wanted = request.get("ExpressionAttributeValues").and_then(Value::as_object);
        let (name, value) = wanted.and_then(|values| values.iter().next()).unzip();
        let attribute = name.map_or("", |name| name.trim_start_matches(':'));
        let is_wanted = |item: &&Value| item.get(attribute).is_some() && item.get(attribute) == value;
        let found: Vec<&Value> = self.table(request).into_iter().flat_map(BTreeMap::values).filter(is_wanted).collect();
        json!({"Items": found, "Count": found.len()})
    }

    fn batch(&self, request: &Value) -> Value {
        let empty = Map::new();
        let asked = request.get("RequestItems").and_then(Value::as_object).unwrap_or(&empty);
        let found = asked.iter().map(|(table, wanted)| {
            let keys = wanted.get("Keys").and_then(Value::as_array).into_iter().flatten();
            let items = keys.filter_map(|wanted| self.items.get(table)?.get(&key(wanted)));
            (table.clone(), Value::from(items.cloned().collect::<Vec<_>>()))
        });
        json!({"Responses": found.collect::<Map<_, _>>(), "UnprocessedKeys": {}})
    }
}

/// Every message of a batch was taken.
fn sent(request: &Value) -> Value {
    let entries = request.get("Entries").and_then(Value::as_array).into_iter().flatten();
    let taken = entries.map(|entry| {
        let digest = hex::encode(Md5::digest(text(entry, "MessageBody")));
        json!({"Id": text(entry, "Id"), "MessageId": digest, "MD5OfMessageBody": digest})
    });
    json!({"Successful": taken.collect::<Vec<_>>(), "Failed": []})
}
