//! Configurations of a container and its content, and what may happen to the two.

use std::fmt::Write as _;

/// Where the content is, seen from its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nesting {
    /// `cloud_box.host` contains `box_file.c`.
    One,
    /// `cloud_box.host` contains a machine that contains `vm_app.c`.
    Outer,
    /// The container is a machine inside a box that stays.
    Inner,
    /// The content is in a module that inherits the provider.
    Module,
    /// The content is in a module that is given an alias of the provider.
    Alias,
    /// The content is in a module with a provider of its own.
    Own,
    /// The container is an instance of `for_each`, beside another one with content of its own.
    Each,
}

impl Nesting {
    pub(crate) const ALL: [Self; 7] = [
        Self::One,
        Self::Outer,
        Self::Inner,
        Self::Module,
        Self::Alias,
        Self::Own,
        Self::Each,
    ];
}

/// What happens to the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Unchanged,
    /// In place; its address is known only afterwards.
    Updated,
    ReplacedDeleteFirst,
    ReplacedCreateFirst,
    /// Not configured any more; the provider leads to another system.
    DeletedAndRetargeted,
    /// Not configured any more; the provider still names it.
    DeletedAndNamed,
    /// Not configured any more, nor are its provider and its content.
    DeletedWithContent,
    Gone,
    Tainted,
    TaintedCreateFirst,
    Moved,
    MovedAndReplaced,
    /// Kept, but not managed any more; the provider still names it.
    ForgottenAndNamed,
    /// Kept, but not managed any more; its provider and its content are not configured.
    ForgottenWithContent,
    /// Replaced, with `--target` for it alone.
    ReplacedAndTargeted,
    /// Replaced, with `--exclude` for it.
    ReplacedAndExcluded,
    /// Replaced, with `--target` for the content.
    ReplacedContentTargeted,
    /// Replaced, with `--exclude` for the content.
    ReplacedContentExcluded,
    /// Not configured any more, nor is the content, with `--exclude` for the content.
    DeletedContentExcluded,
    /// Replaced, because `--replace` asks for it.
    Requested,
    Imported,
    /// Imported, and updated in place.
    ImportedAndUpdated,
    /// Left over from an earlier replacement.
    Deposed,
}

impl Container {
    pub(crate) const ALL: [Self; 23] = [
        Self::Unchanged,
        Self::Updated,
        Self::ReplacedDeleteFirst,
        Self::ReplacedCreateFirst,
        Self::DeletedAndRetargeted,
        Self::DeletedAndNamed,
        Self::DeletedWithContent,
        Self::Gone,
        Self::Tainted,
        Self::TaintedCreateFirst,
        Self::Moved,
        Self::MovedAndReplaced,
        Self::ForgottenAndNamed,
        Self::ForgottenWithContent,
        Self::ReplacedAndTargeted,
        Self::ReplacedAndExcluded,
        Self::ReplacedContentTargeted,
        Self::ReplacedContentExcluded,
        Self::DeletedContentExcluded,
        Self::Requested,
        Self::Imported,
        Self::ImportedAndUpdated,
        Self::Deposed,
    ];

    /// Whether the container is configured afterwards.
    pub(crate) fn is_configured(self) -> bool {
        !matches!(
            self,
            Self::DeletedAndRetargeted
                | Self::DeletedAndNamed
                | Self::DeletedWithContent
                | Self::DeletedContentExcluded
                | Self::ForgottenAndNamed
                | Self::ForgottenWithContent
        )
    }

    /// Whether the content may be configured afterwards.
    pub(crate) fn leaves_content(self) -> bool {
        !matches!(
            self,
            Self::DeletedWithContent | Self::ForgottenWithContent | Self::DeletedContentExcluded
        )
    }

    /// Whether `--target` or `--exclude` is given.
    pub(crate) fn is_partial(self) -> bool {
        matches!(
            self,
            Self::ReplacedAndTargeted
                | Self::ReplacedAndExcluded
                | Self::ReplacedContentTargeted
                | Self::ReplacedContentExcluded
                | Self::DeletedContentExcluded
        )
    }

    pub(crate) fn is_imported(self) -> bool {
        matches!(self, Self::Imported | Self::ImportedAndUpdated)
    }
}

/// What happens to the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Unchanged,
    Changed,
    Replaced,
    New,
    Removed,
    Moved,
    MovedAndChanged,
    Forgotten,
    Drifted,
    Gone,
    Tainted,
    Imported,
    ImportedAndChanged,
}

