//! The one directed graph: nodes are numbers, edges say "depends on".

use std::collections::BTreeSet;

/// A directed graph over nodes `0..len`.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    dependencies: Vec<BTreeSet<usize>>,
}

/// A cycle: the nodes in order, each depending on the next, the last on the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dependency cycle of {} nodes", .0.len())]
pub struct Cycle(pub Vec<usize>);

impl Graph {
    /// A graph of `len` nodes without edges.
    pub fn new(len: usize) -> Self {
        Self {
            dependencies: vec![BTreeSet::new(); len],
        }
    }

    /// Adds a node and gives its number.
    pub fn add_node(&mut self) -> usize {
        self.dependencies.push(BTreeSet::new());
        self.dependencies.len() - 1
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.dependencies.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.dependencies.is_empty()
    }

    /// Says that `node` depends on `on`.
    pub fn depend(&mut self, node: usize, on: usize) {
        self.dependencies[node].insert(on);
    }

    /// What a node depends on directly.
    pub fn dependencies(&self, node: usize) -> &BTreeSet<usize> {
        &self.dependencies[node]
    }

    /// For each node the nodes that depend on it directly.
    pub fn dependents(&self) -> Vec<Vec<usize>> {
        let mut out = vec![Vec::new(); self.len()];
        for (node, dependencies) in self.dependencies.iter().enumerate() {
            for on in dependencies {
                out[*on].push(node);
            }
        }
        out
    }

    /// All nodes, each after what it depends on, and otherwise by number.
    ///
    /// # Errors
    /// One cycle, if there is any. Iterative: a chain of any length is fine.
    pub fn order(&self) -> Result<Vec<usize>, Cycle> {
        let mut missing: Vec<usize> = self.dependencies.iter().map(BTreeSet::len).collect();
        let dependents = self.dependents();
        let mut ready: BTreeSet<usize> = (0..self.len()).filter(|n| missing[*n] == 0).collect();
        let mut out = Vec::with_capacity(self.len());
        while let Some(node) = ready.pop_first() {
            out.push(node);
            for dependent in &dependents[node] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.insert(*dependent);
                }
            }
        }
        if out.len() == self.len() {
            Ok(out)
        } else {
            Err(self.cycle(&missing))
        }
    }

    /// Walks from any node of a cycle along unmet dependencies until one repeats.
    fn cycle(&self, missing: &[usize]) -> Cycle {
        let Some(mut node) = (0..self.len()).find(|n| missing[*n] > 0) else {
            return Cycle(Vec::new());
        };
        let mut walk: Vec<usize> = Vec::new();
        let mut position = vec![None; self.len()];
        loop {
            if let Some(at) = position[node] {
                return Cycle(walk.split_off(at));
            }
            position[node] = Some(walk.len());
            walk.push(node);
            match self.dependencies[node].iter().find(|n| missing[**n] > 0) {
                Some(next) => node = *next,
                None => return Cycle(walk),
            }
        }
    }

    /// All nodes that `start` depends on, directly or not, without `start` itself (unless it is in a cycle).
    pub fn ancestors(&self, start: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<usize> = self.dependencies[start].iter().copied().collect();
        while let Some(node) = todo.pop() {
            if seen.insert(node) {
                todo.extend(self.dependencies[node].iter().copied());
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_puts_dependencies_first() {
        let mut g = Graph::new(4);
        g.depend(0, 3);
        g.depend(3, 1);
        g.depend(2, 1);
        assert_eq!(g.order().unwrap(), [1, 2, 3, 0]);
        assert_eq!(g.ancestors(0), [1, 3].into());
    }

    #[test]
    fn a_cycle_is_named_by_its_nodes_only() {
        let mut g = Graph::new(4);
        g.depend(0, 1);
        g.depend(1, 2);
        g.depend(2, 1);
        let Cycle(mut nodes) = g.order().unwrap_err();
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 2]);
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let n = 200_000;
        let mut g = Graph::new(n);
        for i in 1..n {
            g.depend(i, i - 1);
        }
        assert_eq!(g.order().unwrap().len(), n);
    }
}
