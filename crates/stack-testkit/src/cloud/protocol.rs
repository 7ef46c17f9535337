//! What goes over the wire: one JSON object a line, each answered by one line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::world::{Attributes, Object, World};

/// Tags by which the object of a create is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// Lineage of the state.
    pub lineage: String,
    /// Token of the create.
    pub token: String,
    /// Address of the resource instance; informational.
    pub address: String,
}

/// How a call names an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// By id.
    Id {
        /// What it is, for logs.
        kind: String,
        /// Its id.
        id: String,
    },
    /// By what it was made with.
    Token {
        /// What it is.
        kind: String,
        /// Its tags.
        owner: Owned,
    },
    /// By its name.
    Name {
        /// What it is.
        kind: String,
        /// Id of the object it lives in.
        inside: Option<String>,
        /// Its name.
        name: String,
    },
}

impl Which {
    /// The object of an id.
    pub fn id(kind: &str, id: &str) -> Self {
        Self::Id {
            kind: kind.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The object of a name.
    pub fn named(kind: &str, inside: Option<&str>, name: &str) -> Self {
        Self::Name {
            kind: kind.to_owned(),
            inside: inside.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    fn kind(&self) -> &str {
        match self {
            Self::Id { kind, .. } | Self::Token { kind, .. } | Self::Name { kind, .. } => kind,
        }
    }
}

/// A call of the cloud's interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Makes an object. With an owner: the one that its token has made already, if it has. Without: refused where one of
    /// the name exists.
    Create {
        /// What it is.
        kind: String,
        /// Its name.
        name: String,
        /// Everything else.
        attributes: Attributes,
        /// Tags.
        owner: Option<Owned>,
        /// Id of the object it lives in.
        inside: Option<String>,
        /// Ids of objects that cannot end while it exists.
        uses: Vec<String>,
    },
    /// Gives objects as they are, absent ones as null.
    Read(Vec<Which>),
    /// Sets attributes.
    Update {
        /// The object.
        which: Which,
        /// What to set; other attributes stay.
        attributes: Attributes,
    },
    /// Ends an object and what is inside it, unless something uses it.
    Delete(Which),
    /// Reaches the inside of an object.
    Enter {
        /// Its id.
        id: String,
    },
}

impl Operation {
    /// What people and logs call it: verb and object, the same in every run of one scenario.
    pub fn label(&self, world: &World) -> String {
        match self {
            Self::Create {
                kind,
                name,
                owner,
                inside,
                ..
            } => match owner {
                Some(owner) => format!("create {}", owner.address),
                None => format!(
                    "create {}",
                    world.label(&Which::named(kind, inside.as_deref(), name))
                ),
            },
            Self::Read(which) => match which.as_slice() {
                [one] => format!("read {}", world.label(one)),
                [] => "read nothing".to_owned(),
                [first, ..] => format!("read several {}", first.kind()),
            },
            Self::Update { which, .. } => format!("update {}", world.label(which)),
            Self::Delete(which) => format!("delete {}", world.label(which)),
            Self::Enter { id } => format!("enter {}", world.label(&Which::id("", id))),
        }
    }
}

/// What a call gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// Id of the object.
    Id(String),
    /// Objects in the order they were asked for.
    Objects(Vec<Option<Object>>),
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The arguments cannot work.
    Invalid,
    /// There is no such object.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// Something still uses the object.
    InUse,
    /// The inside of an object cannot be reached.
    Unreachable,
    /// Too many calls.
    Throttled,
    /// The service failed by itself, before anything was done.
    Failed,
    /// The client may not do that, or not any more.
    Denied,
}

/// A call that was refused; it has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// In which way.
    pub kind: RefusalKind,
    /// Why.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a call meets instead of being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is refused with an error of the service, before the effect.
    Refused,
    /// It is refused as if the credentials had expired, before the effect. Nobody tries that again.
    Denied,
    /// It takes effect and the connection breaks instead of an answer.
    AnswerLost,
    /// Neither effect nor answer, until the client gives up or dies.
    Hang,
    /// It takes effect, and there is no answer until the client gives up or dies.
    HangAfterEffect,
    /// It is throttled, and as many calls of the same name after it, before it is served.
    Throttle {
        /// How many calls are refused.
        times: u32,
    },
}

/// A fault and the call that meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Verb, object and number, as the log names it: `create cloud_server.a #1`; or `any #3` for the third call of all.
    pub call: String,
    /// What it meets.
    pub fault: Fault,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has arrived and done nothing.
    Received,
    /// Its effect is there.
    Done,
    /// Its answer was sent.
    Answered,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 3] = [Self::Received, Self::Done, Self::Answered];

    /// The point of a call, as the log names it: `create cloud_server.a #1 received`.
    pub fn point(self, call: &str) -> String {
        let stage = match self {
            Self::Received => "received",
            Self::Done => "done",
            Self::Answered => "answered",
        };
        format!("{call} {stage}")
    }
}

/// A line to the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// The first line of a connection. Nothing may be sent before it is answered, so that nothing of a process that was
    /// killed can arrive later.
    Hello {
        /// It directs the cloud and is not part of what is tested.
        control: bool,
    },
    /// A call.
    Call(Operation),
    /// Something besides calls has come to a point at which the world may be stopped, such as a write to a journal.
    Pass {
        /// What, without a number.
        what: String,
    },
    /// A run begins: counts and log start anew.
    Begin {
        /// The point at which the world is to stop.
        stop: Option<String>,
        /// What goes wrong.
        faults: Vec<Planned>,
    },
    /// Waits until the world has stopped, for so many milliseconds at most.
    AwaitStop {
        /// How long.
        milliseconds: u64,
    },
    /// Everything that is underway ends without a further effect, the world goes on, and the answer comes when every
    /// connection of the run has ended.
    Abandon,
    /// The points that were passed since the run began.
    Log,
    /// Faults that were met since the run began.
    Met,
    /// Everything that exists.
    Export,
    /// Puts another world in the place of this one.
    Import(Box<World>),
}

/// A line from the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Reply {
    /// To `Hello`, `Pass`, `Begin`, `Abandon` and `Import`.
    Ok,
    /// To a call.
    Answer(Answer),
    /// To a call.
    Refused(Refusal),
    /// To `AwaitStop`: whether the world has stopped.
    Stopped(bool),
    /// To `Log`.
    Log(Vec<String>),
    /// To `Met`: how many faults.
    Met(usize),
    /// To `Export`.
    World(Box<World>),
    /// To what cannot be done, and why.
    Failed(String),
}