impl Content {
    pub(crate) const ALL: [Self; 13] = [
        Self::Unchanged,
        Self::Changed,
        Self::Replaced,
        Self::New,
        Self::Removed,
        Self::Moved,
        Self::MovedAndChanged,
        Self::Forgotten,
        Self::Drifted,
        Self::Gone,
        Self::Tainted,
        Self::Imported,
        Self::ImportedAndChanged,
    ];
}

/// The system that the provider of the content leads to.
#[derive(Clone, Debug)]
pub(crate) enum System {
    Host,
    Spare,
    /// The object with this id, which is not configured.
    Named(String),
    /// None: there is no provider block.
    None,
}

pub(crate) struct Host {
    pub(crate) label: &'static str,
    pub(crate) name: &'static str,
    pub(crate) size: u32,
    pub(crate) first: bool,
}

pub(crate) struct Item {
    pub(crate) label: &'static str,
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A configuration.
pub(crate) struct World {
    pub(crate) nesting: Nesting,
    pub(crate) host: Option<Host>,
    /// The block of the container says that deleting it forgets the object.
    pub(crate) kept: bool,
    pub(crate) system: System,
    pub(crate) content: Option<Item>,
    /// Further blocks of the root module.
    pub(crate) root: String,
    /// Further blocks of the module that the content is in.
    pub(crate) module: String,
}

impl World {
    /// Type of the container.
    pub(crate) fn host_type(nesting: Nesting) -> &'static str {
        if nesting == Nesting::Inner {
            "box_vm"
        } else {
            "cloud_box"
        }
    }

    /// Address of the container.
    pub(crate) fn host_address(nesting: Nesting, label: &str) -> String {
        match nesting {
            Nesting::Each => format!("cloud_box.host[\"{label}\"]"),
            _ => format!("{}.{label}", Self::host_type(nesting)),
        }
    }

