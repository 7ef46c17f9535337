//! Runs of Helm that bring a release into being, and what is in force after them.

use std::time::Duration;

use stack_core::Secret;
use stack_kube::Kube;
use stack_provider::{Cx, Failure, Owner, ProviderError};

use crate::Client;
use crate::chart::{self, Chart};
use crate::program::json;
use crate::record::{Record, newest};
use crate::recover::{Turn, cured};
use crate::release::{Release, digest_of_text, values_in_force};
use crate::values::{Json, digest_of};

/// Installs or upgrades, after pending leftovers have been cleared.
pub(crate) async fn deploy(
    cx: &Cx,
    client: &Client,
    kube: &Kube,
    planned: Release,
    known: Option<&str>,
    owner: Option<&Owner>,
) -> Result<Release, Failure<Release>> {
    let values = planned.merged()?;
    let chart = chart::fetch(cx, &client.program, planned.source(), known).await?;
    let major = client.program.major(cx).await?;
    let mut turn = Turn::take(cx, client, &planned).await?;
    let record = look(cx, kube, &planned).await?;
    let record = cured(cx, client, kube, &planned, &turn, record).await?;
    if let (Some(owner), Some(record)) = (owner, &record)
        && record.is_of(owner)
        && let Some(made) = complete(cx, client, &planned, record, &chart, &values).await?
    {
        return Ok(made);
    }
    turn.begin(record.map_or(0, |r| r.revision) + 1)?;
    let marks = owner.map(|o| (o.lineage.as_str(), o.token.as_str()));
    let target = planned.target(client);
    let args = target.upgrade(&planned, &chart.path, major, marks);
    cx.progress(&format!("helm upgrade --install {}", planned.name));
    let ran = client
        .program
        .run(cx, &args, &target.environment(), values.to_string().as_bytes())
        .await;
    let ran = match ran {
        Ok(ran) if ran.ok => ran,
        other => {
            let error = match other {
                Ok(ran) => planned.failed("helm upgrade", &ran.stderr),
                Err(error) => error,
            };
            return Err(half_made(kube, planned, error).await);
        }
    };
    Ok(planned.settled(&json(&ran.stdout)?, &chart.digest))
}

/// What an earlier run of the same create attempt has made, if it has brought it to its end though nobody was there to
/// hear of it.
async fn complete(
    cx: &Cx,
    client: &Client,
    planned: &Release,
    record: &Record,
    chart: &Chart,
    values: &Json,
) -> Result<Option<Release>, ProviderError> {
    if record.status != "deployed" {
        return Ok(None);
    }
    let mut made = inspected(cx, client, planned, record).await?;
    let wanted = Secret::new(digest_of(values));
    let same_version = planned.version.is_none() || planned.version == made.version;
    if made.values_digest != Some(wanted) || !same_version {
        return Ok(None);
    }
    made.chart_digest = Some(chart.digest.clone());
    Ok(Some(made))
}

/// A failed run, with the release as far as there is one.
async fn half_made(kube: &Kube, planned: Release, error: ProviderError) -> Failure<Release> {
    // The call's own time may be over: this look has its own.
    let look = newest(kube, &planned.namespace, &planned.name);
    let found = tokio::time::timeout(Duration::from_secs(10), look).await;
    let Ok(Ok(Some(record))) = found else {
        return error.into();
    };
    let mut object = planned;
    object.id = Some(format!("{}/{}", object.namespace, object.name));
    object.status = Some(record.status);
    object.revision = Some(record.revision);
    Failure::with(error, object)
}

/// The newest revision of a release.
pub(crate) async fn look(cx: &Cx, kube: &Kube, release: &Release) -> Result<Option<Record>, ProviderError> {
    Ok(cx
        .bounded(newest(kube, &release.namespace, &release.name))
        .await??)
}

/// Another revision than the recorded one: what is in force now.
pub(crate) async fn inspected(
    cx: &Cx,
    client: &Client,
    prior: &Release,
    record: &Record,
) -> Result<Release, ProviderError> {
    let mut model = prior.clone();
    model.id = Some(format!("{}/{}", prior.namespace, prior.name));
    model.status = Some(record.status.clone());
    model.revision = Some(record.revision);
    if record.is_pending() {
        return Ok(model);
    }
    let target = prior.target(client);
    let ask = async |what: &str| {
        let ran = client
            .program
            .run(cx, &target.get(prior, what), &target.environment(), b"")
            .await?;
        if ran.ok {
            Ok(ran.stdout)
        } else {
            Err(prior.failed("helm get", &ran.stderr))
        }
    };
    let values: Json = serde_json::from_slice(&ask("values").await?)
        .map_err(|e| ProviderError::internal("the output of helm get values makes no sense").source(e))?;
    model.values_digest = Some(Secret::new(digest_of(&values_in_force(&values))));
    let meta = json(&ask("metadata").await?)?;
    if let Some(version) = meta["version"].as_str() {
        model.version = Some(version.to_owned());
    }
    model.app_version = meta["appVersion"].as_str().map(str::to_owned);
    // Helm prints one line end more than the release has.
    let manifest = ask("manifest").await?;
    let manifest = manifest.strip_suffix(b"\n").unwrap_or(&manifest);
    model.manifest_digest = Some(digest_of_text(&String::from_utf8_lossy(manifest)));
    Ok(model)
}
