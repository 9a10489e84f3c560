//! All patterns of a table as a prefix tree, in which a request goes along a few nodes however many patterns
//! there are.
//!
//! Each segment of a request is looked up once, among all literals of the table. At a node the request goes
//! on to at most two others: the literal segment and the placeholder. Where patterns have both at several
//! places, the ways multiply. [`PatternTree::most_steps`] is a bound for every possible request: the steps of
//! a node are itself, the most that one of its literals takes, and those of its placeholder. A table with a
//! bound above [`MAX_STEPS`](super::rule_fault::MAX_STEPS) is refused, so that the work for a request is
//! linear in its path.

use std::collections::HashMap;

use super::path_pattern::{PathPattern, PatternSegment};
use super::routed_path::RoutedPath;

/// The root's number.
const ROOT: u32 = 0;

/// The tree.
#[derive(Debug)]
pub(super) struct PatternTree {
    /// The literal segments of all patterns, numbered.
    words: HashMap<Box<[u8]>, u32>,
    /// From a node and a word to a node.
    literals: HashMap<(u32, u32), u32>,
    /// Invariant: a child comes after its parent.
    nodes: Vec<Node>,
    /// The most segments of a pattern.
    depth: usize,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    is_placeholder: bool,
    placeholder: Option<u32>,
    /// The lowest rule number at this node and below it.
    lowest: u32,
    /// What ends here.
    exact: Option<u32>,
    /// What goes on with a splat here.
    splat: Option<u32>,
}

impl PatternTree {
    /// A tree without patterns.
    pub(super) fn new() -> PatternTree {
        let root = Node::new(ROOT, false);
        PatternTree { words: HashMap::new(), literals: HashMap::new(), nodes: vec![root], depth: 0 }
    }

    /// Adds the pattern of the rule with this number; numbers must ascend. Returns the group of the pattern:
    /// `next_group`, or that of the same pattern before.
    pub(super) fn insert(&mut self, pattern: &PathPattern, rule: u32, next_group: u32) -> u32 {
        self.depth = self.depth.max(pattern.segments.len());
        let mut at = ROOT;
        self.note(at, rule);
        for segment in &pattern.segments {
            at = self.child(at, segment);
            self.note(at, rule);
        }
        let node = &mut self.nodes[at as usize];
        let group = if pattern.splat { &mut node.splat } else { &mut node.exact };
        *group.get_or_insert(next_group)
    }

    /// The most segments of a pattern.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Goes through the nodes of a path. `reached` gets each group that matches, and returns the lowest rule
    /// number found so far, beyond which nothing need be looked at. Returns how many nodes it took.
    pub(super) fn walk(&self, path: &RoutedPath<'_>, reached: &mut dyn FnMut(u32) -> u32) -> u32 {
        let words: Vec<Option<u32>> = (0..self.depth)
            .map_while(|number| path.segment(number))
            .map(|segment| self.words.get(segment).copied())
            .collect();
        let (mut bound, mut steps) = (u32::MAX, 0);
        let mut waiting = vec![(ROOT, 0)];
        while let Some((number, depth)) = waiting.pop() {
            let node = &self.nodes[number as usize];
            if node.lowest >= bound {
                continue;
            }
            steps += 1;
            for group in [node.splat, node.exact.filter(|_| path.ends_at(depth))].into_iter().flatten() {
                bound = bound.min(reached(group));
            }
            let Some(word) = words.get(depth) else { continue };
            let literal = word.and_then(|word| self.literals.get(&(number, word)).copied());
            let mut next = [literal, node.placeholder];
            // The last one pushed is the next one, so the lower rule number must come last.
            next.sort_by_key(|child| std::cmp::Reverse(child.map(|child| self.nodes[child as usize].lowest)));
            waiting.extend(next.into_iter().flatten().map(|child| (child, depth + 1)));
        }
        steps
    }

    /// A bound of the nodes that any request goes through.
    pub(super) fn most_steps(&self) -> u32 {
        let mut literal = vec![0_u32; self.nodes.len()];
        let mut placeholder = vec![0_u32; self.nodes.len()];
        // Children come after their parents, so from the end on all below a node is known.
        for (number, node) in self.nodes.iter().enumerate().skip(1).rev() {
            let steps = 1_u32.saturating_add(literal[number]).saturating_add(placeholder[number]);
            let of_parent = if node.is_placeholder { &mut placeholder } else { &mut literal };
            let of_parent = &mut of_parent[node.parent as usize];
            *of_parent = steps.max(*of_parent);
        }
        1_u32.saturating_add(literal[0]).saturating_add(placeholder[0])
    }

    fn note(&mut self, number: u32, rule: u32) {
        let node = &mut self.nodes[number as usize];
        node.lowest = node.lowest.min(rule);
    }

    fn child(&mut self, parent: u32, segment: &PatternSegment) -> u32 {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let (child, is_placeholder) = match segment {
            PatternSegment::Placeholder(_) => {
                (*self.nodes[parent as usize].placeholder.get_or_insert(next), true)
            }
            PatternSegment::Literal(name) => {
                let number = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
                let word = *self.words.entry(name.clone()).or_insert(number);
                (*self.literals.entry((parent, word)).or_insert(next), false)
            }
        };
        if child == next {
            self.nodes.push(Node::new(parent, is_placeholder));
        }
        child
    }
}

impl Node {
    fn new(parent: u32, is_placeholder: bool) -> Node {
        Node { parent, is_placeholder, placeholder: None, lowest: u32::MAX, exact: None, splat: None }
    }
}
