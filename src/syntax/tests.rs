//! Tests of the whole parser.

use crate::diagnostic::{Problems, Style, render_all};
use crate::source::Sources;

use super::ast::File;

/// Parses a text; the file and the rendered findings.
fn parse(text: &str) -> (File, String) {
    let mut sources = Sources::new();
    let id = sources.add("VMWfile", None, text);
    let mut problems = Problems::new();
    let file = super::parse(&sources, id, &mut problems);
    (file, render_all(&problems.sorted(), &sources, Style::plain()))
}

const TASTE: &str = r#"# Build an image once, then a swarm from it.
ARG    workers: int = 2
SECRET root_password
LOGIN  root PASSWORD ${{ root_password }}

FROM   Centos7-Template AS docker
OUTPUT TEMPLATE Docker-Template
NOTE   Upgrade everything but VMware Tools
RUN    yum upgrade -y --exclude=open-vm-tools
RUN    yum install -y docker-ce

FROM    docker AS manager
OUTPUT  VM manager001
ADDRESS 10.0.0.101/24 GATEWAY 10.0.0.1 DNS 8.8.8.8
HOSTNAME manager01.local
RUN     docker swarm init
KEY     join_token: secret FROM RUN docker swarm join-token -q worker

FROM    docker AS worker FOR n IN 1..${{ workers }}
OUTPUT  VM worker00${{ n }}
ADDRESS 10.0.0.${{ 101 + n }}/24 GATEWAY 10.0.0.1 DNS 8.8.8.8
RUN     docker swarm join --token ${{ manager.join_token }} ${{ manager.ip }}:2377
RUN <<A cat <<'B' \
  # inner
  && foo '${{ n }}'
a ${{ n }}
A
b ${{ n }}
B
COPY --chown=a:b <<-EOF /etc/motd
    hello
      ${{ workers }}
    EOF
"#;

#[test]
fn debug_taste() {
    let (file, out) = parse(TASTE);
    eprintln!("{out}");
    eprintln!("{file:#?}");
}
