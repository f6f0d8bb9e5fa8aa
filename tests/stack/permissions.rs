//! The roles of the functions against what the functions do: the emulator enforces the roles, so that a permission that is
//! missing is a refusal, and writes down which statement let each request through, so that one that nobody needs shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, ensure};
use sampan::deploy::FUNCTIONS;
use sampan::local::PERMISSIONS_FILE;
use serde::Deserialize;

use crate::stage::Stage;

/// Actions that are of a role and that the emulator does without it, and why.
const NOT_BY_FUNCTIONS: [(&str, &str); 6] = [
    ("logs:CreateLogStream", "Lambda itself writes the log"),
    ("logs:PutLogEvents", "Lambda itself writes the log"),
    ("sqs:ReceiveMessage", "the event source mapping takes messages"),
    ("sqs:DeleteMessage", "the event source mapping takes messages"),
    ("sqs:GetQueueAttributes", "the event source mapping takes messages"),
    ("s3:ListBucket", "S3 asks for it where a HEAD finds nothing, to answer 404 and not 403"),
];

/// What sweeps do with what the simulated marketplaces never say, too much for an item or what cannot be read: role, action, a part
/// of the resource. That nothing is refused does not see these either; their functions' own tests do.
const NOT_DRIVEN: [(&str, &str, &str); 3] = [
    ("OrderSweepRole", "s3:PutObject", "details"),
    ("OrderSweepRole", "sqs:SendMessage", "-quarantine"),
    ("ProductSweepRole", "sqs:SendMessage", "-quarantine"),
];

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Statement { role: String, sid: String, may: Vec<String>, on: Vec<String> },
    Request { role: String, did: String, to: String, by: Option<String> },
}

/// An action of a role on a resource, which may end in a star.
type Permission = (String, String, String);

/// What roles may, and what was done by them.
#[derive(Default)]
struct Used {
    may: BTreeSet<Permission>,
    did: BTreeSet<Permission>,
    refused: BTreeSet<Permission>,
}

impl Used {
    /// Of the functions of one stack, whose roles begin with its name.
    fn read(text: &str, stack: &str) -> anyhow::Result<Self> {
        let mut used = Self::default();
        let of_stack = |role: &str| {
            let name = role.split('/').nth(1)?;
            name.starts_with(&format!("{stack}-")).then(|| name.to_owned())
        };
        for line in text.lines() {
            match serde_json::from_str(line).with_context(|| line.to_owned())? {
                Line::Statement { role, sid, may, on } => {
                    let Some(role) = of_stack(&role) else { continue };
                    ensure!(
                        !sid.is_empty() && may.len() == 1,
                        "{role}: a statement without a name, or of many actions"
                    );
                    used.may.extend(on.into_iter().map(|on| (role.clone(), may[0].clone(), on)));
                }
                Line::Request { role, did, to, by } => {
                    let Some(role) = of_stack(&role) else { continue };
                    let requests = if by.is_some() { &mut used.did } else { &mut used.refused };
                    requests.insert((role, did, to));
                }
            }
        }
        Ok(used)
    }

    /// What roles may and was never done.
    fn spare(&self) -> Vec<&Permission> {
        let is_used = |(role, may, on): &&Permission| {
            let is_it = |(other, did, to): &Permission| (role, may) == (other, did) && is_of(to, on);
            let is_not_driven =
                NOT_DRIVEN.iter().any(|(of, action, part)| role.contains(of) && action == may && on.contains(part));
            is_not_driven || self.did.iter().any(is_it) || NOT_BY_FUNCTIONS.iter().any(|(action, _)| action == may)
        };
        self.may.iter().filter(|permission| !is_used(permission)).collect()
    }
}

/// Whether a resource is the one that is named, or below it where a star stands at its end.
fn is_of(resource: &str, named: &str) -> bool {
    named.strip_suffix('*').map_or(resource == named, |start| resource.starts_with(start))
}

/// After all other tests, which do everything that functions do.
pub async fn exact(stage: Arc<Stage>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(stage.directory.join(PERMISSIONS_FILE))?;
    let mut used = Used::read(&text, &stage.session.stack.stack)?;
    let roles: BTreeSet<&String> = used.may.iter().map(|(role, ..)| role).collect();
    ensure!(roles.len() == FUNCTIONS.len(), "only these asked for anything; run the whole ring: {roles:?}");
    ensure!(used.refused.is_empty(), "permissions are missing: {:?}", used.refused);
    ensure!(used.spare().is_empty(), "nobody needs these; was the whole ring run? {:#?}", used.spare());
    println!("permissions: {} of {} roles, each used, none missing", used.may.len(), roles.len());

    // One more would be found; one too few would have been refused.
    let (role, action, _) = used.may.first().context("no role")?.clone();
    let spare = (role, action, "arn:aws:dynamodb:us-east-1:000000000000:table/another".to_owned());
    used.may.insert(spare.clone());
    ensure!(used.spare() == [&spare], "a spare permission is not found");
    Ok(())
}