    /// Type of the content.
    pub(crate) fn content_type(nesting: Nesting) -> &'static str {
        match nesting {
            Nesting::Outer | Nesting::Inner => "vm_app",
            _ => "box_file",
        }
    }

    /// Whether the content is in a module.
    pub(crate) fn in_module(nesting: Nesting) -> bool {
        matches!(nesting, Nesting::Module | Nesting::Alias | Nesting::Own)
    }

    /// Address of the content.
    pub(crate) fn content_address(nesting: Nesting, label: &str) -> String {
        let module = if Self::in_module(nesting) { "module.m." } else { "" };
        format!("{module}{}.{label}", Self::content_type(nesting))
    }

    fn host(&self, out: &mut String) {
        let each = |h: &Host| format!("{} = [\"{}\", {}], ", h.label, h.name, h.size);
        let lifecycle = |h: Option<&Host>| {
            let mut inner = String::new();
            if h.is_some_and(|h| h.first) {
                inner.push_str("    create_before_destroy = true\n");
            }
            if self.kept {
                inner.push_str("    destroy = false\n");
            }
            if inner.is_empty() {
                inner
            } else {
                format!("  lifecycle {{\n{inner}  }}\n")
            }
        };
        match self.nesting {
            Nesting::Each => {
                let members = self.host.as_ref().map(each).unwrap_or_default();
                let lifecycle = lifecycle(self.host.as_ref());
                write!(out, "resource \"cloud_box\" \"host\" {{\n  for_each = {{ {members}other = [\"other\", 1] }}\n  name = each.value[0]\n  size = each.value[1]\n{lifecycle}}}\n").unwrap();
            }
            Nesting::Inner => {
                out.push_str("resource \"cloud_box\" \"outer\" {\n  name = \"outer\"\n}\nprovider \"box\" {\n  box = cloud_box.outer.id\n}\n");
                out.push_str("resource \"box_vm\" \"spare\" {\n  name = \"spare\"\n}\n");
                if let Some(h) = &self.host {
                    write!(
                        out,
                        "resource \"box_vm\" \"{}\" {{\n  name = \"{}\"\n  content = \"{}\"\n{}}}\n",
                        h.label,
                        h.name,
                        h.size,
                        lifecycle(Some(h))
                    )
                    .unwrap();
                }
            }
            _ => {
                if let Some(h) = &self.host {
                    write!(
                        out,
                        "resource \"cloud_box\" \"{}\" {{\n  name = \"{}\"\n  size = {}\n{}}}\n",
                        h.label,
                        h.name,
                        h.size,
                        lifecycle(Some(h))
                    )
                    .unwrap();
                }
            }
        }
        if self.nesting != Nesting::Inner {
            out.push_str("resource \"cloud_box\" \"spare\" {\n  name = \"spare\"\n}\n");
        }
    }

    /// Arguments that lead to the system of the content.
    fn arguments(&self) -> Option<(String, String)> {
        let label = self.host.as_ref().map_or("host", |h| h.label);
        let of = |address: String| (format!("{address}.id"), format!("{address}.revision"));
        match &self.system {
            System::None => None,
            System::Named(id) => Some((format!("\"{id}\""), "null".to_owned())),
            System::Host => Some(of(Self::host_address(self.nesting, label))),
            System::Spare => Some(of(format!("{}.spare", Self::host_type(self.nesting)))),
        }
    }

    fn content(&self, out: &mut String) {
        let alias = if self.nesting == Nesting::Each {
            "  provider = box.a\n"
        } else {
            ""
        };
        if let Some(c) = &self.content {
            let ty = Self::content_type(self.nesting);
            write!(
                out,
                "resource \"{ty}\" \"{}\" {{\n{alias}  name = \"{}\"\n  content = \"{}\"\n}}\n",
                c.label, c.name, c.text
            )
            .unwrap();
        }
        if ty_has_service(self.nesting) && !matches!(self.system, System::None) {
            write!(
                out,
                "resource \"box_service\" \"s\" {{\n{alias}  name = \"s\"\n}}\n"
            )
            .unwrap();
        }
    }

    /// The files.
    pub(crate) fn files(&self) -> Vec<(&'static str, String)> {
        let (mut root, mut module) = (self.root.clone(), self.module.clone());
        self.host(&mut root);
        if let Some((id, address)) = self.arguments() {
            match self.nesting {
                Nesting::One | Nesting::Module => {
                    write!(
                        root,
                        "provider \"box\" {{\n  box = {id}\n  address = {address}\n}}\n"
                    )
                    .unwrap();
                }
                Nesting::Outer => {
                    write!(root, "provider \"box\" {{\n  box = {id}\n  address = {address}\n}}\nresource \"box_vm\" \"vm\" {{\n  name = \"vm\"\n}}\nprovider \"vm\" {{\n  vm = box_vm.vm.id\n}}\n").unwrap();
                }
                Nesting::Inner => write!(root, "provider \"vm\" {{\n  vm = {id}\n}}\n").unwrap(),
                Nesting::Alias => {
                    write!(
                        root,
                        "provider \"box\" {{\n  alias = \"x\"\n  box = {id}\n  address = {address}\n}}\n"
                    )
                    .unwrap();
                }
                Nesting::Own => {
                    module.push_str("variable \"box\" {}\nvariable \"address\" {}\nprovider \"box\" {\n  box = var.box\n  address = var.address\n}\n");
                }
                Nesting::Each => {
                    write!(
                        root,
                        "provider \"box\" {{\n  alias = \"a\"\n  box = {id}\n  address = {address}\n}}\n"
                    )
                    .unwrap();
                }
            }
            let call = match self.nesting {
                Nesting::Module => "",
                Nesting::Alias => "  providers = { box = box.x }\n",
                Nesting::Own => &format!("  box = {id}\n  address = {address}\n"),
                _ => "",
            };
            if Self::in_module(self.nesting) {
                write!(root, "module \"m\" {{\n  source = \"./m\"\n{call}}}\n").unwrap();
            }
        }
        if self.nesting == Nesting::Each {
            root.push_str("provider \"box\" {\n  alias = \"other\"\n  box = cloud_box.host[\"other\"].id\n  address = cloud_box.host[\"other\"].revision\n}\nresource \"box_file\" \"other\" {\n  provider = box.other\n  name = \"other\"\n}\n");
        }
        let present = self
            .content
            .as_ref()
            .filter(|_| !matches!(self.system, System::None));
        if let Some(c) = present {
            let label = if Self::in_module(self.nesting) {
                "module.m.id".to_owned()
            } else {
                format!("{}.{}.id", Self::content_type(self.nesting), c.label)
            };
            write!(
                root,
                "resource \"cloud_net\" \"outside\" {{\n  cidr = \"1\"\n  label = {label}\n}}\n"
            )
            .unwrap();
        }
        let inside = if Self::in_module(self.nesting) {
            &mut module
        } else {
            &mut root
        };
        self.content(inside);
        if let Some(c) = present.filter(|_| Self::in_module(self.nesting)) {
            let ty = Self::content_type(self.nesting);
            write!(module, "output \"id\" {{\n  value = {ty}.{}.id\n}}\n", c.label).unwrap();
        }
        vec![("main.hcl", root), ("m/main.hcl", module)]
    }
}

fn ty_has_service(nesting: Nesting) -> bool {
    !matches!(nesting, Nesting::Outer | Nesting::Inner)
}
