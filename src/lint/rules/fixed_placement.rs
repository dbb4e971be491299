//! Places written into the file.

use crate::lint::rule::*;

/// `fixed-placement`.
pub static CODE: Code = Code {
    number: 503,
    name: "fixed-placement",
    severity: Severity::Advice,
    about: "The file names a datacenter, cluster, host or datastore, and so builds in one place only. With an \
            ARG, or with the command line's `--datacenter`, `--datastore` and the like, it travels. Off until it \
            is named.",
    wrong: concat!("FROM Debian AS web\n", "DATASTORE ssd-1\n",),
    right: concat!("ARG datastore = \"ssd-1\"\n", "FROM Debian AS web\n", "DATASTORE ${{ datastore }}\n",),
};

pub(super) static RULE: Rule = Rule::opt_in(&CODE, check);

fn check(cx: &Cx<'_>, out: &mut Problems) {
    use crate::syntax::Keyword;
    for instruction in cx.instructions() {
        let Body::Placement { value: Some(value) } = &instruction.body else { continue };
        let keyword = instruction.keyword.node;
        let place = matches!(keyword, Keyword::Datacenter | Keyword::Cluster | Keyword::Host | Keyword::Datastore);
        if place && value.literal().is_some() {
            let message = format!("the {} is fixed", keyword.info().name.to_lowercase());
            out.push(Diagnostic::at(&CODE, value.span, message).help("take it from an ARG, or from the command line"));
        }
    }
}
