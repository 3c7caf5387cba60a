//! Modules that need each other: which are wanted, in which order they are built, and in which they
//! end.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;

use crate::group::{Actor, BoxError, RunGroup};

/// Why a set of modules cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// A name that no module has. Choose one of the known ones.
    #[error("unrecognised module name: {name}; known are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are, with commas between.
        known: String,
    },
    /// Modules that need each other in a circle: a defect of the program.
    #[error("modules need each other in a circle: {0}")]
    Circle(String),
    /// A module could not be built.
    #[error("error initialising module: {name}: {source}")]
    Init {
        /// The module.
        name: &'static str,
        /// Why not.
        source: BoxError,
    },
}

type Building<'a> = Pin<Box<dyn Future<Output = Result<Option<Actor>, BoxError>> + 'a>>;

/// An async closure behind a pointer.
trait Init<C> {
    fn init<'a>(self: Box<Self>, context: &'a mut C) -> Building<'a>
    where
        Self: 'a;
}

impl<C, F: AsyncFnOnce(&mut C) -> Result<Option<Actor>, BoxError>> Init<C> for F {
    fn init<'a>(self: Box<Self>, context: &'a mut C) -> Building<'a>
    where
        Self: 'a,
    {
        Box::pin(async move { (*self)(context).await })
    }
}

struct Module<C> {
    name: &'static str,
    needs: Vec<&'static str>,
    init: Option<Box<dyn Init<C>>>,
}

/// Modules by name. Each is built from a context `C` to which the ones before it have added.
pub struct Modules<C> {
    modules: Vec<Module<C>>,
}

impl<C> Default for Modules<C> {
    fn default() -> Self {
        Self {
            modules: Vec::new(),
        }
    }
}

impl<C> std::fmt::Debug for Modules<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.modules.iter().map(|module| module.name))
            .finish()
    }
}

impl<C> Modules<C> {
    /// No modules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a module that is built once those it needs are.
    ///
    /// A module that runs answers with its [`Actor`]; one that only adds to the context with `None`.
    pub fn module(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        init: impl AsyncFnOnce(&mut C) -> Result<Option<Actor>, BoxError> + 'static,
    ) {
        self.modules.push(Module {
            name,
            needs: needs.to_vec(),
            init: Some(Box::new(init)),
        });
    }

    /// Adds a name that stands for others, such as `all`.
    pub fn alias(&mut self, name: &'static str, needs: &[&'static str]) {
        self.modules.push(Module {
            name,
            needs: needs.to_vec(),
            init: None,
        });
    }

    /// The modules that these targets take, each once, after all that it needs.
    ///
    /// # Errors
    /// Unknown names and circles.
    pub fn plan(&self, targets: &[&str]) -> Result<Vec<&'static str>, ModuleError> {
        let by_name: HashMap<_, _> = self
            .modules
            .iter()
            .map(|module| (module.name, module))
            .collect();
        let mut walk = Walk {
            by_name,
            path: Vec::new(),
            done: HashSet::new(),
            order: Vec::new(),
        };
        for target in targets {
            walk.visit(target)?;
        }
        Ok(walk.order)
    }

    /// Builds what the targets take into a group. Modules end before those they need.
    ///
    /// # Errors
    /// Unknown names, circles, and the first module that cannot be built.
    pub async fn build(
        mut self,
        targets: &[&str],
        context: &mut C,
    ) -> Result<RunGroup, ModuleError> {
        let mut actors = Vec::new();
        for name in self.plan(targets)? {
            let module = self.modules.iter_mut().find(|module| module.name == name);
            let Some(init) = module.and_then(|module| module.init.take()) else {
                continue;
            };
            let built = init.init(context).await;
            actors.extend(built.map_err(|source| ModuleError::Init { name, source })?);
        }
        let mut group = RunGroup::new();
        actors.into_iter().rev().for_each(|actor| group.add(actor));
        Ok(group)
    }
}

/// A walk through needs, depth first.
struct Walk<'a, C> {
    by_name: HashMap<&'static str, &'a Module<C>>,
    path: Vec<&'static str>,
    done: HashSet<&'static str>,
    order: Vec<&'static str>,
}

impl<C> Walk<'_, C> {
    fn visit(&mut self, name: &str) -> Result<(), ModuleError> {
        let Some(module) = self.by_name.get(name).copied() else {
            return Err(self.unknown(name));
        };
        if self.done.contains(name) {
            return Ok(());
        }
        if self.path.contains(&module.name) {
            self.path.push(module.name);
            return Err(ModuleError::Circle(self.path.join(" > ")));
        }
        self.path.push(module.name);
        for need in &module.needs {
            self.visit(need)?;
        }
        self.path.pop();
        self.done.insert(module.name);
        self.order.push(module.name);
        Ok(())
    }

    fn unknown(&self, name: &str) -> ModuleError {
        let mut known: Vec<_> = self.by_name.keys().copied().collect();
        known.sort_unstable();
        ModuleError::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Modules<Vec<&'static str>> {
        let mut modules = Modules::new();
        for (name, needs) in [
            ("querier", &["store", "ring"][..]),
            ("store", &["server"]),
            ("ring", &["server"]),
            ("server", &[]),
        ] {
            modules.module(name, needs, async move |built: &mut Vec<&'static str>| {
                built.push(name);
                Ok((name != "ring").then(|| Actor::new(name, async { Ok(()) }, async {})))
            });
        }
        modules.alias("all", &["querier", "ring"]);
        modules
    }

    #[test]
    fn needs_come_first_and_once() {
        let order = modules().plan(&["all", "store"]).unwrap();
        assert_eq!(order, ["server", "store", "ring", "querier", "all"]);
        assert_eq!(modules().plan(&["ring"]).unwrap(), ["server", "ring"]);
    }

    #[test]
    fn unknown_names_and_circles_are_named() {
        let error = modules().plan(&["nope"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "unrecognised module name: nope; known are all, querier, ring, server, store"
        );
        let mut circle = Modules::<()>::new();
        circle.alias("a", &["b"]);
        circle.alias("b", &["a"]);
        let error = circle.plan(&["a"]).unwrap_err().to_string();
        assert_eq!(error, "modules need each other in a circle: a > b > a");
    }

    #[tokio::test]
    async fn modules_are_built_in_order_and_end_in_reverse() {
        let mut built = Vec::new();
        let group = modules().build(&["all"], &mut built).await.unwrap();
        assert_eq!(built, ["server", "store", "ring", "querier"]);
        let text = format!("{group:?}");
        let at = |name: &str| text.find(name).unwrap();
        assert!(
            at("querier") < at("store") && at("store") < at("server"),
            "{text}"
        );
        assert!(!text.contains("ring"), "{text}");
        group.run().await.unwrap();
    }

    #[tokio::test]
    async fn a_module_that_cannot_be_built_is_named() {
        let mut modules = Modules::<()>::new();
        modules.module("bad", &[], async |(): &mut ()| Err("no disk".into()));
        let error = modules
            .build(&["bad"], &mut ())
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(error, "error initialising module: bad: no disk");
    }
}
