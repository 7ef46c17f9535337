//! A real API server for the tests, through a client whose calls can be made to fail.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use stack_kube::{Access, Json, Kube, ObjectRef, Propagation};
use stack_provider::contract::{Fault, Faults};
use stack_provider::{Cx, Sessions};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service};

use crate::Client;

/// The call that is to fail.
#[derive(Default)]
pub(crate) struct Plan {
    calls: AtomicUsize,
    armed: Mutex<Option<(usize, Fault)>>,
}

impl Faults for Plan {
    fn arm(&self, nth: usize, fault: Fault) {
        self.calls.store(0, Ordering::SeqCst);
        *self.armed.lock().unwrap() = Some((nth, fault));
    }
    fn disarm(&self) -> bool {
        let armed = self.armed.lock().unwrap().take();
        armed.is_none()
    }
}

impl Plan {
    /// Calls since the last [`Faults::arm`].
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut armed = self.armed.lock().unwrap();
        armed.take_if(|(nth, _)| *nth == call).map(|(_, fault)| fault)
    }
}

#[derive(Clone)]
struct Faulty<S> {
    inner: S,
    plan: Arc<Plan>,
}

struct FaultLayer(Arc<Plan>);

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;
    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty {
            inner,
            plan: self.0.clone(),
        }
    }
}

impl<S, B> Service<http::Request<Body>> for Faulty<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = http::Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self.plan.next() {
            None => {
                let call = self.inner.call(request);
                Box::pin(async move { call.await.map_err(Into::into) })
            }
            Some(Fault::Refused) => Box::pin(async { Err("refused by the test".into()) }),
            Some(Fault::AnswerLost) => {
                let call = self.inner.call(request);
                Box::pin(async move {
                    let _ = call.await;
                    Err("answer lost by the test".into())
                })
            }
        }
    }
}

/// The cluster of `STACK_TEST_KUBECONFIG`.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) kube: Arc<Kube>,
    pub(crate) plan: Arc<Plan>,
    sessions: Arc<Sessions>,
}

impl Cluster {
    pub(crate) async fn connect() -> Self {
        let path = std::env::var("STACK_TEST_KUBECONFIG")
            .expect("STACK_TEST_KUBECONFIG names the kubeconfig of a cluster made for tests");
        let access = Access::from_arguments(Some(path.clone()), None, None).unwrap();
        let file = Kubeconfig::read_from(path).unwrap();
        let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .unwrap();
        config.default_retry = false;
        let plan = Arc::new(Plan::default());
        let builder = ClientBuilder::try_from(config)
            .unwrap()
            .with_layer(&FaultLayer(plan.clone()));
        let sessions = Sessions::new();
        let kube = sessions
            .get(&access.key(), async { Ok(Kube::of(builder.build())) })
            .await
            .unwrap();
        Self {
            client: Client { access },
            kube,
            plan,
            sessions,
        }
    }

    pub(crate) fn cx(&self) -> Cx {
        self.cx_for(Duration::from_secs(60))
    }

    pub(crate) fn cx_for(&self, time: Duration) -> Cx {
        Cx::new(self.sessions.clone(), CancellationToken::new(), time)
    }

    /// Applies an object as somebody else.
    pub(crate) async fn apply(&self, manifest: &Json) -> Json {
        let apply = stack_kube::Apply {
            manager: "somebody",
            force: true,
            dry_run: false,
        };
        self.kube.apply(manifest, &apply).await.unwrap()
    }

    pub(crate) async fn get(&self, manifest: &Json) -> Option<Json> {
        self.kube.get(&ObjectRef::of(manifest).unwrap()).await.unwrap()
    }

    pub(crate) async fn remove(&self, manifest: &Json) {
        let object = ObjectRef::of(manifest).unwrap();
        self.kube
            .delete(&object, None, Propagation::Background)
            .await
            .unwrap();
        while self.kube.get(&object).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A name that no other test run has.
pub(crate) fn unique(stem: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("{stem}-{:x}-{nanos:x}-{number}", std::process::id())
}
