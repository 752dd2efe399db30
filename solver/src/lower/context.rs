//! Files from outside the Dockerfile's stages: the build context and named ones.

use crate::{
    graph::{Role, Vertex, VertexId},
    lower::{Context, Lowering},
    op::{ContextOp, CopyItem, CopyOp, HttpOp, Op, Selection, SourcePath},
};

impl Lowering<'_> {
    /// Returns the context with this name; the build context is called [`ContextOp::MAIN`].
    pub(super) fn context(&self, name: &str) -> Context {
        match self.options.contexts.get(name) {
            Some(context) if name != ContextOp::MAIN => context.clone(),
            _ => self.options.context.clone(),
        }
    }

    /// Adds the vertex that a COPY takes `selection` of a context from.
    pub(super) fn context_source(&mut self, name: &str, selection: Selection) -> VertexId {
        let op = match self.context(name) {
            Context::Local => Op::Context(ContextOp { name: name.to_owned(), selection }),
            Context::Git(git) => Op::Git(git),
            Context::Http(http) => Op::Http(http),
            // Images are stages; whoever asks here has none.
            Context::Image(_) | Context::OciLayout(_) => Op::Scratch,
        };
        let title = match (name, &op) {
            (ContextOp::MAIN, _) => "[internal] load build context".to_owned(),
            (name, Op::Git(git)) => format!("[context {name}] {}", without_user(&git.remote)),
            (name, Op::Http(http)) => format!("[context {name}] {}", without_user(&http.url)),
            (name, _) => format!("[context {name}] load from client"),
        };
        self.graph.add(Vertex::new(op, title), &[])
    }

    /// Adds the vertex whose root filesystem holds `path` of a context, to mount it or to build
    /// upon it: a step sees a copy, owned by root, and none of what the ignore file leaves out.
    pub(super) fn context_tree(&mut self, name: &str, path: &str) -> VertexId {
        let source = SourcePath {
            base: (!path.is_empty()).then(String::new),
            pattern: path.to_owned(),
            literal: true,
        };
        let selection = Selection { paths: vec![source.clone()], ..Selection::default() };
        let input = self.context_source(name, selection);
        let item = match &self.graph.vertex(input).op {
            Op::Git(_) => return input,
            Op::Http(HttpOp { name, .. }) => {
                CopyItem::Download { input: 0, name: name.clone(), unpack: false }
            }
            _ => CopyItem::Tree { input: 0, path: source, unpack: false },
        };
        let scratch = self.scratch();
        let copy = CopyOp {
            items: vec![item],
            dest: "/".to_owned(),
            chown: None,
            chmod: None,
            exclude: Vec::new(),
            link: false,
        };
        let title = match name {
            ContextOp::MAIN => "[internal] copy build context".to_owned(),
            name => format!("[context {name}] copy"),
        };
        let vertex = Vertex::new(Op::Copy(Box::new(copy)), title);
        self.graph.add(vertex, &[(Role::Base, scratch), (Role::Source(0), input)])
    }

    /// Adds the empty root filesystem.
    pub(super) fn scratch(&mut self) -> VertexId {
        self.graph.add(Vertex::new(Op::Scratch, "FROM scratch"), &[])
    }
}

/// Returns an address without what may be a password.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::without_user;

    #[test]
    fn a_password_is_no_part_of_a_title() {
        assert_eq!(without_user("https://u:p@ss@h/a@b"), "https://h/a@b");
        assert_eq!(without_user("git@h:a/b"), "git@h:a/b");
    }
}
