//! A checker of histories after Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations", VLDB 2020).
//!
//! Transactions append unique numbers to lists, write unique numbers to registers, and read both, alone or as a
//! range. The order of versions follows from the lists themselves, for registers from the commit numbers. Who wrote,
//! read or overwrote which version gives a graph of dependencies; a cycle in it is an anomaly that no serial
//! order explains. The engine's own idea of the order is not trusted, but checked as well.

use std::collections::BTreeMap;

/// One thing a transaction did, in its order.
#[derive(Clone, Debug)]
pub enum Act {
    Append {
        key: usize,
        value: u64,
    },
    /// Absent keys are empty lists.
    ReadList {
        key: usize,
        values: Vec<u64>,
    },
    Write {
        key: usize,
        value: u64,
    },
    /// Absent keys are zero.
    ReadRegister {
        key: usize,
        value: u64,
    },
}

/// One transaction, as its client saw it.
#[derive(Clone, Debug)]
pub struct Txn {
    /// Commit number of the snapshot it read.
    pub snapshot: u64,
    /// Its own commit number; `None` when it was refused.
    pub seq: Option<u64>,
    /// The last commit that was acknowledged, to anybody, before it began.
    pub known: u64,
    pub acts: Vec<Act>,
}

/// What is there in the end.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub lists: BTreeMap<usize, Vec<u64>>,
    pub registers: BTreeMap<usize, u64>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    pub committed: usize,
    pub refused: usize,
    pub edges: usize,
}

struct Graph {
    edges: Vec<Vec<(usize, &'static str)>>,
}

/// The first anomaly found, in words.
pub fn check(history: &[Txn], outcome: &Outcome) -> Result<Checked, String> {
    let mut graph = Graph {
        edges: vec![Vec::new(); history.len()],
    };
    let committed: Vec<usize> = (0..history.len())
        .filter(|t| history[*t].seq.is_some())
        .collect();
    for &t in &committed {
        let txn = &history[t];
        if txn.snapshot < txn.known {
            return Err(format!(
                "transaction {t} began after commit {} and does not see it",
                txn.known
            ));
        }
    }
    lists(history, outcome, &committed, &mut graph)?;
    registers(history, outcome, &committed, &mut graph)?;
    if let Some(cycle) = graph.cycle() {
        return Err(describe(history, &graph, &cycle));
    }
    Ok(Checked {
        committed: committed.len(),
        refused: history.len() - committed.len(),
        edges: graph.edges.iter().map(Vec::len).sum(),
    })
}

fn lists(
    history: &[Txn],
    outcome: &Outcome,
    committed: &[usize],
    graph: &mut Graph,
) -> Result<(), String> {
    // Value -> who appended it.
    let mut writers: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for (t, txn) in history.iter().enumerate() {
        for act in &txn.acts {
            if let Act::Append { key, value } = act {
                let there = outcome
                    .lists
                    .get(key)
                    .is_some_and(|list| list.contains(value));
                if there != txn.seq.is_some() {
                    let fate = if there {
                        "refused, but is there"
                    } else {
                        "acknowledged, but is lost"
                    };
                    return Err(format!(
                        "{value} appended to list {key} by transaction {t} was {fate}"
                    ));
                }
                writers.insert((*key, *value), t);
            }
        }
    }
    for (key, list) in &outcome.lists {
        for (position, value) in list.iter().enumerate() {
            if list[..position].contains(value) {
                return Err(format!("list {key} has {value} twice"));
            }
            let Some(writer) = writers.get(&(*key, *value)) else {
                return Err(format!("list {key} has {value}, which nobody appended"));
            };
            if position > 0 {
                graph.add(writers[&(*key, list[position - 1])], *writer, "ww");
            }
        }
    }
    for &t in committed {
        let mut own: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for act in &history[t].acts {
            match act {
                Act::Append { key, value } => own.entry(*key).or_default().push(*value),
                Act::ReadList { key, values } => {
                    let empty = Vec::new();
                    let mine = own.get(key).unwrap_or(&empty);
                    let Some(seen) = values.strip_suffix(mine.as_slice()) else {
                        return Err(format!(
                            "transaction {t} does not see its own appends to list {key}"
                        ));
                    };
                    let full = outcome.lists.get(key).unwrap_or(&empty);
                    if !full.starts_with(seen) {
                        return Err(format!(
                            "transaction {t} read {seen:?} of list {key}, which is no prefix of {full:?}"
                        ));
                    }
                    if let Some(last) = seen.last() {
                        graph.add(writers[&(*key, *last)], t, "wr");
                    }
                    if let Some(next) = full.get(seen.len()) {
                        graph.add(t, writers[&(*key, *next)], "rw");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn registers(
    history: &[Txn],
    outcome: &Outcome,
    committed: &[usize],
    graph: &mut Graph,
) -> Result<(), String> {
    // Versions by commit number: (key, value) -> (writer, next writer).
    let mut versions: BTreeMap<usize, BTreeMap<u64, (u64, usize)>> = BTreeMap::new();
    for &t in committed {
        for act in &history[t].acts {
            if let Act::Write { key, value } = act {
                let seq = history[t].seq.expect("committed");
                versions.entry(*key).or_default().insert(seq, (*value, t));
            }
        }
    }
    let mut next: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    let mut writers: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for (key, order) in &versions {
        let mut before = (0, None);
        for (value, writer) in order.values() {
            writers.insert((*key, *value), *writer);
            next.insert((*key, before.0), *writer);
            if let Some(earlier) = before.1 {
                graph.add(earlier, *writer, "ww");
            }
            before = (*value, Some(*writer));
        }
        let last = outcome.registers.get(key).copied().unwrap_or(0);
        if last != before.0 {
            return Err(format!(
                "register {key} ends as {last}, but {} was written last",
                before.0
            ));
        }
    }
    for &t in committed {
        let mut own: BTreeMap<usize, u64> = BTreeMap::new();
        for act in &history[t].acts {
            match act {
                Act::Write { key, value } => {
                    own.insert(*key, *value);
                }
                Act::ReadRegister { key, value } => {
                    if let Some(mine) = own.get(key) {
                        if mine != value {
                            return Err(format!(
                                "transaction {t} does not see its own write of register {key}"
                            ));
                        }
                        continue;
                    }
                    if *value != 0 {
                        let Some(writer) = writers.get(&(*key, *value)) else {
                            return Err(format!(
                                "transaction {t} read {value} of register {key}, which nobody committed"
                            ));
                        };
                        graph.add(*writer, t, "wr");
                    }
                    if let Some(writer) = next.get(&(*key, *value)) {
                        graph.add(t, *writer, "rw");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

impl Graph {
    fn add(&mut self, from: usize, to: usize, kind: &'static str) {
        if from != to && !self.edges[from].contains(&(to, kind)) {
            self.edges[from].push((to, kind));
        }
    }

    /// A cycle, as the transactions on it: depth first, with a stack of its own.
    fn cycle(&self) -> Option<Vec<usize>> {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut state = vec![NEW; self.edges.len()];
        for start in 0..self.edges.len() {
            if state[start] != NEW {
                continue;
            }
            let mut path = vec![(start, 0)];
            state[start] = OPEN;
            while let Some((node, index)) = path.last_mut() {
                let node = *node;
                let Some((to, _)) = self.edges[node].get(*index) else {
                    state[node] = DONE;
                    path.pop();
                    continue;
                };
                *index += 1;
                match state[*to] {
                    NEW => {
                        state[*to] = OPEN;
                        path.push((*to, 0));
                    }
                    OPEN => {
                        let from = path
                            .iter()
                            .position(|(node, _)| node == to)
                            .expect("on the path");
                        return Some(path[from..].iter().map(|(node, _)| *node).collect());
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

fn describe(history: &[Txn], graph: &Graph, cycle: &[usize]) -> String {
    let mut out = String::from("a cycle:");
    for (place, t) in cycle.iter().enumerate() {
        let to = cycle[(place + 1) % cycle.len()];
        let kind = graph.edges[*t]
            .iter()
            .find(|(other, _)| *other == to)
            .expect("an edge")
            .1;
        let txn = &history[*t];
        out += &format!(
            "\n  {t} (snapshot {}, commit {:?}) -{kind}-> {:?}",
            txn.snapshot, txn.seq, txn.acts
        );
    }
    out
}
